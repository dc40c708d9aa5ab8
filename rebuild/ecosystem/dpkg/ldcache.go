package dpkg

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem/script"
	"github.com/nanopatch/nanopatch/rebuild/layer"
)

// The dynamic linker's configuration and the cache that ldconfig(8) makes (ld.so(8)).
const (
	ldConfPath  = "etc/ld.so.conf"
	ldConfDir   = "etc/ld.so.conf.d"
	ldCachePath = "etc/ld.so.cache"
)

// checkLibraries holds packages that change which libraries the dynamic linker finds under which names. The cache
// holds for each library its soname and path, and neither the version nor anything else of the content, so it stays
// right as long as every soname that a changed file offers is in it with this path, and nothing that it names is gone.
func (u *upgrade) checkLibraries() error {
	data, err := readFile(u.tree, ldCachePath)
	if err != nil || data == nil {
		return err // no cache, nothing to go stale
	}
	dirs, err := u.libraryDirs()
	if err != nil {
		return err
	}
	cached, cacheErr := parseLDCache(data)
	places := make(map[string]string)
	for _, name := range slices.Sorted(maps.Keys(cached)) {
		places[u.tree.Place(strings.TrimLeft(name, "/"))] = cached[name]
	}
	for _, in := range u.installs {
		for _, p := range in.touched {
			if !dirs[path.Dir(p)] || !isLibraryName(path.Base(p)) || u.held(in.key()) {
				continue
			}
			why := u.staleLibrary(p, places)
			if why == "" {
				continue
			}
			if cacheErr != nil {
				why = cacheErr.Error()
			}
			u.hold(in.key(), ecosystem.ReasonMaintainerScript, "%s would go stale: %s", listName(ldCachePath), why)
		}
	}
	return u.signLibraryCache(data)
}

// generatorText is how ldconfig names itself in the caches that it makes (generator in glibc's elf/cache.c).
var generatorText = regexp.MustCompile(`ldconfig \([ -~]{1,100}\) \w+ release version [0-9.]+\x00`)

// The cache's extensions (struct cache_extension in glibc's sysdeps/generic/dl-cache.h), of which the generator is the one that
// comes last in the file.
const (
	ldExtensionMagic = 0xeaa42174
	ldGeneratorTag   = 0
)

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

// signLibraryCache puts the name of a new ldconfig into the cache, as the run of it would that leaves all else as it is.
func (u *upgrade) signLibraryCache(data []byte) error {
	for _, in := range u.installs {
		at := u.newLdconfig(in)
		if at == "" || u.held(in.key()) {
			continue
		}
		program, err := u.tree.ReadFile(at, maxDatabase)
		if err != nil {
			return err
		}
		name := generatorText.Find(program)
		signed := withGenerator(data, bytes.TrimSuffix(name, []byte{0}))
		if name == nil || bytes.Equal(signed, data) {
			continue
		}
		was, ok := u.tree.Target(ldCachePath)
		if !ok || was.Regular() == nil {
			return nil
		}
		header := *was.Regular()
		header.Path, header.ModTime = was.Path, u.opts.Time.Truncate(time.Second)
		e, err := layer.NewFile(header, layer.Bytes(signed))
		if err != nil {
			return err
		}
		u.tree.Set(e, in.key(), false)
	}
	return nil
}

// withGenerator replaces the generator's name in a cache that has one at its end; any other comes back as it is.
func withGenerator(data, name []byte) []byte {
	const headerSize, offsetAt, extensionHeader, sectionSize, maxSections = 48, 32, 8, 16, 16
	start := bytes.Index(data, []byte(ldCacheMagic))
	if start < 0 || len(data)-start < headerSize {
		return data
	}
	body := data[start:]
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		at := int64(order.Uint32(body[offsetAt:]))
		if at == 0 || at+extensionHeader > int64(len(body)) || order.Uint32(body[at:]) != ldExtensionMagic {
			continue
		}
		for i := range min(int64(order.Uint32(body[at+4:])), maxSections) {
			section := at + extensionHeader + i*sectionSize
			if section+sectionSize > int64(len(body)) || order.Uint32(body[section:]) != ldGeneratorTag {
				continue
			}
			from, size := int64(order.Uint32(body[section+8:])), int64(order.Uint32(body[section+12:]))
			if from+size != int64(len(body)) || from < section+sectionSize {
				continue
			}
			signed := append(bytes.Clone(data[:int64(start)+from]), name...)
			order.PutUint32(signed[int64(start)+section+12:], uint32(len(name)))
			return signed
		}
	}
	return data
}

// staleLibrary tells why the cache is wrong about a changed file, "" if it is right.
func (u *upgrade) staleLibrary(p string, cached map[string]string) string {
	f, ok := u.tree.Target(p)
	if !ok || f.Regular() == nil {
		if _, known := cached[p]; known {
			return listName(p) + " is gone"
		}
		return ""
	}
	soname, err := u.soname(f, path.Base(p))
	if errors.Is(err, errNoLibrary) {
		if _, known := cached[p]; known {
			return listName(p) + " is no library any more"
		}
		return ""
	}
	if err != nil {
		return fmt.Sprintf("%s: %v", listName(p), err)
	}
	if cached[path.Join(path.Dir(p), soname)] != soname {
		return fmt.Sprintf("%s is not in it", listName(path.Join(path.Dir(p), soname)))
	}
	return u.staleLink(path.Join(path.Dir(p), soname), soname)
}

// staleLink tells why a library does not lie where the cache has it, "" if it does. ldconfig would make a link of its soname there,
// where the package ships none.
func (u *upgrade) staleLink(at, soname string) string {
	f, ok := u.tree.Target(at)
	if !ok || f.Regular() == nil {
		return listName(at) + " leads nowhere"
	}
	there, err := u.soname(f, path.Base(at))
	if err != nil {
		return fmt.Sprintf("%s: %v", listName(at), err)
	}
	if there != soname {
		return listName(at) + " leads to another library"
	}
	return ""
}

var errNoLibrary = errors.New("not a shared library")

// soname reads the name under which programs ask for a library: DT_SONAME, or the file's own.
func (u *upgrade) soname(f script.File, name string) (string, error) {
	content, err := u.tree.Content(f)
	if err != nil {
		return "", err
	}
	r, err := new(layer.Index).Open(content)
	if err != nil {
		return "", err
	}
	defer r.Close()
	x, err := elf.NewFile(r)
	if err != nil || x.Type != elf.ET_DYN || !plainDynamic(x) {
		return "", errNoLibrary
	}
	names, err := x.DynString(elf.DT_SONAME)
	if err != nil {
		return "", errNoLibrary
	}
	if len(names) == 1 && names[0] != "" && !strings.Contains(names[0], "/") {
		return names[0], nil
	}
	return name, nil
}

// plainDynamic tells whether the sections that name libraries are stored as they are, as the dynamic linker needs them:
// a compressed section could unpack to anything.
func plainDynamic(x *elf.File) bool {
	for _, s := range x.Sections {
		if (s.Type == elf.SHT_DYNAMIC || s.Type == elf.SHT_STRTAB) && s.Flags&elf.SHF_COMPRESSED != 0 {
			return false
		}
	}
	return true
}

// isLibraryName tells whether ldconfig looks at a file of this name: lib*.so* and ld-*.so*.
func isLibraryName(name string) bool {
	return (strings.HasPrefix(name, "lib") || strings.HasPrefix(name, "ld-")) && strings.Contains(name, ".so")
}

// libraryDirs lists the physical directories that ldconfig searches: the built-in ones, those that the configuration
// names, and the subdirectories of each for better processors.
func (u *upgrade) libraryDirs() (map[string]bool, error) {
	dirs := make(map[string]bool)
	add := func(dir string) {
		at := u.tree.Follow(dir, true)
		dirs[at] = true
		for _, sub := range u.tree.Children(path.Join(at, "glibc-hwcaps")) {
			dirs[sub] = true
		}
	}
	for _, dir := range []string{"lib", "usr/lib"} { // as Debian builds it; others stand in the configuration
		add(dir)
	}
	files := []string{ldConfPath}
	const maxFiles = 1000
	for i := 0; i < len(files) && i < maxFiles; i++ {
		data, err := readFile(u.tree, files[i])
		if err != nil {
			return nil, err
		}
		for _, line := range strings.Split(string(data), "\n") {
			line, _, _ = strings.Cut(line, "#")
			line = strings.TrimSpace(line)
			if pattern, ok := strings.CutPrefix(line, "include "); ok {
				files = append(files, u.included(pattern, path.Dir(files[i]))...)
			} else if strings.HasPrefix(line, "/") {
				dir, _, _ := strings.Cut(line, "=") // a library type of old
				add(dir)
			}
		}
	}
	return dirs, nil
}

// included lists the files that an include line means; its pattern's directory has no wildcards in practice.
func (u *upgrade) included(pattern, base string) []string {
	pattern = strings.TrimSpace(pattern)
	if !strings.HasPrefix(pattern, "/") {
		pattern = path.Join(base, pattern)
	}
	var files []string
	for _, p := range u.tree.Children(u.tree.Follow(path.Dir(pattern), true)) {
		if ok, err := path.Match(path.Base(pattern), path.Base(p)); err == nil && ok {
			files = append(files, p)
		}
	}
	return files
}

// ldCacheMagic starts the cache's present format; that of the last century may come before it in one file.
const ldCacheMagic = "glibc-ld.so.cache1.1"

// parseLDCache reads which sonames the cache has and where, by path: struct cache_file_new and struct file_entry_new
// in glibc's sysdeps/generic/dl-cache.h. Numbers are in the image's byte order, strings are at offsets from the header.
func parseLDCache(data []byte) (map[string]string, error) {
	const headerSize, entrySize = 48, 24
	const maxCache, maxName = 8 << 20, 1000
	bad := errors.New("its format is not known")
	start := bytes.Index(data, []byte(ldCacheMagic))
	if start < 0 || len(data)-start < headerSize || len(data) > maxCache {
		return nil, bad
	}
	data = data[start:]
	var order binary.ByteOrder = binary.LittleEndian
	fits := func(n uint32) bool { return int64(n) <= int64(len(data)-headerSize)/entrySize }
	count := order.Uint32(data[20:])
	if !fits(count) {
		order = binary.BigEndian
		if count = order.Uint32(data[20:]); !fits(count) {
			return nil, bad
		}
	}
	text := func(offset uint32) (string, bool) {
		if int64(offset) >= int64(len(data)) {
			return "", false
		}
		s, _, ok := bytes.Cut(data[offset:min(int64(offset)+maxName, int64(len(data)))], []byte{0})
		return string(s), ok
	}
	all := make(map[string]string, count)
	for i := range int(count) {
		entry := data[headerSize+i*entrySize:]
		soname, ok := text(order.Uint32(entry[4:]))
		name, ok2 := text(order.Uint32(entry[8:]))
		if !ok || !ok2 {
			return nil, bad
		}
		all[name] = soname
	}
	return all, nil
}
