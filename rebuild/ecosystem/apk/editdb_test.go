package apk

import (
	"bytes"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/version"
)

// A layer above has its own copy of the database: it gets what the home layer gets, and nothing else changes.
func TestEditDatabase(t *testing.T) {
	trigger := func(s spec) spec {
		s.info, s.scripts = []string{"triggers = /usr/share/none"}, map[string]string{"trigger": "#!/bin/sh\n", "post-install": "#!/bin/sh\n" + s.version}
		return s
	}
	packages := []spec{named0("aaa", "1-r0", "usr/share/aaa", "1"), trigger(demo("1-r0", "1")), trigger(named0("zzz", "1-r0", "usr/share/zzz", "1"))}
	for _, dir := range []string{libDir, usrLibDir} {
		for _, gz := range []bool{false, true} {
			below := image{t: t, packages: packages, dir: dir, gz: gz}
			above := below
			above.packages = append([]spec{named0("more", "1-r0", "usr/share/more", "1")}, packages...)
			next := trigger(demo("2-r0", "2"))
			step := stepsFor(t, below.view(), next.build(t))
			want := above
			want.packages = append([]spec{}, above.packages...)
			want.packages[2] = next
			names := []string{installedFile, triggersFile, scriptsFile}
			if gz {
				names[2] = scriptsGzFile
			}
			for _, name := range names {
				old, got := edited(t, above, dir+"/"+name, step)
				_, expected := edited(t, want, dir+"/"+name, nil)
				if !bytes.Equal(unzipped(t, name, got), unzipped(t, name, expected)) {
					t.Errorf("%s/%s:\ngot\n%s\nwant\n%s", dir, name, got, expected)
				}
				if bytes.Equal(old, got) {
					t.Errorf("%s/%s does not change", dir, name)
				}
			}
		}
	}
}

func unzipped(t *testing.T, name string, data []byte) []byte {
	t.Helper()
	if name != scriptsGzFile {
		return data
	}
	data, err := gunzip(data)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func edited(t *testing.T, m image, p string, steps []ecosystem.Step) (old, now []byte) {
	t.Helper()
	v := m.view()
	old, err := v.ReadOptional(p, maxDatabase)
	if err != nil || old == nil {
		t.Fatal(p, err)
	}
	now, err = Ecosystem{}.EditDatabase(p, old, v, steps)
	if err != nil {
		t.Fatal(err)
	}
	return old, now
}

// What a trigger of a layer above may have derived from a package below is not known.
func TestUpgradeAbove(t *testing.T) {
	below := image{t: t, packages: []spec{demo("1-r0", "1")}}
	step := stepsFor(t, below.view(), demo("2-r0", "2").build(t))
	watcher := func(name, script string) spec {
		s := named0(name, "1-r0", "usr/share/watch", "1")
		s.info, s.scripts = []string{"triggers = /usr/share/*"}, map[string]string{"trigger": script}
		return s
	}
	for name, c := range map[string]struct {
		more  spec
		holds int
	}{
		"no trigger":         {named0("other", "1-r0", "usr/share/other", "1"), 0},
		"an inert one":       {watcher("watch", "#!/bin/sh\nexit 0\n"), 0},
		"one that works":     {watcher("watch", "#!/bin/sh\nls > /x\n"), 1},
		"the one of busybox": {watcher("busybox", "#!/bin/sh\nbusybox --install -s\n"), 0},
	} {
		above := image{t: t, packages: []spec{demo("2-r0", "2"), c.more}}
		_, holds, err := Ecosystem{}.UpgradeAbove(t.Context(), above.view(), step, nil, ecosystem.UpgradeOptions{})
		if err != nil || len(holds) != c.holds {
			t.Errorf("%s: got %v, %v", name, holds, err)
		}
	}
	_, holds, err := Ecosystem{}.UpgradeAbove(t.Context(), viewOf(t), step, nil, ecosystem.UpgradeOptions{})
	if err != nil || len(holds) > 0 {
		t.Errorf("no database: got %v, %v", holds, err)
	}
}

// A copy that has another version of the package is not that package's business.
func TestEditDatabaseOfAnotherVersion(t *testing.T) {
	below := image{t: t, packages: []spec{demo("1-r0", "1")}}
	step := stepsFor(t, below.view(), demo("2-r0", "2").build(t))
	old, now := edited(t, image{t: t, packages: []spec{demo("1.5-r0", "1")}}, libDir+"/"+installedFile, step)
	if !bytes.Equal(old, now) {
		t.Errorf("got\n%s", now)
	}
}

// The scripts archive of real systems is what we would write of its entries.
func TestScriptArchive(t *testing.T) {
	for _, release := range []string{"3.10.3", "3.19.4", "3.20.3"} {
		data, err := viewOf(t, minirootfs(t, release)).ReadOptional(libDir+"/"+scriptsFile, maxDatabase)
		if err != nil {
			t.Fatal(err)
		}
		same, err := newBatch(nil, nil).editScripts(data)
		if err != nil || !bytes.Equal(same, data) {
			t.Errorf("%s: an edit of nothing changes it: %v", release, err)
		}
		entries, err := readScripts(data)
		if err != nil || len(entries) < 6 {
			t.Fatal(release, len(entries), err)
		}
	}
}

func TestWorld(t *testing.T) {
	packages := []spec{demo("1-r0", "1"), named0("other", "1-r0", "usr/share/other", "1")}
	for world, want := range map[string]string{
		"demo other":                "",
		"demo=1-r0\nother":          "demo",
		"demo=1-r0 other=1-r0":      "", // a lockfile's
		"demo=1-r0@edge other":      "demo",
		"demo@edge=1-r0 other":      "demo",
		"demo><Q1abc= other":        "",
		"demo>1 other~1 !gone":      "",
		"demo=1-r0 !gone":           "demo",
		"":                          "",
		"missing=1 other":           "",
		"demo=1-r0 other missing=2": "demo",
	} {
		db, err := Ecosystem{}.Open(image{t: t, packages: packages, files: map[string]string{worldPath: world + "\n"}}.view())
		if err != nil {
			t.Fatal(err)
		}
		var held []string
		for _, p := range db.Packages() {
			if p.Hold {
				held = append(held, p.Name)
			}
		}
		if got := strings.Join(held, " "); got != want {
			t.Errorf("%q: got %q held, want %q", world, got, want)
		}
	}
}

// A fuzzy relation is the same as the range that stands for it.
func TestFuzzyRange(t *testing.T) {
	number := rapid.SampledFrom([]string{"0", "1", "9", "10", "01", "099"})
	word := rapid.Custom(func(t *rapid.T) string {
		v := rapid.SampledFrom([]string{"1", "2", "10"}).Draw(t, "first")
		for range rapid.IntRange(0, 2).Draw(t, "digits") {
			v += "." + number.Draw(t, "digit")
		}
		v += rapid.SampledFrom([]string{"", "", "a", "b"}).Draw(t, "letter")
		for range rapid.IntRange(0, 2).Draw(t, "suffixes") {
			v += rapid.SampledFrom([]string{"_alpha", "_rc1", "_p2", "_git20240101", "_rc"}).Draw(t, "suffix")
		}
		return v + rapid.SampledFrom([]string{"", "-r0", "-r1", "-r2"}).Draw(t, "revision")
	})
	rapid.Check(t, func(t *rapid.T) {
		v, want := word.Draw(t, "version"), word.Draw(t, "within")
		d := ParseDependencies("x~" + want)[0]
		all := true
		for _, r := range d.Relations() {
			n, err := version.Apk.Compare(v, r.Version)
			if err != nil {
				t.Fatalf("%s: %v", r.Version, err)
			}
			all = all && (r.Op == ">=" && n >= 0 || r.Op == "<" && n < 0)
		}
		if within := version.ApkWithin(v, want); all != within && !strings.HasSuffix(want, "_rc") && !strings.HasSuffix(want, "_alpha") {
			t.Fatalf("%s within %s: %t, by %v: %t", v, want, within, d.Relations(), all)
		} else if within && !all {
			t.Fatalf("%s is within %s and not in %v", v, want, d.Relations())
		}
	})
}

func TestDependencies(t *testing.T) {
	p := Info{
		{"pkgname", "x"},
		{"pkgver", "1"},
		{"depend", "so:libc.musl-x86_64.so.1"},
		{"depend", "a>=1.2-r3"},
		{"depend", "!b<2"},
		{"depend", "/bin/sh"},
		{"depend", "!c"},
		{"depend", "pc:zlib=1"},
		{"provides", "cmd:x=1"},
		{"provides", "v"},
	}.Package()
	var spelt []string
	for _, c := range p.Requires {
		spelt = append(spelt, c[0].Name+c[0].Op+c[0].Version)
	}
	if got := strings.Join(spelt, " "); got != "so:libc.musl-x86_64.so.1 a>=1.2-r3 /bin/sh pc:zlib=1" {
		t.Errorf("requires %s", got)
	}
	spelt = nil
	for _, r := range p.Conflicts {
		spelt = append(spelt, r.Name+r.Op+r.Version)
	}
	if got := strings.Join(spelt, " "); got != "b<2 c cmd:x>=0_alpha_alpha_alpha" {
		t.Errorf("conflicts %s", got)
	}
	if len(p.Provides) != 2 || p.Provides[0].Op != "=" || p.Provides[1].Op != "" {
		t.Errorf("provides %v", p.Provides)
	}
}

func FuzzInstalled(f *testing.F) {
	f.Add([]byte("P:a\nV:1-r0\nr:b c>1\nF:\nR:x\nF:usr\nM:0:0:1777\nR:b\na:1:2:755:Q1abc\nZ:Q1SLkS9hBidUbPwwrw+XR0Whv3ww8=\n\nP:b\nV:2\n"))
	f.Add([]byte("P:a\nV:1\nF:../x\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		records, err := parseInstalled(data)
		if err != nil {
			return
		}
		b := newBatch(records, nil)
		if got := b.edit(data, owners{}); !bytes.Equal(got, data) {
			t.Fatalf("an edit of nothing makes %q of %q", got, data)
		}
		at := 0
		for _, r := range records {
			if r.start < at || r.end <= r.start || r.end > len(data) {
				t.Fatalf("%s is at %d to %d after %d", r.Name, r.start, r.end, at)
			}
			at = r.end
			r.paths(func(p string, f *fileRecord) {
				if f.start < r.start || f.end > r.end || f.end < f.start || !isClean(p) {
					t.Fatalf("%s of %s is at %d to %d", p, r.Name, f.start, f.end)
				}
			})
		}
	})
}
