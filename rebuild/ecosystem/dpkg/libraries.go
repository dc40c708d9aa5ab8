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
	"github.com/nanopatch/nanopatch/rebuild/layer"
)

// ldCachePath is the cache of the dynamic linker, which ldconfig(8) makes.
const ldCachePath = "etc/ld.so.cache"

// updateLibraries does what ldconfig does after an upgrade: the cache gets the names of new libraries and loses those of libraries
// that are gone, and names that no package ships are made links.
//
// Of libraries that did not change nothing is read; what is known of them is what the cache says. So entries are edited, and whatever
// would ask for more holds the package that asks: a change of the linker's configuration, directories that the cache spells otherwise
// or that are for processors of old, files of which it is not known whether they are libraries of the same name.
func (u *upgrade) updateLibraries() error {
	data, err := readFile(u.tree, ldCachePath)
	if err != nil || data == nil {
		return err // no cache, nothing to go stale
	}
	r := &linkerRun{
		upgrade: u, touched: make(map[string]*install), touchedDirs: make(map[string]*install), rank: make(map[string]int),
		edits: make(map[int]*ldcache.Entry),
	}
	for _, in := range u.installs {
		for _, p := range in.touched {
			if isLibraryName(path.Base(p)) && r.touched[p] == nil {
				r.touched[p] = in
				r.touchedDirs[path.Dir(p)] = cmp.Or(r.touchedDirs[path.Dir(p)], in)
			}
		}
	}
	if r.cache, err = ldcache.Parse(data); err != nil {
		r.holdAll(err.Error())
		return nil
	}
	if known, err := r.prepare(); err != nil || !known {
		return err
	}
	if len(r.touched) > 0 {
		for _, dir := range r.dirs {
			if err := r.look(dir); err != nil {
				return err
			}
		}
		r.lookElsewhere()
	}
	if err := r.sign(); err != nil || r.by == nil {
		return err
	}
	return r.write()
}

// linkerRun is a run of ldconfig.
type linkerRun struct {
	*upgrade
	cache *ldcache.Cache
	dirs  []libraryDir
	// rank gives the places of dirs by name, listed the entries of each.
	rank   map[string]int
	listed map[string][]int
	// touched are the changed files that have a library's name, by physical path, and touchedDirs the directories with any, with a
	// package that changed them; by is the first package because of which the cache changes.
	touched, touchedDirs map[string]*install
	by                   *install
	// edits are the entries that change, by number, nil for those that go; added are new.
	edits map[int]*ldcache.Entry
	added []ldcache.Entry
	// owned are the physical paths that packages ship, once they are asked for.
	owned map[string]bool
}

func (r *linkerRun) holdStale(in *install, format string, args ...any) {
	r.hold(in.key(), ecosystem.ReasonMaintainerScript, "%s would go stale: "+format, append([]any{listName(ldCachePath)}, args...)...)
}

// holdAll holds every package that changes a library.
func (r *linkerRun) holdAll(why string) {
	for _, p := range slices.Sorted(maps.Keys(r.touched)) {
		r.holdStale(r.touched[p], "%s changes, and %s", listName(p), why)
	}
}

// prepare reads the configuration. It is not known what to do where that itself changes, or is too large.
func (r *linkerRun) prepare() (known bool, err error) {
	conf, err := r.readLinkerConf()
	if err != nil {
		return false, err
	}
	if conf == nil {
		r.holdAll("the linker's configuration is too large")
		return false, nil
	}
	for _, in := range r.installs {
		if p := in.changed(conf.isPart); p != "" {
			r.holdStale(in, "%s changes, which configures it", listName(p))
			return false, nil
		}
	}
	r.dirs, r.listed = conf.dirs, make(map[string][]int)
	for i, d := range r.dirs {
		r.rank[d.name] = i
	}
	for i, e := range r.cache.Entries {
		r.listed[path.Dir(e.Path)] = append(r.listed[path.Dir(e.Path)], i)
	}
	return true, nil
}

// because notes the package that makes the cache change.
func (r *linkerRun) because(in *install) { r.by = cmp.Or(r.by, in) }

// toucher is the package that changed a file of a directory or what it leads to, nil if none did.
func (r *linkerRun) toucher(dir libraryDir, name string) *install {
	at := path.Join(dir.at, name)
	return cmp.Or(r.touched[at], r.touched[r.tree.Follow(at, true)])
}

// look brings the cache's entries of a directory to what is there now.
func (r *linkerRun) look(dir libraryDir) error {
	s, err := r.scan(dir)
	if err != nil || !s.touched {
		return err
	}
	for _, i := range r.listed[dir.name] {
		e := r.cache.Entries[i]
		s.listed[e.Soname], s.listed[path.Base(e.Path)] = true, true
	}
	for _, i := range r.listed[dir.name] {
		r.renew(s, i)
	}
	for _, soname := range slices.Sorted(maps.Keys(s.found)) {
		if !s.listed[soname] {
			r.add(s, soname)
		}
	}
	for _, name := range s.opaque {
		if in := r.touched[path.Join(dir.at, name)]; in != nil && !s.listed[name] {
			r.holdStale(in, "%s leads to a file of which it is not known what library it is", listName(path.Join(dir.at, name)))
		}
	}
	for _, name := range s.dangling { // ldconfig removes those that it does not lead elsewhere
		at := path.Join(dir.at, name)
		if in := r.toucher(dir, name); in != nil && !r.tree.Exists(r.tree.Follow(at, true)) {
			r.tree.Remove(at, in.key(), false)
		}
	}
	return nil
}

// renew decides what an entry becomes.
func (r *linkerRun) renew(s *scanned, i int) {
	e := r.cache.Entries[i]
	base := path.Base(e.Path)
	at := listName(path.Join(s.dir.at, base))
	in := r.toucher(s.dir, base)
	l, found := s.found[e.Soname]
	switch {
	case found && s.dir.subdir != "" && l.file != base:
		r.holdStale(r.toucher(s.dir, l.file), "%s is for better processors, and takes another file's place", listName(path.Join(s.dir.at, l.file)))
	case found:
		by := r.toucher(s.dir, l.file)
		renewed, known := r.cache.Renew(e, l.Library)
		if !known {
			r.holdStale(by, "%s is for another machine", listName(path.Join(s.dir.at, l.file)))
		}
		if renewed != e {
			r.because(by)
			r.edits[i] = &renewed
		}
		r.link(s, e.Soname, l, by)
	case in == nil:
		// Whatever its author did, the upgrade does not concern it.
	case slices.Contains(s.opaque, base):
		r.holdStale(in, "%s leads to a file of which it is not known what library it is", at)
	case !r.rivals(s, e.Soname, in):
		r.because(in)
		r.edits[i] = nil
	}
}

// add makes an entry for a name that is new.
func (r *linkerRun) add(s *scanned, soname string) {
	l := s.found[soname]
	in := r.toucher(s.dir, l.file)
	at := listName(path.Join(s.dir.at, l.file))
	if s.dir.subdir != "" {
		r.holdStale(in, "%s is for better processors, and is not in it", at)
		return
	}
	e, known := r.cache.Entry(l.Library, soname, s.dir.name+"/"+soname)
	if !known {
		r.holdStale(in, "%s is not in it, and for a machine that no library in it is for", at)
		return
	}
	r.because(in)
	r.added = append(r.added, e)
	r.link(s, soname, l, in)
}

// link makes the name of a library lead to its file, as ldconfig does where something else or nothing is there.
func (r *linkerRun) link(s *scanned, soname string, l namedLibrary, in *install) {
	at, file := path.Join(s.dir.at, soname), path.Join(s.dir.at, l.file)
	if l.link || soname == l.file || s.dir.subdir != "" || r.rivals(s, soname, in) {
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

// rivals tells whether a file that is not known may be another library of a name: one that neither the cache nor a package explains.
// Then the package that touches the name is held.
func (r *linkerRun) rivals(s *scanned, soname string, in *install) bool {
	for _, other := range s.opaque {
		if stem(other) != stem(soname) || s.listed[other] || r.owns(path.Join(s.dir.at, other)) {
			continue
		}
		r.holdStale(in, "%s may be another library of the name %s", listName(path.Join(s.dir.at, other)), soname)
		return true
	}
	return false
}

// stem is the part of a library's name before its version.
func stem(name string) string {
	name, _, _ = strings.Cut(name, ".so")
	return name
}

// owns tells whether an installed package ships a physical path.
func (r *linkerRun) owns(at string) bool {
	if r.owned == nil {
		r.owned = make(map[string]bool)
		for _, o := range r.db.records {
			list, err := r.db.list(o)
			if err != nil {
				continue // it ships nothing that is known
			}
			for _, p := range list {
				r.owned[r.tree.Place(r.diversions.use(p, o.Name))] = true
			}
		}
	}
	return r.owned[at]
}

// legacyDirs are the names of directories for better processors up to glibc 2.36.
var legacyDirs = regexp.MustCompile(`^(tls|sse2|x86_64|avx512_1|i[3-6]86|haswell|xeon_phi|neon|vfp.*|power.*|ppc.*|z\d+|z9-109|zEC12|g5|te?m.*|sparc.*|v[89].*)$`)

// lookElsewhere holds what touches libraries where the cache has entries that belong to no directory that ldconfig searches under
// that name, or where it would find them for processors of old. Entries of directories that are gone go.
func (r *linkerRun) lookElsewhere() {
	for _, name := range slices.Sorted(maps.Keys(r.listed)) {
		_, searched := r.rank[name]
		at := r.tree.Follow(strings.TrimLeft(name, "/"), true)
		in := r.touchedDirs[at]
		if searched || in == nil {
			continue
		}
		if r.tree.Exists(at) {
			r.holdStale(in, "it has libraries of %s, which is searched under another name or not at all", listName(at))
			continue
		}
		r.because(in)
		for _, i := range r.listed[name] {
			r.edits[i] = nil
		}
	}
	if !r.cache.Before(37) {
		return
	}
	searched := make(map[string]bool)
	for _, d := range r.dirs {
		searched[d.at] = true
	}
	for _, at := range slices.Sorted(maps.Keys(r.touchedDirs)) {
		if legacyDirs.MatchString(path.Base(at)) && searched[path.Dir(at)] {
			r.holdStale(r.touchedDirs[at], "%s has libraries for certain processors", listName(at))
		}
	}
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
func (r *linkerRun) write() error {
	rank := func(e ldcache.Entry) int { return r.rank[path.Dir(e.Path)] }
	if !r.cache.Exact || !r.cache.Sorted(rank) {
		if len(r.edits)+len(r.added) > 0 {
			r.holdStale(r.by, "it changes, and it is not as ldconfig writes it")
		}
		return nil // only its maker's name is of old
	}
	var entries []ldcache.Entry
	for i, e := range r.cache.Entries {
		if edited, ok := r.edits[i]; !ok {
			entries = append(entries, e)
		} else if edited != nil {
			entries = append(entries, *edited)
		}
	}
	r.cache.Entries = append(entries, r.added...)
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

// scanned is what a directory has.
type scanned struct {
	dir libraryDir
	// found are the libraries that the run changed, by the names that they go by; opaque are the files of which only the cache knows
	// what they are, dangling the links to libraries that the run removed.
	found            map[string]namedLibrary
	opaque, dangling []string
	// touched says that the run concerns the directory at all; listed are the names that the cache has of it.
	touched bool
	listed  map[string]bool
}

// namedLibrary is one that a directory has under a name.
type namedLibrary struct {
	*ldcache.Library
	// file is the name of the file that ldconfig takes it from; link says that it is a symbolic link, which goes by its own name.
	file string
	link bool
}

// scan reads the libraries of a directory that the run changed (search_dir in glibc's elf/ldconfig.c). What it did not change is not
// read: it would be whole layers to fetch.
func (r *linkerRun) scan(dir libraryDir) (*scanned, error) {
	s := &scanned{
		dir: dir, found: make(map[string]namedLibrary), listed: make(map[string]bool), touched: r.touchedDirs[dir.at] != nil,
	}
	for _, name := range r.tree.Names(dir.at) {
		if !isLibraryName(name) {
			continue
		}
		own, _ := r.tree.Lookup(path.Join(dir.at, name))
		f, there := r.tree.Target(own.Path)
		touched := r.toucher(dir, name) != nil
		s.touched = s.touched || touched
		switch {
		case !there && touched && own.Type == tar.TypeSymlink && strings.Contains(name, ".so."):
			s.dangling = append(s.dangling, name)
		case !there || f.Regular() == nil:
		case !touched || !f.Regular().HasContent() || r.touched[f.Path] == nil:
			s.opaque = append(s.opaque, name)
		default:
			content, err := r.tree.Open(f)
			if err != nil {
				return nil, err
			}
			l, err := ldcache.Read(content)
			content.Close()
			if err == nil {
				s.take(name, own.Type == tar.TypeSymlink, l)
			} else if !errors.Is(err, ldcache.ErrNoLibrary) {
				return nil, err
			}
		}
	}
	return s, nil
}

// take notes a library under its name; of several of one name a file comes before a link, and a later version before an earlier.
func (s *scanned) take(name string, symlink bool, l *ldcache.Library) {
	soname := cmp.Or(l.Soname, name)
	link := symlink && (name == soname || strings.HasSuffix(name, ".so") && strings.HasPrefix(soname, name))
	if link {
		soname = name
	}
	old, has := s.found[soname]
	if !has || old.link && !link || old.link == link && ldcache.Compare(old.file, name) < 0 {
		s.found[soname] = namedLibrary{l, name, link}
	}
}

// isLibraryName tells whether ldconfig looks at a file of this name (elf/dl-is_dso.h in glibc), which no program left unfinished.
func isLibraryName(name string) bool {
	if strings.HasSuffix(name, ".dpkg-new") || strings.HasSuffix(name, ".dpkg-tmp") || strings.Contains(name, ";") {
		return false
	}
	return (strings.HasPrefix(name, "lib") || strings.HasPrefix(name, "ld-")) && strings.Contains(name, ".so") ||
		strings.HasPrefix(name, "ld.so.") || strings.HasPrefix(name, "ld64.so.")
}
