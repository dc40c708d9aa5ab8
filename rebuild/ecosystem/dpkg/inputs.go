package dpkg

import (
	"io"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzip"
)

// matters tells whether a changed input is one that shows in the derived file. It is so where nothing better is known.
func (u *upgrade) matters(d derived, p, output string) bool {
	switch d.program {
	case "install-info":
		return !u.manualListed(p, output)
	case "pam-auth-update":
		return u.profileInUse(p)
	}
	return true
}

// maxInput bounds what is read of an input, in bytes.
const maxInput = 1 << 20

// readInput reads the beginning of a file, "" where there is none.
func (u *upgrade) readInput(p string) (string, error) {
	f, ok := u.tree.Target(p)
	if !ok || f.Regular() == nil {
		return "", nil
	}
	r, err := u.tree.Open(f)
	if err != nil {
		return "", err
	}
	defer r.Close()
	var text io.Reader = r
	if strings.HasSuffix(p, ".gz") {
		z, err := gzip.NewReader(r)
		if err != nil {
			return "", err
		}
		defer z.Close()
		text = z
	}
	data, err := io.ReadAll(io.LimitReader(text, maxInput))
	return string(data), err
}

// manualListed tells whether the directory of manuals (install-info(1)) has the entries of a changed file below
// usr/share/info, apart from how they are set. Parts of a manual and pictures have none.
func (u *upgrade) manualListed(p, dir string) bool {
	if !strings.HasSuffix(strings.TrimSuffix(path.Base(p), ".gz"), ".info") {
		return true
	}
	if !u.tree.Exists(p) {
		return false
	}
	manual, err := u.readInput(p)
	if err != nil {
		return false
	}
	listed, err := u.readInput(dir)
	if err != nil {
		return false
	}
	listed = strings.Join(strings.Fields(listed), " ")
	inside := false
	var entries []string
	for line := range strings.Lines(manual) {
		switch {
		case strings.HasPrefix(line, "START-INFO-DIR-ENTRY"):
			inside = true
		case strings.HasPrefix(line, "END-INFO-DIR-ENTRY"):
			inside = false
		case inside && strings.HasPrefix(line, "* "):
			entries = append(entries, line)
		case inside && len(entries) > 0:
			entries[len(entries)-1] += line
		}
	}
	return !slices.ContainsFunc(entries, func(e string) bool { return !strings.Contains(listed, strings.Join(strings.Fields(e), " ")) })
}

var pamModule = regexp.MustCompile(`pam_\w+\.so`)

// profileInUse tells whether a profile of pam-auth-update(8) may be one of those that the common files are made of: they
// mention a module of it.
func (u *upgrade) profileInUse(p string) bool {
	profile, err := u.readInput(p)
	if err != nil || profile == "" {
		return true
	}
	for _, name := range u.tree.Children(u.tree.Follow("etc/pam.d", true)) {
		if !strings.HasPrefix(path.Base(name), "common-") {
			continue
		}
		common, err := u.readInput(name)
		if err != nil {
			return true
		}
		for _, module := range pamModule.FindAllString(profile, -1) {
			if strings.Contains(common, module) {
				return true
			}
		}
	}
	return false
}
