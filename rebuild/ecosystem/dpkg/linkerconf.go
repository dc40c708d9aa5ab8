package dpkg

import (
	"errors"
	"path"
	"slices"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem/overlay"
)

// The dynamic linker's configuration (ldconfig(8)).
const (
	ldConfPath = "etc/ld.so.conf"
	ldConfDir  = "etc/ld.so.conf.d"
)

// linkerConf is what ldconfig is configured to.
type linkerConf struct {
	// dirs are the directories that it searches, in its order. One that has several names goes by the first.
	dirs []libraryDir
	// files are the physical paths of the configuration files, words how many more words they may have.
	files map[string]bool
	words int
}

// libraryDir is a directory that ldconfig searches.
type libraryDir struct {
	// name is as the cache spells it, at the physical path, subdir the name of one below glibc-hwcaps.
	name, at, subdir string
}

const (
	// maxLinkerConf bounds a configuration file in bytes, the next the files' words, and the directories.
	maxLinkerConf  = 64 << 10
	maxLinkerWords = 1000
	maxLibraryDirs = 300
)

// isPart tells whether a physical path is one of the configuration files, or may be one that is gone.
func (c *linkerConf) isPart(p string) bool {
	return c.files[p] || p == ldConfPath || strings.HasPrefix(p, ldConfDir+"/")
}

// triplets are the names of the directories for an architecture's libraries (dpkg-architecture(1)).
var triplets = map[string]string{
	"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu", "armel": "arm-linux-gnueabi", "armhf": "arm-linux-gnueabihf",
	"i386": "i386-linux-gnu", "mips64el": "mips64el-linux-gnuabi64", "mipsel": "mipsel-linux-gnu",
	"ppc64el": "powerpc64le-linux-gnu", "riscv64": "riscv64-linux-gnu", "s390x": "s390x-linux-gnu",
}

// readLinkerConf reads the configuration; nil without an error if there is too much of it. Behind the directories that it names come
// the built-in ones, and after each its subdirectories for better processors.
func (u *upgrade) readLinkerConf() (*linkerConf, error) {
	c := &linkerConf{files: make(map[string]bool), words: maxLinkerWords}
	names, err := u.confDirs(c, ldConfPath)
	if errors.Is(err, overlay.ErrTooLarge) {
		return nil, nil //nolint:nilnil // too much
	}
	if err != nil {
		return nil, err
	}
	for _, r := range u.db.records {
		if triplet := triplets[r.Arch]; r.Name == "libc-bin" && triplet != "" {
			names = append(names, "/lib/"+triplet, "/usr/lib/"+triplet)
		}
	}
	seen := make(map[string]bool)
	add := func(name, subdir string) {
		at := u.tree.Follow(strings.TrimLeft(name, "/"), true)
		if f, ok := u.tree.Lookup(at); ok && f.IsDir() && !seen[at] {
			seen[at] = true
			c.dirs = append(c.dirs, libraryDir{name, at, subdir})
		}
	}
	for _, name := range append(names, "/lib", "/usr/lib") { // as Debian builds it
		add(name, "")
		const subdirs = "glibc-hwcaps"
		for _, sub := range u.tree.Names(u.tree.Follow(path.Join(name, subdirs), true)) {
			if !strings.HasPrefix(sub, ".") && !strings.Contains(sub, ":") {
				add(name+"/"+subdirs+"/"+sub, sub)
			}
		}
		if len(c.dirs) > maxLibraryDirs {
			return nil, nil //nolint:nilnil // too many
		}
	}
	return c, nil
}

// confDirs lists the directories that a configuration file names, in order. A file that was read already names no others.
func (u *upgrade) confDirs(c *linkerConf, name string) ([]string, error) {
	at := u.tree.Follow(name, true)
	if c.files[at] {
		return nil, nil
	}
	c.files[at] = true
	data, err := u.tree.ReadFile(at, maxLinkerConf)
	if err != nil {
		return nil, err
	}
	var dirs []string
	for line := range strings.Lines(string(data)) {
		line, _, _ = strings.Cut(line, "#")
		line = strings.TrimSpace(line)
		words := strings.Fields(line)
		if c.words -= len(words); c.words < 0 {
			return nil, overlay.ErrTooLarge
		}
		switch {
		case len(words) > 1 && words[0] == "include":
			for _, pattern := range words[1:] {
				for _, file := range u.included(pattern, path.Dir(name)) {
					more, err := u.confDirs(c, file)
					if err != nil {
						return nil, err
					}
					dirs = append(dirs, more...)
				}
			}
		case strings.HasPrefix(line, "/"):
			dir, _, _ := strings.Cut(line, "=") // a library type of old
			dirs = append(dirs, strings.TrimRight(strings.TrimSpace(dir), "/"))
		}
	}
	return dirs, nil
}

// included lists the files that an include line means; its pattern's directory has no wildcards in practice.
func (u *upgrade) included(pattern, base string) []string {
	if !strings.HasPrefix(pattern, "/") {
		pattern = path.Join(base, pattern)
	}
	hidden := strings.HasPrefix(path.Base(pattern), ".")
	return slices.DeleteFunc(u.tree.Children(u.tree.Follow(path.Dir(pattern), true)), func(p string) bool {
		ok, err := path.Match(path.Base(pattern), path.Base(p))
		return err != nil || !ok || strings.HasPrefix(path.Base(p), ".") != hidden
	})
}
