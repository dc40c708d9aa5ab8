package apk

import (
	"archive/tar"
	"bytes"
	"testing"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/layer"
	"github.com/nanopatch/nanopatch/rebuild/plan"
	"github.com/nanopatch/nanopatch/rebuild/rootfs"
)

// thinLayer is an archive of the named files of a tree, and of others, whose headers have the content as Linkname.
func thinLayer(t *testing.T, full *layer.Index, names []string, more ...tar.Header) *layer.Index {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, n := range names {
		e, ok := full.Lookup(n)
		if !ok {
			t.Fatal(n)
		}
		data, err := viewOf(t, full).ReadOptional(n, maxDatabase)
		if err != nil {
			t.Fatal(err)
		}
		more = append(more, tar.Header{Name: n, Typeflag: e.Type, Mode: e.Mode, ModTime: e.ModTime, Size: int64(len(data)), Linkname: string(data)})
	}
	for _, h := range more {
		content := h.Linkname
		h.Linkname = ""
		h.Size = int64(len(content))
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return scan(t, &b)
}

// Three layers: the base, "apk add" on top, and one in which the author changes and deletes files of both.
func TestLayers(t *testing.T) {
	base := image{t: t, packages: []spec{
		demo("1-r0", "1", "etc/demo.conf", "c1"), named0("other", "1-r0", "usr/share/other", "1"),
	}}
	added := base
	added.packages = append(append([]spec{}, base.packages...), named0("late", "1-r0", "usr/share/late", "1", "usr/share/late2", "1"))
	databases := []string{libDir + "/" + installedFile, libDir + "/" + scriptsFile, libDir + "/" + triggersFile}
	stack, err := rootfs.New([]*layer.Index{
		base.index(),
		thinLayer(t, added.index(), append(databases, "usr/share/late", "usr/share/late2")),
		thinLayer(t, base.index(), nil,
			tar.Header{Name: "usr/share/demo/a", Typeflag: tar.TypeReg, Mode: 0o600, Uid: 7, Linkname: "1"},
			tar.Header{Name: "usr/share/demo/.wh.b", Typeflag: tar.TypeReg},
			tar.Header{Name: "etc/demo.conf", Typeflag: tar.TypeReg, Mode: 0o644, Linkname: "mine"},
			tar.Header{Name: "usr/share/.wh.late2", Typeflag: tar.TypeReg}),
	})
	if err != nil {
		t.Fatal(err)
	}
	homes, db, err := plan.Homes(stack, Ecosystem{})
	if err != nil {
		t.Fatal(err)
	}
	var steps []plan.Step
	for _, p := range db.Packages() {
		next := map[string]spec{
			"demo": demo("2-r0", "2", "etc/demo.conf", "c2"), "late": named0("late", "2-r0", "usr/share/late", "2", "usr/share/late2", "2"),
		}[p.Name]
		if next.name == "" {
			continue
		}
		steps = append(steps, plan.Step{
			Step: ecosystem.Step{Installed: p, Payload: unpackFile(t, next.build(t))}, Home: homes[p.Key],
		})
	}
	if len(steps) != 2 || steps[0].Home != 0 || steps[1].Home != 1 {
		t.Fatalf("got %+v", steps)
	}
	edits, holds, err := plan.Distribute(t.Context(), stack, Ecosystem{}, steps, plan.Options{})
	if err != nil || len(holds) > 0 {
		t.Fatal(err, holds)
	}
	checkLayers(t, edits)
}

func checkLayers(t *testing.T, edits *plan.Edits) {
	t.Helper()
	for n, want := range []map[string]string{
		{"demo": "2-r0", "other": "1-r0"}, {"demo": "2-r0", "other": "1-r0", "late": "2-r0"}, {"demo": "2-r0", "other": "1-r0", "late": "2-r0"},
	} {
		db, err := Ecosystem{}.Open(edits.New.View(n + 1))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range db.Packages() {
			if want[p.Name] != p.Version {
				t.Errorf("layer %d: %s is %s, want %s", n, p.Name, p.Version, want[p.Name])
			}
		}
	}
	content := func(layers int, p string) string {
		data, err := edits.New.View(layers).ReadOptional(p, maxDatabase)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	for _, c := range []struct {
		layers     int
		path, want string
	}{
		{1, "usr/share/demo/a", "2"},
		{1, "etc/demo.conf", "c2"},
		{1, "usr/share/late", ""},
		{2, "usr/share/late", "2"},
		{3, "usr/share/demo/a", "2"},
		{3, "etc/demo.conf", "mine"},
		{3, "usr/share/demo/b", ""},
		{3, "usr/share/late2", ""},
	} {
		if got := content(c.layers, c.path); got != c.want {
			t.Errorf("%s in %d layers: got %q, want %q", c.path, c.layers, got, c.want)
		}
	}
	if n, ok := edits.New.Top().Lookup("usr/share/demo/a"); !ok || n.Mode != 0o600 || n.UID != 7 {
		t.Errorf("the copy in the top layer: got %+v", n.Entry)
	}
	if len(edits.Overridden) != 1 || edits.Overridden[0].Path != "etc/demo.conf" {
		t.Errorf("overridden: got %+v", edits.Overridden)
	}
}
