package dpkg

import (
	"archive/tar"
	"crypto/md5"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem/ecosystemtest"
	"github.com/nanopatch/nanopatch/rebuild/layer"
	"github.com/nanopatch/nanopatch/rebuild/rootfs"
)

func md5Of(s string) [md5.Size]byte { return md5.Sum([]byte(s)) }

// upgrade brings an image's packages to the versions of the specs.
func (m *image) upgrade(opts ecosystem.UpgradeOptions, specs ...spec) (*ecosystem.Effect, []*ecosystem.HoldError) {
	m.t.Helper()
	v := viewOf(m.t, m.layer())
	var steps []ecosystem.Step
	for _, s := range specs {
		steps = append(steps, stepFor(m.t, v, build(m.t, s)))
	}
	opts.Time = generatedTime
	effect, holds, err := Ecosystem{}.Upgrade(m.t.Context(), v, steps, opts)
	if err != nil {
		m.t.Fatal(err)
	}
	return effect, holds
}

// after is the tree with an effect in it.
func (m *image) after(effect *ecosystem.Effect) *rootfs.View {
	m.t.Helper()
	return viewOf(m.t, ecosystemtest.Apply(m.t, m.layer(), effect))
}

// changes lists an effect's paths outside the database: "+" for what is put, "-" for what is removed.
func changes(effect *ecosystem.Effect) string {
	var all []string
	for _, c := range effect.Changes {
		switch {
		case c.Database:
		case c.Entry == nil:
			all = append(all, "-"+c.Path)
		default:
			all = append(all, "+"+c.Path)
		}
	}
	return strings.Join(all, " ")
}

func wantHold(t *testing.T, holds []*ecosystem.HoldError, reason ecosystem.Reason, detail string) {
	t.Helper()
	if len(holds) != 1 || holds[0].Reason != reason || !strings.Contains(holds[0].Detail, detail) {
		t.Errorf("holds are %v, want %s: %s", holds, reason, detail)
	}
}

func TestAbsentStaysAbsent(t *testing.T) {
	old := spec{version: "1", files: files{
		"usr/bin/a": "1", "usr/bin/b": "1", "usr/share/doc/demo/c": "1", "usr/bin/h": "1", "usr/bin/h2": "= usr/bin/h", "etc/c": "1",
	}, control: files{"conffiles": "/etc/c\n"}}
	update := spec{version: "2", files: files{
		"usr/bin/a": "2", "usr/bin/b": "2", "usr/share/doc/demo/c": "2", "usr/share/doc/demo/new": "2", "usr/bin/new": "2",
		"usr/bin/h": "2", "usr/bin/h2": "= usr/bin/h", "etc/c": "1",
	}, control: files{"conffiles": "/etc/c\n"}}
	removed := func() *image {
		m := newImage(t, old)
		m.remove("usr/bin/b")
		m.remove("usr/share/doc")
		m.remove("etc/c")
		// Of two names of one file the first is gone; the other becomes the file.
		h := *m.files["usr/bin/h"]
		h.Name = "usr/bin/h2"
		m.files["usr/bin/h2"], m.data["usr/bin/h2"] = &h, "1"
		m.remove("usr/bin/h")
		return m
	}
	m := removed()
	effect, holds := m.upgrade(ecosystem.UpgradeOptions{}, update)
	if got, want := changes(effect), "+usr/bin/a +usr/bin/h2 +usr/bin/new"; got != want || len(holds) > 0 {
		t.Errorf("changes are %s, want %s; holds %v", got, want, holds)
	}
	if n, _ := m.after(effect).Lookup("usr/bin/h2"); n.Type != tar.TypeReg || n.SHA256 != sha256.Sum256([]byte("2")) {
		t.Errorf("the remaining name of the file is %v", n.Entry)
	}
	effect, holds = removed().upgrade(ecosystem.UpgradeOptions{RestoreMissing: true}, update)
	want := "+etc/c +usr/bin/a +usr/bin/b +usr/bin/h +usr/bin/h2 +usr/bin/new +usr/share/doc +usr/share/doc/demo +usr/share/doc/demo/c +usr/share/doc/demo/new"
	if got := changes(effect); got != want || len(holds) > 0 {
		t.Errorf("restoring, changes are %s, want %s; holds %v", got, want, holds)
	}
}

func TestModifiedFiles(t *testing.T) {
	old := spec{version: "1", files: files{"usr/bin/a": "1", "usr/bin/b": "1"}}
	update := spec{version: "2", files: files{"usr/bin/a": "2", "usr/bin/new": "2"}}
	for _, tc := range []struct {
		name   string
		change func(m *image)
		hold   string
		// overwritten and kept are the changes with the other choices.
		overwritten, kept string
	}{
		{"replaced file", func(m *image) { m.write("usr/bin/a", "mine") }, "/usr/bin/a", "+usr/bin/a -usr/bin/b +usr/bin/new", "-usr/bin/b +usr/bin/new"},
		{"removed file", func(m *image) { m.write("usr/bin/b", "mine") }, "/usr/bin/b", "+usr/bin/a -usr/bin/b +usr/bin/new", "+usr/bin/a +usr/bin/new"},
		{"link instead", func(m *image) { m.symlink("usr/bin/a", "b") }, "/usr/bin/a", "+usr/bin/a -usr/bin/b +usr/bin/new", "-usr/bin/b +usr/bin/new"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := newImage(t, old)
			tc.change(m)
			_, holds := m.upgrade(ecosystem.UpgradeOptions{}, update)
			wantHold(t, holds, ecosystem.ReasonModifiedFile, tc.hold)
			effect, holds := m.upgrade(ecosystem.UpgradeOptions{OnModified: ecosystem.OverwriteModified}, update)
			if got := changes(effect); got != tc.overwritten || len(holds) > 0 {
				t.Errorf("overwriting, changes are %s, want %s; holds %v", got, tc.overwritten, holds)
			}
			effect, holds = m.upgrade(ecosystem.UpgradeOptions{OnModified: ecosystem.KeepModified}, update)
			if got := changes(effect); got != tc.kept || len(holds) > 0 || len(effect.Kept) != 1 || listName(effect.Kept[0].Path) != tc.hold {
				t.Errorf("keeping, changes are %s, want %s; kept %v, holds %v", got, tc.kept, effect.Kept, holds)
			}
		})
	}
	t.Run("what is new already", func(t *testing.T) {
		m := newImage(t, old)
		m.write("usr/bin/a", "2")
		if _, holds := m.upgrade(ecosystem.UpgradeOptions{}, update); len(holds) > 0 {
			t.Error(holds)
		}
	})
	t.Run("link that leads nowhere", func(t *testing.T) {
		const link = "usr/share/doc/demo/changelog.gz"
		was := spec{version: "1", files: files{"usr/bin/a": "1", link: "-> ../libdemo1/changelog.gz"}}
		is := spec{version: "2", files: files{"usr/bin/a": "2", link: "-> ../libdemo2/changelog.gz"}}
		m := newImage(t, was)
		if _, holds := m.upgrade(ecosystem.UpgradeOptions{}, is); len(holds) > 0 {
			t.Error(holds)
		}
		at := m.files[link].ModTime
		m.symlink(link, "../mine/changelog.gz") // later
		_, holds := m.upgrade(ecosystem.UpgradeOptions{}, is)
		wantHold(t, holds, ecosystem.ReasonModifiedFile, "/"+link)
		for _, h := range m.files {
			h.ModTime = at // as some builders do
		}
		_, holds = m.upgrade(ecosystem.UpgradeOptions{}, is)
		wantHold(t, holds, ecosystem.ReasonModifiedFile, "/"+link)
	})
	t.Run("conffile that becomes a plain file", func(t *testing.T) {
		m := newImage(t, spec{version: "1", files: files{"etc/c": "1"}, control: files{"conffiles": "/etc/c\n"}})
		m.write("etc/c", "mine")
		_, holds := m.upgrade(ecosystem.UpgradeOptions{}, spec{version: "2", files: files{"etc/c": "2"}})
		wantHold(t, holds, ecosystem.ReasonModifiedFile, "/etc/c")
	})
	t.Run("foreign file in a directory that becomes a file", func(t *testing.T) {
		m := newImage(t, spec{version: "1", files: files{"usr/lib/d/x": "1"}})
		m.write("usr/lib/d/mine", "mine")
		_, holds := m.upgrade(ecosystem.UpgradeOptions{}, spec{version: "2", files: files{"usr/lib/d": "2"}})
		wantHold(t, holds, ecosystem.ReasonModifiedFile, "/usr/lib/d becomes a file but holds mine")
	})
}

func TestConflicts(t *testing.T) {
	a := func(version string, paths ...string) spec {
		s := spec{name: "a", version: version, files: files{"usr/bin/a": version}}
		for _, p := range paths {
			s.files[p] = "a's"
		}
		return s
	}
	z := spec{name: "z", version: "1", files: files{"usr/lib/z": "z"}}
	for _, tc := range []struct {
		name      string
		installed []spec
		steps     []spec
		change    func(m *image)
		reason    ecosystem.Reason
		detail    string
	}{
		{"file of another package", []spec{a("1"), z}, []spec{a("2", "usr/lib/z")}, nil, ecosystem.ReasonDependency, "/usr/lib/z is also in package z:all 1"},
		{"all files of another package", []spec{a("1"), z}, []spec{func() spec {
			s := a("2", "usr/lib/z")
			s.fields = []string{"Replaces: z"}
			return s
		}()}, nil, ecosystem.ReasonDependency, "package z:all, which would disappear"},
		{"Replaces too old a version", []spec{a("1"), z}, []spec{func() spec {
			s := a("2", "usr/lib/z")
			s.fields = []string{"Replaces: z (<< 1)"}
			return s
		}()}, nil, ecosystem.ReasonDependency, "/usr/lib/z"},
		{"place of a diverted file", []spec{a("1")}, []spec{a("2", "usr/bin/x.real")}, func(m *image) {
			m.write(diversionsPath, "/usr/bin/x\n/usr/bin/x.real\n:\n")
		}, ecosystem.ReasonDependency, "/usr/bin/x.real is where a diversion of /usr/bin/x goes"},
		{"one of two instances", instances("1", nil), instances("2", nil)[:1], nil, ecosystem.ReasonDependency, "lib:i386 is installed besides and stays at version 1"},
		{"triggers pending", []spec{a("1")}, []spec{a("2")}, func(m *image) {
			m.write(statusPath, strings.Replace(m.data[statusPath], "ok installed", "ok triggers-pending", 1))
		}, ecosystem.ReasonMaintainerScript, "triggers-pending"},
		{"conffile shipped and unwanted", []spec{a("1")}, []spec{func() spec {
			s := a("2", "etc/c")
			s.control = files{"conffiles": "remove-on-upgrade /etc/c\n"}
			return s
		}()}, nil, ecosystem.ReasonNoArtifact, "/etc/c"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := newImage(t, tc.installed...)
			if tc.change != nil {
				tc.change(m)
			}
			_, holds := m.upgrade(ecosystem.UpgradeOptions{}, tc.steps...)
			wantHold(t, holds, tc.reason, tc.detail)
		})
	}
	t.Run("shared file differs", func(t *testing.T) {
		m := newImage(t, instances("1", files{"usr/share/x": "same"})...)
		steps := instances("2", files{"usr/share/x": "same"})
		steps[1].files["usr/share/x"] = "other"
		_, holds := m.upgrade(ecosystem.UpgradeOptions{}, steps...)
		wantHold(t, holds, ecosystem.ReasonDependency, "/usr/share/x differs from the one in the package's other instances")
	})
}

func TestUpgradeErrors(t *testing.T) {
	m := newImage(t, spec{version: "1", files: files{"usr/bin/a": "1"}})
	v := viewOf(t, m.layer())
	step := stepFor(t, v, build(t, spec{version: "2", files: files{"usr/bin/a": "2"}}))
	for name, change := range map[string]func(s ecosystem.Step) []ecosystem.Step{
		"not installed": func(s ecosystem.Step) []ecosystem.Step {
			s.Installed.Name = "other"
			return []ecosystem.Step{s}
		},
		"another version": func(s ecosystem.Step) []ecosystem.Step {
			s.Installed.Version = "0"
			return []ecosystem.Step{s}
		},
		"twice":             func(s ecosystem.Step) []ecosystem.Step { return []ecosystem.Step{s, s} },
		"no Debian package": func(s ecosystem.Step) []ecosystem.Step { return []ecosystem.Step{{Installed: s.Installed}} },
	} {
		if _, _, err := (Ecosystem{}).Upgrade(t.Context(), v, change(step), ecosystem.UpgradeOptions{}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if effect, holds, err := (Ecosystem{}).Upgrade(t.Context(), v, nil, ecosystem.UpgradeOptions{}); err != nil || holds != nil || len(effect.Changes) > 0 {
		t.Errorf("nothing to do: %v, %v, %v", effect, holds, err)
	}
	for p, content := range map[string]string{diversionsPath: "/a\n", statOverridePath: "who root 755 /a\n", infoDir + "/demo.list": "/a"} {
		broken := newImage(t, spec{version: "1", files: files{"usr/bin/a": "1"}})
		broken.write(p, content)
		_, _, err := Ecosystem{}.Upgrade(t.Context(), viewOf(t, broken.layer()), []ecosystem.Step{step}, ecosystem.UpgradeOptions{})
		if err == nil || !strings.Contains(err.Error(), p) {
			t.Errorf("broken %s: %v", p, err)
		}
	}
}

// once is content that can be read once, when its entry is made.
type once struct {
	layer.Content
	read bool
}

var errUnreadable = errors.New("unreadable")

func (o *once) Open() (layer.File, error) {
	if o.read {
		return nil, errUnreadable
	}
	o.read = true
	return o.Content.Open()
}

// Nothing is decided about a file that cannot be read.
func TestUnreadableFiles(t *testing.T) {
	old := spec{version: "1", files: files{"usr/bin/a": "1", "etc/c": "1", "usr/d/f": "1"}, control: files{"conffiles": "/etc/c\n"}}
	for name, tc := range map[string]struct {
		at  string
		new spec
	}{
		"replaced file":      {"usr/bin/a", spec{files: files{"usr/bin/a": "2"}}},
		"removed file":       {"usr/bin/a", spec{files: files{"usr/bin/b": "2"}}},
		"directory in a way": {"usr/d/f", spec{files: files{"usr/bin/a": "1", "usr/d": "2"}}},
		"conffile":           {"etc/c", spec{files: files{"etc/c": "2"}, control: files{"conffiles": "/etc/c\n"}}},
		"unwanted conffile":  {"etc/c", spec{files: files{"usr/bin/a": "1"}, control: files{"conffiles": "remove-on-upgrade /etc/c\n"}}},
	} {
		t.Run(name, func(t *testing.T) {
			x := newImage(t, old).layer()
			e, ok := x.Lookup(tc.at)
			if !ok {
				t.Fatalf("no %s", tc.at)
			}
			unreadable, err := layer.NewFile(*e, &once{Content: layer.Bytes([]byte("3"))})
			if err != nil {
				t.Fatal(err)
			}
			if x, err = x.Apply(layer.Edits{tc.at: unreadable}); err != nil {
				t.Fatal(err)
			}
			v := viewOf(t, x)
			tc.new.version = "2"
			_, holds, err := Ecosystem{}.Upgrade(t.Context(), v, []ecosystem.Step{stepFor(t, v, build(t, tc.new))}, ecosystem.UpgradeOptions{})
			if !errors.Is(err, errUnreadable) || !strings.Contains(err.Error(), tc.at) {
				t.Errorf("error %v, holds %v", err, holds)
			}
		})
	}
}

func TestBytecode(t *testing.T) {
	const dir = "usr/lib/python3/dist-packages/demo/"
	m := newImage(t, spec{version: "1", files: files{dir + "a.py": "1", dir + "b.py": "1", dir + "sub/c.py": "1", dir + "same.py": "1", dir + "x.txt": "1"}})
	for _, p := range []string{
		"__pycache__/a.cpython-311.pyc", "__pycache__/a.cpython-311.opt-1.pyc", "__pycache__/b.cpython-311.pyc",
		"__pycache__/ab.cpython-311.pyc", "__pycache__/a.txt", "sub/__pycache__/c.cpython-311.pyc", "__pycache__/x.cpython-311.pyc",
	} {
		m.write(dir+p, "bytecode")
	}
	effect, holds := m.upgrade(ecosystem.UpgradeOptions{}, spec{version: "2", files: files{dir + "a.py": "2", dir + "x.txt": "2"}})
	if len(holds) > 0 {
		t.Fatal(holds)
	}
	var gone []string
	for _, c := range effect.Changes {
		if c.Entry == nil && !c.Database {
			gone = append(gone, strings.TrimPrefix(c.Path, dir))
		}
	}
	want := "__pycache__/a.cpython-311.opt-1.pyc __pycache__/a.cpython-311.pyc __pycache__/b.cpython-311.pyc b.py same.py " +
		"sub sub/__pycache__ sub/__pycache__/c.cpython-311.pyc sub/c.py"
	if got := strings.Join(gone, " "); got != want {
		t.Errorf("gone are %s\nwant     %s", got, want)
	}
}

// TestUnchangedIsNoChange upgrades to a package of which only the version is new.
func TestUnchangedIsNoChange(t *testing.T) {
	old := spec{version: "1", files: files{"usr/bin/a": "1", "usr/lib/l": "-> a", "usr/bin/h": "= usr/bin/a"}}
	m := newImage(t, old)
	update := build(t, old)
	v := viewOf(t, m.layer())
	step := stepFor(t, v, update)
	step.Payload.(*deb).pkg.Version = "1.1"
	effect, holds, err := Ecosystem{}.Upgrade(t.Context(), v, []ecosystem.Step{step}, ecosystem.UpgradeOptions{Time: generatedTime})
	if err != nil || len(holds) > 0 {
		t.Fatal(err, holds)
	}
	for _, c := range effect.Changes {
		if c.Path != infoDir+"/demo.md5sums" { // which has the package's own time
			t.Errorf("%s changes", c.Path)
		}
	}
}

func TestDropIns(t *testing.T) {
	s := spec{
		name: "base-files", version: "1", files: files{"etc/debian_version": "12.1", "usr/lib/os-release": "x", "usr/share/old": "o", "usr/share/gone/y": "y"},
		control: files{"conffiles": "/etc/debian_version\n", "postinst": "#!/bin/sh\nrm -rf /\n"},
	}.withDefaults()
	m := newImage(t)
	m.install(s)
	for p := range m.files {
		if strings.HasPrefix(p, infoDir) || p == statusPath {
			m.remove(p)
		}
	}
	m.write("usr/share/other", "someone else's")
	m.remove("usr/share/gone")
	m.write(dropInDir+"/base", strings.Replace(s.controlFile(), "Version:", "Status: install ok installed\nVersion:", 1))
	m.write(dropInDir+"/base.md5sums", s.controlFiles()[infoMD5Sums])
	update := s
	update.version = "2"
	update.files = files{"etc/debian_version": "12.2", "usr/lib/os-release": "y", "usr/share/new": "n", "usr/share/gone/y": "z", "usr/share/gone/z": "z"}
	effect, holds := m.upgrade(ecosystem.UpgradeOptions{}, update)
	if len(holds) > 0 {
		t.Fatal(holds)
	}
	if got, want := changes(effect), "+etc/debian_version +usr/lib/os-release +usr/share/new -usr/share/old"; got != want {
		t.Errorf("changes are %s, want %s", got, want)
	}
	after := m.after(effect)
	for p, want := range map[string]string{
		dropInDir + "/base":         strings.Replace(update.controlFile(), "Version:", "Status: install ok installed\nVersion:", 1),
		dropInDir + "/base.md5sums": update.controlFiles()[infoMD5Sums],
	} {
		if got, err := after.ReadFile(p); string(got) != want || err != nil {
			t.Errorf("%s: %v\n%s\nwant\n%s", p, err, got, want)
		}
	}
	if _, ok := after.Lookup(infoDir + "/base-files.list"); ok {
		t.Error("a file list appeared")
	}
}

func TestDropInNeverStale(t *testing.T) {
	s := spec{name: "ca-certificates", version: "1", files: files{"usr/share/ca-certificates/a.crt": "1"}}.withDefaults()
	m := newImage(t)
	m.install(s)
	m.remove(statusPath)
	m.write(dropInDir+"/ca-certificates", s.controlFile())
	m.write(dropInDir+"/ca-certificates.md5sums", s.controlFiles()[infoMD5Sums])
	m.write("etc/ssl/certs/ca-certificates.crt", "all of them")
	_, holds := m.upgrade(ecosystem.UpgradeOptions{}, spec{name: "ca-certificates", version: "2", files: files{"usr/share/ca-certificates/a.crt": "2"}})
	wantHold(t, holds, ecosystem.ReasonMaintainerScript, "/etc/ssl/certs/ca-certificates.crt would go stale")
}

func TestOpen(t *testing.T) {
	m := newImage(t, spec{version: "1", files: files{"usr/bin/a": "1"}})
	m.write(dropInDir+"/other", spec{name: "other", version: "3"}.withDefaults().controlFile())
	m.write(dropInDir+"/other.md5sums", fmt.Sprintf("%x  usr/lib/o\n", md5Of("o")))
	m.write(dropInDir+"/demo", spec{version: "0"}.withDefaults().controlFile())
	db, err := Ecosystem{}.Open(viewOf(t, m.layer()))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range db.Packages() {
		got = append(got, p.String()+" "+p.Version+" "+strings.Join(db.Files(p.Key), ","))
	}
	if want := "demo:all 1 .,usr,usr/bin,usr/bin/a; other:all 3 .,usr,usr/lib,usr/lib/o"; strings.Join(got, "; ") != want {
		t.Errorf("%v, want %s", got, want)
	}
	if db.Files(ecosystem.Key{Name: "none"}) != nil {
		t.Error("files of a package that is not there")
	}
	none := &image{t: t, files: map[string]*tar.Header{}, data: map[string]string{}}
	none.write("etc/passwd", "")
	if _, err := (Ecosystem{}).Open(viewOf(t, none.layer())); !errors.Is(err, ecosystem.ErrNoDatabase) {
		t.Errorf("no database: %v", err)
	}
	none.write(statusPath, "Package: a\nVersion: 1")
	if _, err := (Ecosystem{}).Open(viewOf(t, none.layer())); err == nil || !strings.Contains(err.Error(), "var/lib/dpkg/status: line 2: the file ends") {
		t.Errorf("truncated database: %v", err)
	}
}
