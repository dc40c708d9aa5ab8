package dpkg

import (
	"archive/tar"
	"bytes"
	"cmp"
	"errors"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem/dpkg/internal/ldcache"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem/script"
	"github.com/nanopatch/nanopatch/rebuild/layer"
)

// The dynamic linker's configuration and the cache that ldconfig(8) makes (ld.so(8)).
const (
	ldConfPath  = "etc/ld.so.conf"
	ldCachePath = "etc/ld.so.cache"
)

// updateLibraries does what ldconfig does after an upgrade: the cache gets the names of new libraries and loses those of libraries
// that are gone, and names that no package ships are made links. What cannot be known of libraries that did not change holds
// the package that asks.
func (u *upgrade) updateLibraries() error {
	data, err := readFile(u.tree, ldCachePath)
	if err != nil || data == nil {
		return err // no cache, nothing to go stale
	}
	r := &linkerRun{upgrade: u, touched: make(map[string]*install)}
	for _, in := range u.installs {
		for _, p := range in.touched {
			if isLibraryName(path.Base(p)) && r.touched[p] == nil {
				r.touched[p] = in
			}
		}
	}
	if r.cache, err = ldcache.Parse(data); err != nil {
		for _, p := range slices.Sorted(maps.Keys(r.touched)) {
			u.holdStale(r.touched[p], "%s changes, and %v", listName(p), err)
		}
		return nil
	}
	if r.dirs, err = u.libraryDirs(); err != nil {
		return err
	}
	if len(r.touched) > 0 {
		for _, dir := range r.dirs {
			if err := r.look(dir); err != nil {
				return err
			}
		}
		r.forget()
	}
	if err := r.sign(); err != nil || r.by == nil {
		return err
	}
	return r.write(data)
}

func (u *upgrade) holdStale(in *install, format string, args ...any) {
	u.hold(in.key(), ecosystem.ReasonMaintainerScript, "%s would go stale: "+format, append([]any{listName(ldCachePath)}, args...)...)
}

// linkerRun is a run of ldconfig.
type linkerRun struct {
	*upgrade
	cache *ldcache.Cache
	dirs  []libraryDir
	// touched are the changed files that have a library's name, with the packages that changed them; by is the first package
	// because of which the cache changes.
	touched map[string]*install
	by      *install
}

// libraryDir is a directory that ldconfig searches.
type libraryDir struct {
	// name is as the cache spells it, at the physical path, subdir the name of one below glibc-hwcaps.
	name, at, subdir string
}

// namedLibrary is one that a directory has under a name.
type namedLibrary struct {
	*ldcache.Library
	// file is the name of the file that ldconfig takes it from; link says that it is a symbolic link, which goes by its own name.
	file string
	link bool
}

// look brings the cache's entries of a directory to what is there now.
func (r *linkerRun) look(dir libraryDir) error {
	found, opaque, err := r.find(dir)
	if err != nil {
		return err
	}
	var kept []ldcache.Entry
	listed := make(map[string]bool)
	for _, e := range r.cache.Entries {
		if path.Dir(e.Path) != dir.name || e.LegacyHwcap != 0 {
			kept = append(kept, e)
			continue
		}
		listed[e.Soname] = true
		if now, stays := r.renew(dir, e, found, opaque); stays {
			kept = append(kept, now)
		}
	}
	for _, soname := range slices.Sorted(maps.Keys(found)) {
		l := found[soname]
		in := r.toucher(dir, l.file)
		if listed[soname] || in == nil {
			continue
		}
		if dir.subdir != "" {
			r.holdStale(in, "%s is for better processors, and is not in it", listName(path.Join(dir.at, l.file)))
			continue
		}
		r.because(in)
		kept = append(kept, r.cache.Entry(l.Library, soname, dir.name+"/"+soname))
		r.link(dir, soname, l, in)
	}
	r.cache.Entries = kept
	return nil
}

// forget takes out what went with its directory.
func (r *linkerRun) forget() {
	r.cache.Entries = slices.DeleteFunc(r.cache.Entries, func(e ldcache.Entry) bool {
		at := r.tree.Follow(strings.TrimLeft(e.Path, "/"), true)
		in := r.touched[at]
		if in == nil || r.tree.Exists(path.Dir(at)) {
			return false
		}
		r.because(in)
		return true
	})
}

// renew tells what an entry of a directory becomes, and whether it stays at all.
func (r *linkerRun) renew(dir libraryDir, e ldcache.Entry, found map[string]namedLibrary, opaque []string) (ldcache.Entry, bool) {
	base := path.Base(e.Path)
	in := r.toucher(dir, base)
	l, ok := found[e.Soname]
	switch {
	case ok && (dir.subdir != "" && l.file != base):
		if by := cmp.Or(in, r.toucher(dir, l.file)); by != nil {
			r.holdStale(by, "%s is for better processors, and takes another file's place", listName(path.Join(dir.at, l.file)))
		}
		return e, true
	case ok:
		by := r.toucher(dir, l.file)
		if by == nil {
			return e, true
		}
		now := r.cache.Entry(l.Library, e.Soname, e.Path)
		now.Subdir, now.ISALevel = e.Subdir, e.ISALevel
		if now.Kind != e.Kind {
			r.holdStale(by, "%s is a library of another kind", listName(path.Join(dir.at, l.file)))
		}
		if now != e {
			r.because(by)
		}
		if dir.subdir == "" {
			r.link(dir, e.Soname, l, by)
		}
		return now, true
	case in == nil || slices.Contains(opaque, base):
		return e, true // whatever its author did, the upgrade does not concern it
	}
	for _, other := range opaque {
		if stem(other) == stem(e.Soname) {
			r.holdStale(in, "%s is gone, and %s may be another library of this name", listName(path.Join(dir.at, base)), other)
			return e, true
		}
	}
	r.because(in)
	if f, there := r.tree.Lookup(path.Join(dir.at, base)); there && f.Type == tar.TypeSymlink && !r.tree.Exists(r.tree.Follow(f.Path, true)) && strings.Contains(base, ".so.") {
		r.tree.Remove(f.Path, in.key(), false)
	}
	return e, false
}

// stem is the part of a library's name before its version.
func stem(name string) string {
	name, _, _ = strings.Cut(name, ".so")
	return name
}

// because notes the package that makes the cache change.
func (r *linkerRun) because(in *install) { r.by = cmp.Or(r.by, in) }

// toucher is the package that changed a file of a directory or what it leads to, nil if none did.
func (r *linkerRun) toucher(dir libraryDir, name string) *install {
	at := path.Join(dir.at, name)
	return cmp.Or(r.touched[at], r.touched[r.tree.Follow(at, true)])
}

// link makes the name of a library lead to its file, as ldconfig does where something else or nothing is there.
func (r *linkerRun) link(dir libraryDir, soname string, l namedLibrary, in *install) {
	at, file := path.Join(dir.at, soname), path.Join(dir.at, l.file)
	if l.link || soname == l.file {
		return
	}
	f, there := r.tree.Lookup(at)
	if there && (f.Type != tar.TypeSymlink || r.tree.Follow(at, true) == r.tree.Follow(file, true)) {
		return
	}
	r.tree.Set(&layer.Entry{
		Path: at, Type: tar.TypeSymlink, Linkname: l.file, Mode: 0o777, ModTime: r.opts.Time.Truncate(time.Second),
	}, in.key(), false)
}

// find reads the libraries of a directory, by the names that they go by; opaque are the files of which only the cache knows
// what they are: search_dir in glibc's elf/ldconfig.c. What is not at hand is not fetched: it would be whole layers.
func (r *linkerRun) find(dir libraryDir) (found map[string]namedLibrary, opaque []string, err error) {
	found = make(map[string]namedLibrary)
	for _, name := range r.tree.Names(dir.at) {
		at := path.Join(dir.at, name)
		f, ok := r.tree.Target(at)
		if !isLibraryName(name) || !ok || f.Regular() == nil {
			continue
		}
		if !f.Regular().HasContent() {
			opaque = append(opaque, name)
			continue
		}
		l, err := r.readLibrary(f)
		switch {
		case errors.Is(err, ldcache.ErrNoLibrary):
			continue
		case err != nil:
			return nil, nil, err
		}
		soname := cmp.Or(l.Soname, name)
		own, _ := r.tree.Lookup(at)
		link := own.Type == tar.TypeSymlink && (name == soname || strings.HasSuffix(name, ".so") && strings.HasPrefix(soname, name))
		if link {
			soname = name
		}
		old, has := found[soname]
		if !has || old.link && !link || old.link == link && ldcache.Compare(old.file, name) < 0 {
			found[soname] = namedLibrary{l, name, link}
		}
	}
	return found, opaque, nil
}

func (r *linkerRun) readLibrary(f script.File) (*ldcache.Library, error) {
	content, err := r.tree.Open(f)
	if err != nil {
		return nil, err
	}
	defer content.Close()
	return ldcache.Read(content)
}

// sign puts the name of a new ldconfig into the cache.
func (r *linkerRun) sign() error {
	for _, in := range r.installs {
		at := r.newLdconfig(in)
		if at == "" || r.cache.Generator == "" {
			continue
		}
		program, err := r.tree.ReadFile(at, maxDatabase)
		if err != nil {
			return err
		}
		name := string(bytes.TrimSuffix(generatorText.Find(program), []byte{0}))
		if name != "" && name != r.cache.Generator {
			r.cache.Generator = name
			r.because(in)
		}
	}
	return nil
}

// generatorText is how ldconfig names itself in the caches that it makes (generator in glibc's elf/cache.c).
var generatorText = regexp.MustCompile(`ldconfig \([ -~]{1,100}\) \w+ release version [0-9.]+\x00`)

// newLdconfig is the path of the ldconfig that a package brings, "" if it brings none. Ubuntu's is called by a shell script that
// has its name.
func (u *upgrade) newLdconfig(in *install) string {
	for _, name := range []string{"sbin/ldconfig.real", "sbin/ldconfig"} {
		at := u.tree.Follow(name, true)
		if f, ok := u.tree.Lookup(at); ok && f.Regular() != nil && slices.Contains(in.touched, at) {
			return at
		}
	}
	return ""
}

// write puts the cache in place, if it is one that is written as its ldconfig would.
func (r *linkerRun) write(old []byte) error {
	was, err := ldcache.Parse(old)
	if err != nil {
		return err
	}
	rank := func(e ldcache.Entry) int {
		return slices.IndexFunc(r.dirs, func(d libraryDir) bool { return d.name == path.Dir(e.Path) })
	}
	if !was.Exact || !was.Sorted(rank) {
		if !slices.Equal(was.Entries, r.cache.Entries) {
			r.holdStale(r.by, "it changes, and it is not as ldconfig writes it")
		}
		return nil // only its maker's name is of old
	}
	r.cache.Sort(rank)
	at, ok := r.tree.Target(ldCachePath)
	if !ok || at.Regular() == nil {
		return nil
	}
	header := *at.Regular()
	header.Path, header.ModTime = at.Path, r.opts.Time.Truncate(time.Second)
	e, err := layer.NewFile(header, layer.Bytes(r.cache.Bytes()))
	if err != nil {
		return err
	}
	r.tree.Set(e, r.by.key(), false)
	return nil
}

// isLibraryName tells whether ldconfig looks at a file of this name (elf/dl-is_dso.h in glibc), which no program left unfinished.
func isLibraryName(name string) bool {
	if strings.HasSuffix(name, ".dpkg-new") || strings.HasSuffix(name, ".dpkg-tmp") || strings.Contains(name, ";") {
		return false
	}
	return (strings.HasPrefix(name, "lib") || strings.HasPrefix(name, "ld-")) && strings.Contains(name, ".so") ||
		strings.HasPrefix(name, "ld.so.") || strings.HasPrefix(name, "ld64.so.")
}

// libraryDirs lists the directories that ldconfig searches, in its order: those that the configuration names and the built-in
// ones, and after each its subdirectories for better processors. One that has several names goes by the first.
func (u *upgrade) libraryDirs() ([]libraryDir, error) {
	var dirs []libraryDir
	add := func(name, subdir string) {
		at := u.tree.Follow(strings.TrimLeft(name, "/"), true)
		f, ok := u.tree.Lookup(at)
		if ok && f.IsDir() && !slices.ContainsFunc(dirs, func(d libraryDir) bool { return d.at == at }) {
			dirs = append(dirs, libraryDir{name, at, subdir})
		}
	}
	files := maxLinkerConfs
	names, err := u.readLinkerConf(ldConfPath, &files)
	if err != nil {
		return nil, err
	}
	for _, name := range append(names, "/lib", "/usr/lib") { // as Debian builds it
		add(name, "")
		const subdirs = "glibc-hwcaps"
		for _, sub := range u.tree.Names(u.tree.Follow(path.Join(name, subdirs), true)) {
			if !strings.HasPrefix(sub, ".") && !strings.Contains(sub, ":") {
				add(name+"/"+subdirs+"/"+sub, sub)
			}
		}
	}
	return dirs, nil
}

// maxLinkerConfs bounds the files that the linker's configuration is read from: one may include itself.
const maxLinkerConfs = 1000

// readLinkerConf lists the directories that a configuration file names, in order. left is how many more files may be read.
func (u *upgrade) readLinkerConf(name string, left *int) ([]string, error) {
	if *left--; *left < 0 {
		return nil, nil
	}
	data, err := readFile(u.tree, name)
	if err != nil {
		return nil, err
	}
	var dirs []string
	for line := range strings.Lines(string(data)) {
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		switch {
		case len(words) > 1 && words[0] == "include":
			for _, pattern := range words[1:] {
				for _, file := range u.included(pattern, path.Dir(name)) {
					more, err := u.readLinkerConf(file, left)
					if err != nil {
						return nil, err
					}
					dirs = append(dirs, more...)
				}
			}
		case strings.HasPrefix(strings.TrimSpace(line), "/"):
			dir, _, _ := strings.Cut(strings.TrimSpace(line), "=") // a library type of old
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
	var files []string
	for _, p := range u.tree.Children(u.tree.Follow(path.Dir(pattern), true)) {
		ok, err := path.Match(path.Base(pattern), path.Base(p))
		if err == nil && ok && strings.HasPrefix(path.Base(p), ".") == hidden {
			files = append(files, p)
		}
	}
	return files
}
