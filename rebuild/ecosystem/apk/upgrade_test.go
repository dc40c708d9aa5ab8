package apk

import (
	"strings"
	"testing"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem/overlay"
	"github.com/nanopatch/nanopatch/rebuild/rootfs"
)

func demo(version string, content string, more ...string) spec {
	s := spec{name: "demo", version: version, files: map[string]string{"usr/share/demo/a": content, "usr/share/demo/b": "same"}}
	for i := 0; i+1 < len(more); i += 2 {
		s.files[more[i]] = more[i+1]
	}
	return s
}

func TestUpgrade(t *testing.T) {
	m := image{t: t, packages: []spec{demo("1-r0", "1", "usr/share/demo/gone/x", "1")}}
	changes, _, holds := m.upgrade(ecosystem.UpgradeOptions{}, demo("2-r0", "2", "usr/share/demo/new/y", "2"))
	if len(holds) > 0 {
		t.Fatal(holds)
	}
	for p, want := range map[string]string{
		"usr/share/demo/a": "2", "usr/share/demo/b": "", "usr/share/demo/gone/x": "-", "usr/share/demo/gone": "-",
		"usr/share/demo/new": "5", "usr/share/demo/new/y": "2",
	} {
		if got := text(t, changes, p); got != want {
			t.Errorf("%s: got %q, want %q", p, got, want)
		}
	}
	if got := text(t, changes, libDir+"/installed"); !strings.Contains(got, "\nV:2-r0\n") || !changes[libDir+"/installed"].Database {
		t.Errorf("the database: got %s", got)
	}
	if len(changes) != 6 {
		t.Errorf("got %d changes", len(changes))
	}
}

func TestAbsentStaysAbsent(t *testing.T) {
	m := image{
		t: t, packages: []spec{demo("1-r0", "1", "usr/share/doc/demo/x", "1", "usr/share/doc/demo/y", "1")},
		missing: []string{"usr/share/demo/a", "usr/share/doc/demo", "usr/share/doc/demo/x", "usr/share/doc/demo/y"},
	}
	next := demo("2-r0", "2", "usr/share/doc/demo/x", "2", "usr/share/doc/demo/z", "2")
	changes, _, holds := m.upgrade(ecosystem.UpgradeOptions{}, next)
	if len(holds) > 0 || len(changes) != 1 || !changes[libDir+"/installed"].Database {
		t.Errorf("got %v, %v", changes, holds)
	}
	changes, _, _ = m.upgrade(ecosystem.UpgradeOptions{RestoreMissing: true}, next)
	for p, want := range map[string]string{"usr/share/demo/a": "2", "usr/share/doc/demo": "5", "usr/share/doc/demo/x": "2", "usr/share/doc/demo/y": ""} {
		if got := text(t, changes, p); got != want {
			t.Errorf("restored: %s: got %q, want %q", p, got, want)
		}
	}
}

func TestModifiedFiles(t *testing.T) {
	for name, c := range map[string]struct {
		files    map[string]string
		next     spec
		path     string
		hold     string
		replaced string
	}{
		"changed":            {map[string]string{"usr/share/demo/a": "mine"}, demo("2-r0", "2"), "usr/share/demo/a", "is not as the package installed it", "2"},
		"changed to the new": {map[string]string{"usr/share/demo/a": "2"}, demo("2-r0", "2"), "usr/share/demo/a", "", ""},
		"unchanged by new":   {map[string]string{"usr/share/demo/b": "mine"}, demo("2-r0", "2"), "usr/share/demo/b", "is not as the package installed it", "same"},
		"now a link":         {map[string]string{"usr/share/demo/a -> b": ""}, demo("2-r0", "2"), "usr/share/demo/a", "is not as the package installed it", "2"},
		"in the way":         {map[string]string{"usr/share/demo/c": "mine"}, demo("2-r0", "2", "usr/share/demo/c", "2"), "usr/share/demo/c", "belongs to no package", "2"},
		"removed":            {map[string]string{"usr/share/old": "mine"}, demo("2-r0", "2"), "usr/share/old", "the new version lacks it", "-"},
	} {
		old := demo("1-r0", "1")
		if name == "removed" {
			old.files["usr/share/old"] = "1"
		}
		m := image{t: t, packages: []spec{old}, files: c.files}
		_, _, holds := m.upgrade(ecosystem.UpgradeOptions{}, c.next)
		switch {
		case c.hold == "" && len(holds) > 0:
			t.Errorf("%s: got %v", name, holds)
		case c.hold != "" && (len(holds) != 1 || holds[0].Reason != ecosystem.ReasonModifiedFile || !strings.Contains(holds[0].Detail, c.hold)):
			t.Errorf("%s: got %v, want %q", name, holds, c.hold)
		}
		if c.hold == "" {
			continue
		}
		changes, kept, holds := m.upgrade(ecosystem.UpgradeOptions{OnModified: ecosystem.OverwriteModified}, c.next)
		if got := text(t, changes, c.path); got != c.replaced || len(kept)+len(holds) > 0 {
			t.Errorf("%s, overwritten: got %q, %v, %v", name, got, kept, holds)
		}
		changes, kept, holds = m.upgrade(ecosystem.UpgradeOptions{OnModified: ecosystem.KeepModified}, c.next)
		if got := text(t, changes, c.path); got != "" || len(kept) != 1 || kept[0].Path != c.path || len(holds) > 0 {
			t.Errorf("%s, kept: got %q, %v, %v", name, got, kept, holds)
		}
	}
}

func TestProtectedFiles(t *testing.T) {
	old := demo("1-r0", "1", "etc/demo/conf", "c1", "etc/demo/gone", "g1")
	next := demo("2-r0", "2", "etc/demo/conf", "c2")
	changes, kept, holds := image{t: t, packages: []spec{old}}.upgrade(ecosystem.UpgradeOptions{}, next)
	if text(t, changes, "etc/demo/conf") != "c2" || text(t, changes, "etc/demo/gone") != "-" || len(kept)+len(holds) > 0 {
		t.Errorf("unmodified: got %v, %v, %v", changes, kept, holds)
	}
	mine := image{t: t, packages: []spec{old}, files: map[string]string{"etc/demo/conf": "mine", "etc/demo/gone": "mine"}}
	changes, kept, holds = mine.upgrade(ecosystem.UpgradeOptions{}, next)
	if text(t, changes, "etc/demo/conf") != "" || text(t, changes, "etc/demo/conf.apk-new") != "c2" || text(t, changes, "etc/demo/gone") != "" {
		t.Errorf("modified: got %v", changes)
	}
	if len(kept) != 2 || kept[0].Path != "etc/demo/conf" || kept[1].Path != "etc/demo/gone" || len(holds) > 0 {
		t.Errorf("modified: kept %v, held %v", kept, holds)
	}
}

func TestAliases(t *testing.T) {
	// The new version calls a file by the place that its old name leads to: it must not be taken for an old one.
	m := image{
		t: t, packages: []spec{demo("1-r0", "1", "lib/libdemo.so", "1")}, missing: []string{"lib", "lib/libdemo.so"},
		dir: usrLibDir, files: map[string]string{"lib -> usr/lib": "", "usr/lib/libdemo.so": "1"},
	}
	changes, _, holds := m.upgrade(ecosystem.UpgradeOptions{}, demo("2-r0", "2", "usr/lib/libdemo.so", "2"))
	if got := text(t, changes, "usr/lib/libdemo.so"); got != "2" || len(holds) > 0 {
		t.Errorf("got %q, %v", got, holds)
	}
	if _, ok := changes["lib"]; ok {
		t.Error("the link to the directory changes")
	}
}

func TestScriptsHold(t *testing.T) {
	with := func(s spec, kind, script string, info ...string) spec {
		s.scripts, s.info = map[string]string{kind: script}, info
		return s
	}
	const work = "#!/bin/sh\nrm -rf /proc\n"
	watcher := with(named0("watch", "1-r0", "usr/share/watch", "1"), "trigger", work, "triggers = /usr/share/de* /usr/lib/*")
	for name, c := range map[string]struct {
		packages []spec
		next     spec
		held     string
	}{
		"pre-upgrade":             {[]spec{demo("1-r0", "1")}, with(demo("2-r0", "2"), "pre-upgrade", work), ".pre-upgrade line 1: "},
		"post-upgrade":            {[]spec{demo("1-r0", "1")}, with(demo("2-r0", "2"), "post-upgrade", work), ".post-upgrade line 1: "},
		"post-install":            {[]spec{demo("1-r0", "1")}, with(demo("2-r0", "2"), "post-install", work), ""},
		"the old one's":           {[]spec{with(demo("1-r0", "1"), "post-upgrade", work)}, demo("2-r0", "2"), ""},
		"another's trigger":       {[]spec{demo("1-r0", "1"), watcher}, demo("2-r0", "2"), "it changes /usr/share/demo, on which the trigger of package watch"},
		"a trigger not concerned": {[]spec{named0("other", "1-r0", "opt/x", "1"), watcher}, named0("other", "2-r0", "opt/x", "2"), ""},
		"its own trigger":         {[]spec{demo("1-r0", "1"), watcher}, with(named0("watch", "2-r0", "usr/share/watch", "2"), "trigger", work, "triggers = /usr/share/demo"), "trigger of package watch"},
		"a trigger that is gone":  {[]spec{demo("1-r0", "1"), watcher}, named0("watch", "2-r0", "usr/share/watch", "2"), ""},
	} {
		for _, gz := range []bool{false, true} {
			_, _, holds := image{t: t, packages: c.packages, gz: gz}.upgrade(ecosystem.UpgradeOptions{}, c.next)
			if c.held == "" && len(holds) > 0 {
				t.Errorf("%s: got %v", name, holds)
			}
			if c.held != "" && (len(holds) != 1 || holds[0].Reason != ecosystem.ReasonMaintainerScript || !strings.Contains(holds[0].Detail, c.held)) {
				t.Errorf("%s: got %v, want %q", name, holds, c.held)
			}
		}
	}
}

func named0(name, version string, more ...string) spec {
	s := spec{name: name, version: version, files: make(map[string]string)}
	for i := 0; i+1 < len(more); i += 2 {
		s.files[more[i]] = more[i+1]
	}
	return s
}

func TestConflictHolds(t *testing.T) {
	m := image{t: t, packages: []spec{demo("1-r0", "1"), named0("other", "1-r0", "usr/share/other", "1")}}
	_, _, holds := m.upgrade(ecosystem.UpgradeOptions{}, demo("2-r0", "2", "usr/share/other", "mine"))
	if len(holds) != 1 || holds[0].Reason != ecosystem.ReasonDependency || !strings.Contains(holds[0].Detail, "/usr/share/other is also in package other") {
		t.Errorf("got %v", holds)
	}
}

func TestSteps(t *testing.T) {
	v := image{t: t, packages: []spec{demo("1-r0", "1")}}.view()
	p := unpackFile(t, demo("2-r0", "2").build(t))
	installed := p.pkg
	for name, steps := range map[string][]ecosystem.Step{
		"another version":   {{Installed: installed, Payload: p}},
		"not installed":     {{Installed: ecosystem.Package{Key: ecosystem.Key{Name: "x"}}, Payload: p}},
		"another ecosystem": {{Installed: installed}},
	} {
		if _, _, err := (Ecosystem{}).Upgrade(t.Context(), v, steps, ecosystem.UpgradeOptions{}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if e, holds, err := (Ecosystem{}).Upgrade(t.Context(), v, nil, ecosystem.UpgradeOptions{}); err != nil || len(e.Changes)+len(holds) > 0 {
		t.Errorf("no steps: got %v, %v, %v", e, holds, err)
	}
}

func busybox(version string, applets ...string) spec {
	return spec{name: "busybox", version: version, files: map[string]string{
		"bin/busybox": version, busyboxPathsFile: strings.Join(applets, "\n") + "\n", "sbin/": "", "usr/bin/": "", "usr/sbin/": "",
	}, modes: map[string]int64{"bin/busybox": 0o755}}
}

// The links that busybox makes for itself: of another package's upgrade only those come back whose place it clears.
func TestApplets(t *testing.T) {
	data, err := viewOf(t, minirootfs(t, "3.19.4")).ReadOptional(libDir+"/"+scriptsFile, maxDatabase)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := readScripts(data)
	if err != nil {
		t.Fatal(err)
	}
	scripts := make(map[string]string)
	for _, e := range entries {
		if kind := e.name[strings.LastIndexByte(e.name, '.')+1:]; strings.HasPrefix(e.name, "busybox-") {
			scripts[kind] = string(e.content)
		}
	}
	bb := func(version string, applets ...string) spec {
		s := busybox(version, applets...)
		s.scripts, s.info = scripts, []string{"triggers = /bin /usr/bin /sbin /usr/sbin /lib/modules/*"}
		return s
	}
	old := bb("1-r0", "bin/sh", "sbin/depmod", "bin/readlink", "bin/cat", "bin/old", "bin/deleted", "usr/bin/wget")
	links := map[string]string{
		"bin/sh -> /bin/busybox": "", "sbin/depmod -> /bin/busybox": "", "bin/readlink -> /bin/busybox": "",
		"bin/cat -> /bin/busybox": "", "bin/old -> /bin/busybox": "",
	}
	m := image{t: t, packages: []spec{old, named0("wget", "1-r0", "usr/bin/wget", "scripts")}, files: links}
	changes, _, holds := m.upgrade(ecosystem.UpgradeOptions{}, named0("wget", "2-r0", "usr/bin/wget2", "scripts"))
	if text(t, changes, "usr/bin/wget") != "-> /bin/busybox" || text(t, changes, "bin/deleted") != "" || len(holds) > 0 {
		t.Errorf("another package: got %v, %v", changes, holds)
	}
	changes, _, holds = m.upgrade(ecosystem.UpgradeOptions{}, bb("2-r0", "bin/sh", "sbin/depmod", "bin/readlink", "bin/cat", "bin/deleted", "usr/bin/wget", "sbin/new"))
	if len(holds) > 0 {
		t.Fatal(holds)
	}
	for p, want := range map[string]string{"bin/old": "-", "bin/cat": "", "sbin/new": "-> /bin/busybox", "bin/deleted": "", "usr/bin/wget": "", "bin/busybox": "2-r0"} {
		if got := text(t, changes, p); got != want {
			t.Errorf("busybox: %s: got %q, want %q", p, got, want)
		}
	}
	m.packages = append(m.packages, named0("linux", "1-r0", "lib/modules/6.1/x.ko", "1"))
	if _, _, holds = m.upgrade(ecosystem.UpgradeOptions{}, named0("linux", "2-r0", "lib/modules/6.1/x.ko", "2")); len(holds) != 1 {
		t.Errorf("a kernel: got %v", holds)
	}
}

// The upgrade of a scripts package that an official root file system has, from the database alone to the tree.
func TestRealTree(t *testing.T) {
	for _, release := range []string{"3.10.3", "3.19.4", "3.20.3"} {
		v := viewOf(t, minirootfs(t, release))
		db, err := open(v)
		if err != nil {
			t.Fatal(err)
		}
		if len(db.records) < 14 {
			t.Errorf("%s: %d packages", release, len(db.records))
		}
		checkFiles(t, release, v, db)
	}
}

// checkFiles finds all files of the database in the tree, with their checksums.
func checkFiles(t *testing.T, release string, v *rootfs.View, db *database) {
	t.Helper()
	u := &upgrade{db: db, tree: overlay.New(v)}
	for _, r := range db.records {
		r.paths(func(p string, f *fileRecord) {
			there, ok := u.tree.At(p)
			if !ok {
				t.Errorf("%s: %s is missing", release, p)
				return
			}
			sum, known, err := u.sumThere(there.Entry, there.Inode)
			if changed := strings.HasPrefix(p, "etc/"); err != nil || !changed && (!known || sum != f.sum) {
				t.Errorf("%s: %s: got %s, %t, %v, want %s", release, p, sum, known, err, f.sum)
			}
		})
	}
}
