package apt_test

import (
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/nanopatch/nanopatch/rebuild/pkgrepo/apt"
)

const fpr = "B8B80B5B623EAB6AD8775C45B7C5D7D6350947F8"

func source(uri, suite, from string, components ...string) apt.Source {
	return apt.Source{URI: uri, Suite: suite, Components: components, From: from}
}

func with(s apt.Source, change func(*apt.Source)) apt.Source {
	change(&s)
	return s
}

const (
	deb = "http://deb.debian.org/debian"
	one = "etc/apt/sources.list"
	two = "etc/apt/sources.list.d/x.sources"
)

// sourcesTests are images' configurations and what is read from them.
var sourcesTests = []struct {
	name  string
	files map[string]string
	want  []apt.Source
	// notes are parts of the notes, one each; problem is part of the error.
	notes   []string
	problem string
}{
	{
		name:  "one-line",
		files: map[string]string{one: "# comment\n\ndeb http://deb.debian.org/debian/ bookworm main  contrib # more\ndeb-src " + deb + " bookworm main\n"},
		want:  []apt.Source{source(deb, "bookworm", one+":3", "main", "contrib")},
	},
	{
		name:  "options",
		files: map[string]string{one: "deb [ arch=amd64,i386 signed-by=/usr/share/keyrings/a.gpg," + fpr + "! by-hash=no] " + deb + " bookworm main"},
		want: []apt.Source{with(source(deb, "bookworm", one+":1", "main"), func(s *apt.Source) {
			s.Architectures = []string{"amd64", "i386"}
			s.SignedBy = apt.SignedBy{Files: []string{"/usr/share/keyrings/a.gpg"}, Fingerprints: []string{fpr + "!"}}
			s.NoByHash = true
		})},
	},
	{
		name: "deb822",
		files: map[string]string{two: `# See https://wiki.debian.org/SourcesList
Types: deb deb-src
# a comment inside
URIs: http://deb.debian.org/debian https://mirror.example/debian/
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Enabled: no
Types: deb
URIs: http://off.example
Suites: x
Components: y

types: deb
uris: http://flat.example
suites: $(ARCH)/
Architectures-Remove: i386
`},
		want: []apt.Source{
			with(source(deb, "bookworm", two+":2", "main"), debianKey),
			with(source(deb, "bookworm-updates", two+":2", "main"), debianKey),
			with(source("https://mirror.example/debian", "bookworm", two+":2", "main"), debianKey),
			with(source("https://mirror.example/debian", "bookworm-updates", two+":2", "main"), debianKey),
			with(source("http://flat.example", "amd64/", two+":15"), func(s *apt.Source) {
				s.Architectures = []string{"amd64"}
			}),
		},
	},
	{
		name:  "inline key",
		files: map[string]string{two: "Types: deb\nURIs: http://a.example\nSuites: ./\nSigned-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc\n -----END PGP PUBLIC KEY BLOCK-----\n"},
		want: []apt.Source{with(source("http://a.example", "./", two+":1"), func(s *apt.Source) {
			s.SignedBy.Keys = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nabc\n-----END PGP PUBLIC KEY BLOCK-----\n"
		})},
	},
	{
		name: "lines of one suite are merged",
		files: map[string]string{
			one:                                      "deb " + deb + " bookworm main",
			"etc/apt/sources.list.d/a.list":          "deb " + deb + "/ bookworm contrib main",
			"etc/apt/sources.list.d/b.list.disabled": "deb http://other.example x y",
			"etc/apt/sources.list.d/.c.list":         "deb http://other.example x y",
			"etc/apt/sources.list.d/d~.list":         "deb http://other.example x y",
		},
		want: []apt.Source{source(deb, "bookworm", one+":1", "main", "contrib")},
	},
	{
		name: "not for updating from",
		files: map[string]string{one: "deb cdrom:[Debian GNU/Linux 12 _Bookworm_ - amd64]/ bookworm main\ndeb file:/srv/repo ./\ndeb copy:/srv/repo ./\n" +
			"deb [trusted=yes] " + deb + " bookworm main"},
		want:  []apt.Source{source(deb, "bookworm", one+":4", "main")},
		notes: []string{"CD-ROM", "file: names a directory", "copy: names a directory", "trusted is not honoured"},
	},
	{
		name: "mirror list",
		files: map[string]string{
			one:                      "deb mirror+file:/etc/apt/mirrors/m.list bookworm main",
			"etc/apt/mirrors/m.list": "# mirrors\nhttps://slow.example/debian\tpriority:2\nhttps://deb.debian.org/debian/ priority:1\n",
		},
		want: []apt.Source{source("https://deb.debian.org/debian", "bookworm", one+":1", "main")},
	},
	{
		name:  "snapshot",
		files: map[string]string{one: "deb [snapshot=20260101T000000Z] " + deb + " bookworm main\ndeb [snapshot=enable] " + deb + "-security bookworm-security main"},
		want: []apt.Source{
			source("https://snapshot.debian.org/archive/debian/20260101T000000Z", "bookworm", one+":1", "main"),
			source(deb+"-security", "bookworm-security", one+":2", "main"),
		},
	},
	{name: "mirror", files: map[string]string{one: "\ndeb mirror://x.example/list bookworm main"}, problem: one + `:2: the access method "mirror" is not supported`},
	{name: "tor", files: map[string]string{one: "deb tor+https://x.example bookworm main"}, problem: "not supported"},
	{
		name: "freshness of a mirror",
		files: map[string]string{
			one: "deb [check-valid-until=no] " + deb + " bookworm main\ndeb [check-valid-until=yes] http://x.example ./\n" +
				"deb [check-date=no check-valid-until=no] http://snapshot.debian.org.evil.example y main",
			two: "Types: deb\nURIs: http://z.example\nSuites: ./\nCheck-Date: no\n",
		},
		want: []apt.Source{
			source(deb, "bookworm", one+":1", "main"), source("http://x.example", "./", one+":2"),
			source("http://snapshot.debian.org.evil.example", "y", one+":3", "main"), source("http://z.example", "./", two+":1"),
		},
		notes: []string{
			one + ":1: check-valid-until=no is not honoured for " + deb, one + ":3: check-date=no, check-valid-until=no is not honoured",
			two + ":1: check-date=no is not honoured for http://z.example",
		},
	},
	{
		name: "freshness of a snapshot",
		files: map[string]string{
			one: "deb [check-valid-until=no] http://snapshot.debian.org/archive/debian/20260101T000000Z bookworm main\n" +
				"deb [check-date=no] https://snapshot.ubuntu.com/ubuntu/20260101T000000Z noble main\n" +
				"deb [snapshot=20260101T000000Z check-valid-until=no] " + deb + "-security bookworm-security main",
		},
		want: []apt.Source{
			with(source("http://snapshot.debian.org/archive/debian/20260101T000000Z", "bookworm", one+":1", "main"), func(s *apt.Source) { s.IgnoreValidUntil = true }),
			with(source("https://snapshot.ubuntu.com/ubuntu/20260101T000000Z", "noble", one+":2", "main"), func(s *apt.Source) {
				s.IgnoreDate, s.IgnoreValidUntil = true, true
			}),
			with(source("https://snapshot.debian.org/archive/debian-security/20260101T000000Z", "bookworm-security", one+":3", "main"),
				func(s *apt.Source) { s.IgnoreValidUntil = true }),
		},
		notes: []string{"check-valid-until=no: how old", "check-date=no: how old", "check-valid-until=no: how old"},
	},
	{name: "unknown snapshot", files: map[string]string{one: "deb [snapshot=20260101T000000Z] http://x.example bookworm main"}, problem: "no snapshot service"},
	{name: "unknown type", files: map[string]string{one: "rpm http://x.example bookworm main"}, problem: `unknown type "rpm"`},
	{name: "no component", files: map[string]string{one: "deb http://x.example bookworm"}, problem: "has no component"},
	{name: "flat with component", files: map[string]string{one: "deb http://x.example ./ main"}, problem: "cannot have components"},
	{name: "no suite", files: map[string]string{one: "deb http://x.example"}, problem: "want: deb"},
	{name: "open bracket", files: map[string]string{one: "deb [arch=amd64 http://x.example bookworm main"}, problem: "not key=value"},
	{name: "open bracket at the end", files: map[string]string{one: "deb [arch=amd64"}, problem: "closing bracket"},
	{name: "suite leads outside", files: map[string]string{one: "deb http://x.example ../../etc main"}, problem: "unusable suite"},
	{name: "component leads outside", files: map[string]string{one: "deb http://x.example bookworm main/../../x"}, problem: "unusable suite or component"},
	{name: "control characters", files: map[string]string{one: "deb http://x.example book\x1bworm main"}, problem: "unusable suite"},
	{name: "password", files: map[string]string{one: "deb https://user:secret@x.example bookworm main"}, problem: "a login or a query in an address"},
	{name: "no host", files: map[string]string{one: "deb http:///debian bookworm main"}, problem: "not a usable URI"},
	{name: "Signed-By", files: map[string]string{one: "deb [signed-by=key.gpg] http://x.example bookworm main"}, problem: "Signed-By wants"},
	{name: "Signed-By differs", files: map[string]string{one: "deb [signed-by=/a.gpg] http://x.example bookworm main\ndeb http://x.example bookworm contrib"}, problem: "Signed-By differs"},
	{name: "no Types", files: map[string]string{two: "URIs: http://x.example\nSuites: ./\n"}, problem: two + ":1: no Types"},
	{name: "not deb822", files: map[string]string{two: "deb http://x.example bookworm main\n"}, problem: two + ":1:"},
	{name: "field twice", files: map[string]string{two: "Types: deb\ntypes: deb\n"}, problem: "twice"},
	{name: "stray continuation", files: map[string]string{two: " deb\n"}, problem: "continuation line"},
	{name: "too many components", files: map[string]string{one: "deb http://x.example x" + strings.Repeat(" y", 101)}, problem: "more than 100"},
	{name: "too large", files: map[string]string{one: strings.Repeat("#\n", 1<<20)}, problem: "larger than"},
	{name: "too many", files: map[string]string{one: strings.Repeat("deb http://x.example ./\n", 501)}, problem: "more than 500 sources"},
}

func TestSources(t *testing.T) {
	for _, tt := range sourcesTests {
		t.Run(tt.name, func(t *testing.T) {
			root := fstest.MapFS{"etc/os-release": {Data: []byte(osRelease)}}
			for name, text := range tt.files {
				root[name] = &fstest.MapFile{Data: []byte(text)}
			}
			got, err := apt.Sources(root, "amd64")
			if tt.problem != "" {
				if err == nil || !strings.Contains(err.Error(), tt.problem) || !errors.As(err, new(*apt.ConfigError)) {
					t.Errorf("error is %v, want a ConfigError with %q", err, tt.problem)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got.Sources, cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
			wantNotes(t, got.Notes, tt.notes)
		})
	}
}

func debianKey(s *apt.Source) {
	s.SignedBy.Files = []string{"/usr/share/keyrings/debian-archive-keyring.gpg"}
}

func wantNotes(t *testing.T, got, want []string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("notes %q, want %q", got, want)
		return
	}
	for i := range got {
		if !strings.Contains(got[i], want[i]) {
			t.Errorf("note %q lacks %q", got[i], want[i])
		}
	}
}

func TestDefaults(t *testing.T) {
	const deb, sec = "http://ftp.debian.org/debian", "http://security.debian.org/debian-security"
	const ubu, ports = "http://archive.ubuntu.com/ubuntu", "http://ports.ubuntu.com/ubuntu-ports"
	distroless := `PRETTY_NAME="Distroless"
NAME="Debian GNU/Linux"
ID="debian"
VERSION_ID="12"
VERSION="Debian GNU/Linux 12 (bookworm)"
`
	ubuntu := "ID=ubuntu\nVERSION_ID=\"24.04\"\nVERSION_CODENAME=noble\n"
	tests := []struct {
		name, file, osRelease, arch string
		want                        []string
	}{
		{"Debian", "etc/os-release", osRelease, "amd64", []string{"deb " + deb + " bookworm main", "deb " + deb + " bookworm-updates main", "deb " + sec + " bookworm-security main"}},
		{"distroless", "usr/lib/os-release", distroless, "arm64", []string{"deb " + deb + " bookworm main", "deb " + deb + " bookworm-updates main", "deb " + sec + " bookworm-security main"}},
		{"Ubuntu", "etc/os-release", ubuntu, "amd64", []string{
			"deb " + ubu + " noble main restricted universe multiverse", "deb " + ubu + " noble-updates main restricted universe multiverse",
			"deb http://security.ubuntu.com/ubuntu noble-security main restricted universe multiverse",
		}},
		{"Ubuntu on arm64", "etc/os-release", ubuntu, "arm64", []string{
			"deb " + ports + " noble main restricted universe multiverse", "deb " + ports + " noble-updates main restricted universe multiverse",
			"deb " + ports + " noble-security main restricted universe multiverse",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			root := fstest.MapFS{
				tt.file: {Data: []byte(tt.osRelease)}, "etc/apt/sources.list": {Data: []byte("# nothing\n")},
			}
			got, err := apt.Sources(root, tt.arch)
			if err != nil {
				t.Fatal(err)
			}
			var lines []string
			for _, s := range got.Sources {
				lines = append(lines, s.String())
			}
			if diff := cmp.Diff(tt.want, lines); diff != "" {
				t.Error(diff)
			}
			wantNotes(t, got.Notes, []string{"using the defaults of "})
		})
	}
}

func TestNoDefaults(t *testing.T) {
	for osRelease, want := range map[string]string{
		"ID=kali\nVERSION_ID=2026.1\n": "kali 2026.1",
		"":                             "without etc/os-release",
		"ID=debian\nPRETTY_NAME=\"Debian GNU/Linux forky/sid\"\n":         "debian",
		"ID=debian\nVERSION_ID=10\n":                                      "2024-06-30",
		"ID=ubuntu\nVERSION_ID=99.04\nVERSION_CODENAME=\"zesty zebra\"\n": "zesty zebra",
	} {
		root := fstest.MapFS{}
		if osRelease != "" {
			root["etc/os-release"] = &fstest.MapFile{Data: []byte(osRelease)}
		}
		_, err := apt.Sources(root, "amd64")
		known := errors.As(err, new(*apt.UnknownDistroError)) || errors.As(err, new(*apt.ArchivedError))
		if !known || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "--repo-override") {
			t.Errorf("%q: %v", osRelease, err)
		}
	}
}

func TestOverrides(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	list := write("x.list", "deb http://x.example bookworm main\n")
	sources := write("x.sources", "Types: deb\nURIs: http://y.example\nSuites: ./\n")
	plain := write("plain", "# deb822 without the extension\nTypes: deb\nURIs: file:"+dir+"\nSuites: ./\n")
	empty := write("empty", "# nothing\n")
	const flag = "--repo-override"
	tests := []struct {
		specs   []string
		want    []apt.Source
		problem string
	}{
		{[]string{"deb [arch=amd64] http://x.example  bookworm main"}, []apt.Source{with(source("http://x.example", "bookworm", flag, "main"), func(s *apt.Source) { s.Architectures = []string{"amd64"} })}, ""},
		{[]string{"http://x.example/debian/", "https://y.example"}, []apt.Source{source("http://x.example/debian", "", flag), source("https://y.example", "", flag)}, ""},
		{[]string{dir}, []apt.Source{source("file://"+dir, "", flag)}, ""},
		{[]string{"file:" + dir + "/"}, []apt.Source{source("file://"+dir, "", flag)}, ""},
		{[]string{list, sources}, []apt.Source{source("http://x.example", "bookworm", list+":1", "main"), source("http://y.example", "./", sources+":1")}, ""},
		{[]string{plain}, []apt.Source{source("file://"+dir, "./", plain+":2")}, ""},
		{[]string{empty}, nil, "names no repository"},
		{[]string{filepath.Join(dir, "none")}, nil, "no source line, no URL and no file"},
		{[]string{"deb http://x.example"}, nil, "want: deb"},
		{[]string{"http://x.example/?q=1"}, nil, "a login or a query in an address"},
		{[]string{"deb-src http://x.example bookworm main"}, nil, "names no repository"},
	}
	for _, tt := range tests {
		// The image's own sources must not matter, not even broken ones.
		root := fstest.MapFS{"etc/apt/sources.list": {Data: []byte("broken")}}
		got, err := apt.Sources(root, "amd64", tt.specs...)
		if tt.problem != "" {
			if err == nil || !strings.Contains(err.Error(), tt.problem) {
				t.Errorf("%q: error is %v, want %q", tt.specs, err, tt.problem)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", tt.specs, err)
			continue
		}
		if diff := cmp.Diff(tt.want, got.Sources, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%q: %s", tt.specs, diff)
		}
	}
}

// recordingFS notes what is opened.
type recordingFS struct {
	fstest.MapFS
	opened map[string]bool
}

func (r recordingFS) Open(name string) (fs.File, error) {
	f, err := r.MapFS.Open(name)
	if err == nil {
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			r.opened[name] = true
		}
	}
	return f, err
}

// TestWants checks that the files that are read are those that an index of a layer was asked to keep.
func TestWants(t *testing.T) {
	f := newFixture(t, bookworm(good)...)
	f.root["etc/apt/preferences.d/x"] = &fstest.MapFile{Data: []byte("# nothing\n")}
	f.root["usr/share/keyrings/ubuntu-archive-keyring.gpg"] = &fstest.MapFile{Data: public(t, good)}
	root := recordingFS{f.root, map[string]bool{}}
	conf, err := apt.Sources(root, "amd64")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.openWith(func(o *apt.Options) { o.Root, o.Sources = root, conf.Sources }); err != nil {
		t.Fatal(err)
	}
	if len(root.opened) < 4 {
		t.Errorf("only %v were read", root.opened)
	}
	for name := range root.opened {
		if !apt.Wants(name) {
			t.Errorf("%s is read but not wanted", name)
		}
	}
	if apt.Wants("etc/passwd") || apt.Wants("etc/aptitude") {
		t.Error("too much is wanted")
	}
}

func TestReadDistro(t *testing.T) {
	for text, want := range map[string]apt.Distro{
		osRelease: {ID: "debian", VersionID: "12", Codename: "bookworm"},
		"ID='ubuntu'\nVERSION_ID=\"22.04\"\n#ID=x\nPRETTY_NAME=\"Ubuntu Noble (development branch)\"": {ID: "ubuntu", VersionID: "22.04", Codename: "jammy", Development: true},
		"garbage\x00\n=\n": {},
	} {
		got, err := apt.ReadDistro(fstest.MapFS{"etc/os-release": {Data: []byte(text)}})
		if err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	if _, err := apt.ReadDistro(fstest.MapFS{"etc/os-release/x": {}}); err == nil {
		t.Error("a directory passes for os-release")
	}
}

// FuzzSources feeds both formats. Whatever is in an image's configuration, what comes out of it is safe to
// fetch from: only http and https, and no path that leads out of the repository.
func FuzzSources(f *testing.F) {
	f.Add("deb [arch=amd64 signed-by=/a.gpg] http://deb.debian.org/debian bookworm main # x\n", false)
	f.Add("deb cdrom:[a b]/ x y\ndeb \"http://x.example/a b\" ./\n", false)
	f.Add("Types: deb\nURIs: http://a.example http://b.example\nSuites: x y/z\nComponents: main\nSigned-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n", true)
	f.Add("Types: deb\nURIs: mirror+file:///etc/apt/sources.list\nSuites: ./\nSnapshot: 1\n", true)
	f.Fuzz(func(t *testing.T, text string, deb822 bool) {
		name := "etc/apt/sources.list"
		if deb822 {
			name = "etc/apt/sources.list.d/x.sources"
		}
		got, err := apt.Sources(fstest.MapFS{name: {Data: []byte(text)}, "etc/os-release": {Data: []byte(osRelease)}}, "amd64")
		if err != nil {
			return
		}
		for _, s := range got.Sources {
			u, err := url.Parse(s.URI)
			if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || strings.HasSuffix(s.URI, "/") {
				t.Errorf("URI %q: %v", s.URI, err)
			}
			if s.Suite == "" || s.Flat() != (len(s.Components) == 0) {
				t.Errorf("source %+v", s)
			}
			for _, p := range append(strings.Split(s.Suite, "/"), s.Components...) {
				if p == ".." || strings.Contains(p, "../") {
					t.Errorf("source %+v leads out of its repository", s)
				}
			}
		}
	})
}
