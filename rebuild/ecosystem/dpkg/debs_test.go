package dpkg

import (
	"archive/tar"
	"bytes"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nanopatch/nanopatch/rebuild/layer"
)

// spec describes a package to build.
type spec struct {
	// name is "demo" and arch "all" where empty.
	name, version, arch string
	// fields are added to the control file as they are.
	fields []string
	// files by path: content, or "-> TARGET" for a link and "= PATH" for a hard link; directories end with a slash, and
	// those above a file come by themselves.
	files files
	modes map[string]int64
	// owners are names of user and group, root where there is none.
	owners map[string][2]string
	// control holds further control files: conffiles, triggers, scripts.
	control files
	// plain leaves out md5sums.
	plain bool
}

// files is short for what a package ships.
type files = map[string]string

func (s spec) withDefaults() spec {
	if s.name == "" {
		s.name = "demo"
	}
	if s.arch == "" {
		s.arch = "all"
	}
	return s
}

// time of a version's files: each version has its own.
func (s spec) time() time.Time {
	seconds := int64(0)
	for _, c := range s.version {
		seconds = seconds*31 + int64(c)
	}
	return time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(seconds%100_000_000) * time.Second)
}

func (s spec) controlFile() string {
	text := fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: %s\nMaintainer: Some One <one@example.org>\n",
		s.name, s.version, s.arch)
	for _, f := range s.fields {
		text += f + "\n"
	}
	return text + "Description: a package for tests\n of two lines\n"
}

// controlFiles are all but the control file itself.
func (s spec) controlFiles() files {
	all := maps.Clone(s.control)
	if all == nil {
		all = files{}
	}
	var sums strings.Builder
	for _, p := range slices.Sorted(maps.Keys(s.files)) {
		content := s.files[p]
		link := strings.HasPrefix(content, "-> ") || strings.HasPrefix(content, "= ") || strings.HasSuffix(p, "/")
		if !link && !strings.Contains(s.control[infoConffiles], "/"+p+"\n") {
			fmt.Fprintf(&sums, "%x  %s\n", md5Of(content), p)
		}
	}
	if !s.plain && sums.Len() > 0 {
		all[infoMD5Sums] = sums.String()
	}
	return all
}

// paths lists what the package ships, in the order of its archive: the root first, links last.
func (s spec) paths() []string {
	dirs := map[string]bool{".": true}
	var plain, hard, links []string
	for p, content := range s.files {
		for d := path.Dir(p); d != "."; d = path.Dir(d) {
			dirs[d] = true
		}
		switch {
		case strings.HasSuffix(p, "/"):
			dirs[path.Clean(p)] = true
		case strings.HasPrefix(content, "= "):
			hard = append(hard, p)
		case strings.HasPrefix(content, "-> "):
			links = append(links, p)
		default:
			plain = append(plain, p)
		}
	}
	all := slices.AppendSeq(plain, maps.Keys(dirs))
	slices.Sort(all)
	slices.Sort(hard)
	slices.Sort(links)
	return slices.Concat(all, hard, links)
}

// header describes one path of the package.
func (s spec) header(p string) (*tar.Header, string) {
	content, isFile := s.files[p]
	h := &tar.Header{Name: "./" + p, Typeflag: tar.TypeReg, Mode: 0o644, ModTime: s.time(), Uname: "root", Gname: "root", Format: tar.FormatGNU}
	switch {
	case !isFile:
		h.Typeflag, h.Mode, h.Name = tar.TypeDir, 0o755, "./"+p+"/"
		if p == "." {
			h.Name = "./"
		}
		p += "/"
	case strings.HasPrefix(content, "-> "):
		h.Typeflag, h.Mode, h.Linkname, content = tar.TypeSymlink, 0o777, content[3:], ""
	case strings.HasPrefix(content, "= "):
		h.Typeflag, h.Linkname, content = tar.TypeLink, "./"+content[2:], ""
	}
	if mode, ok := s.modes[p]; ok {
		h.Mode = mode
	}
	if o, ok := s.owners[p]; ok {
		h.Uname, h.Gname, h.Uid, h.Gid = o[0], o[1], 12345, 12345
	}
	h.Size = int64(len(content))
	return h, content
}

func writeTar(t testing.TB, w *tar.Writer, h *tar.Header, content string) {
	t.Helper()
	if err := w.WriteHeader(h); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
}

func closeTar(t testing.TB, w *tar.Writer) {
	t.Helper()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// build makes a package file, as dpkg-deb would.
func build(t testing.TB, s spec) string {
	t.Helper()
	s = s.withDefaults()
	var control, data bytes.Buffer
	w := tar.NewWriter(&control)
	all := s.controlFiles()
	all[infoControl] = s.controlFile()
	writeTar(t, w, &tar.Header{Name: "./", Typeflag: tar.TypeDir, Mode: 0o755, ModTime: s.time(), Uname: "root", Gname: "root"}, "")
	for _, name := range slices.Sorted(maps.Keys(all)) {
		mode := int64(0o644)
		if strings.HasPrefix(name, "p") {
			mode = 0o755
		}
		writeTar(t, w, &tar.Header{
			Name: "./" + name, Typeflag: tar.TypeReg, Mode: mode, Size: int64(len(all[name])), ModTime: s.time(), Uname: "root", Gname: "root",
		}, all[name])
	}
	closeTar(t, w)
	w = tar.NewWriter(&data)
	for _, p := range s.paths() {
		h, content := s.header(p)
		writeTar(t, w, h, content)
	}
	closeTar(t, w)
	file := filepath.Join(t.TempDir(), fmt.Sprintf("%s_%s_%s.deb", s.name, strings.ReplaceAll(s.version, ":", "%3a"), s.arch))
	deb := rawDeb(version2, rawMember{"control.tar", control.Bytes()}, rawMember{"data.tar", data.Bytes()})
	if err := os.WriteFile(file, deb, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// image is a tree put together without dpkg.
type image struct {
	t     testing.TB
	files map[string]*tar.Header
	data  map[string]string
}

// newImage installs packages in an empty tree.
func newImage(t testing.TB, specs ...spec) *image {
	t.Helper()
	m := &image{t: t, files: map[string]*tar.Header{}, data: map[string]string{}}
	m.write("var/lib/dpkg/info/format", "1\n")
	m.write("etc/passwd", "root:x:0:0::/root:/bin/sh\nwww-data:x:33:33::/:/bin/sh\n")
	m.write("etc/group", "root:x:0:\nwww-data:x:33:\n")
	m.program("bin/dash", "ELF")
	m.symlink("bin/sh", "dash")
	status := ""
	for _, s := range specs {
		s = s.withDefaults()
		status += m.install(s) + "\n"
	}
	m.write(statusPath, status)
	return m
}

// install puts a package's files and control files into the tree and returns its stanza.
func (m *image) install(s spec) string {
	m.t.Helper()
	list := ""
	for _, p := range s.paths() {
		h, content := s.header(p)
		h.Name, h.Uid, h.Gid = path.Clean(h.Name), 0, 0
		h.Linkname = strings.TrimPrefix(h.Linkname, "./")
		if p != "." {
			m.files[p], m.data[p] = h, content
		}
		list += listName(p) + "\n"
	}
	base := infoDir + "/" + s.name
	if slices.Contains(s.fields, "Multi-Arch: same") {
		base += ":" + s.arch
	}
	m.write(base+".list", list)
	var conffiles []conffile
	for name, content := range s.controlFiles() {
		m.write(base+"."+name, content)
	}
	for _, p := range strings.Fields(s.control[infoConffiles]) {
		conffiles = append(conffiles, conffile{path: p[1:], hash: digest(md5Of(s.files[p[1:]])).String()})
	}
	control, _, err := NewReader([]byte(s.controlFile())).Next()
	if err != nil {
		m.t.Fatal(err)
	}
	stanza, err := formatStanza(control, &record{want: "install"}, conffiles)
	if err != nil {
		m.t.Fatal(err)
	}
	return stanza
}

func (m *image) write(p, content string) {
	m.files[p] = &tar.Header{Name: p, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(content)), ModTime: time.Unix(1_500_000_000, 0)}
	m.data[p] = content
	for d := path.Dir(p); d != "."; d = path.Dir(d) {
		if m.files[d] == nil {
			m.files[d] = &tar.Header{Name: d, Typeflag: tar.TypeDir, Mode: 0o755}
		}
	}
}

// program puts an executable file into the tree.
func (m *image) program(p, content string) {
	m.write(p, content)
	m.files[p].Mode = 0o755
}

func (m *image) symlink(p, target string) {
	m.write(p, "")
	m.files[p].Typeflag, m.files[p].Linkname = tar.TypeSymlink, target
}

// remove takes a path away with all below it.
func (m *image) remove(p string) {
	for name := range m.files {
		if name == p || strings.HasPrefix(name, p+"/") {
			delete(m.files, name)
		}
	}
}

// layer is the tree as one layer.
func (m *image) layer() *layer.Index {
	m.t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, links := range []bool{false, true} {
		for _, p := range slices.Sorted(maps.Keys(m.files)) {
			if h := m.files[p]; (h.Typeflag == tar.TypeLink) == links {
				writeTar(m.t, w, h, m.data[p])
			}
		}
	}
	closeTar(m.t, w)
	x, err := layer.Scan(m.t.Context(), &b, layer.ScanOptions{Keep: func(e *layer.Entry, _ []byte) bool {
		return Ecosystem{}.Wants(e.Path) || strings.HasSuffix(e.Path, ".info") // what is read of the layer itself
	}})
	if err != nil {
		m.t.Fatal(err)
	}
	return x
}
