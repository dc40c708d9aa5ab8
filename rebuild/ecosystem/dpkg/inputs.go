package dpkg

import (
	"io"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzip"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem/overlay"
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
func readInput(t *overlay.Tree, p string) (string, error) {
	f, ok := t.Target(p)
	if !ok || f.Regular() == nil {
		return "", nil
	}
	r, err := t.Open(f)
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

// manualListed tells whether the directory of manuals (install-info(1)) needs no change for a changed file below
// usr/share/info: it has the same entries as before or, in a layer above the change, where nothing shows what was before, as
// many as the directory has of this manual, all there apart from how they are set. Parts of a manual and pictures have none.
func (u *upgrade) manualListed(p, dir string) bool {
	name, isManual := strings.CutSuffix(strings.TrimSuffix(path.Base(p), ".gz"), ".info")
	if !isManual {
		return true
	}
	is, err := readInput(u.tree, p)
	if err != nil {
		return false
	}
	if !u.above {
		was, err := readInput(u.before, p)
		return err == nil && slices.Equal(manualEntries(was), manualEntries(is))
	}
	listed, err := readInput(u.tree, dir)
	if err != nil {
		return false
	}
	entries := manualEntries(is)
	all := strings.Join(strings.Fields(listed), " ")
	return strings.Count(listed, "("+name+")") == strings.Count(strings.Join(entries, ""), "("+name+")") &&
		!slices.ContainsFunc(entries, func(e string) bool { return !strings.Contains(all, e) })
}

// manualEntries are a manual's entries in the directory, with single blanks, and the sections that they go to.
func manualEntries(manual string) []string {
	var entries []string
	inside := false
	for line := range strings.Lines(manual) {
		words := strings.Join(strings.Fields(line), " ")
		switch {
		case strings.HasPrefix(line, "START-INFO-DIR-ENTRY"):
			inside = true
		case strings.HasPrefix(line, "END-INFO-DIR-ENTRY"):
			inside = false
		case inside && strings.HasPrefix(line, "* "):
			entries = append(entries, words)
		case inside && len(entries) > 0 && words != "":
			entries[len(entries)-1] += " " + words
		}
	}
	return entries
}

var (
	pamModule  = regexp.MustCompile(`pam_\w+\.so`)
	pamDefault = regexp.MustCompile(`(?im)^Default:\s*yes`)
)

// profileInUse tells whether a changed profile of pam-auth-update(8) may be one of those that the common files are made of: it
// is, or was, one that is on by default, or they mention a module of it.
func (u *upgrade) profileInUse(p string) bool {
	is, err := readInput(u.tree, p)
	was, errWas := readInput(u.before, p)
	profile := was + is
	if err != nil || errWas != nil || profile == "" || pamDefault.MatchString(profile) {
		return true
	}
	for _, name := range u.tree.Children(u.tree.Follow("etc/pam.d", true)) {
		if !strings.HasPrefix(path.Base(name), "common-") {
			continue
		}
		common, err := readInput(u.tree, name)
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
