package dpkg

import (
	"archive/tar"
	"bytes"
	"maps"
	"path"
	"slices"
	"testing"

	"github.com/nanopatch/nanopatch/rebuild/layer"
	"github.com/nanopatch/nanopatch/rebuild/plan"
	"github.com/nanopatch/nanopatch/rebuild/rootfs"
)

// above is the layer of what changed in the machine since an earlier state of it, in which nothing is gone now.
func (m *machine) above(before *rootfs.View) *layer.Index {
	m.t.Helper()
	was, is := describe(m.t, before), describe(m.t, m.view())
	changed := make(map[string]bool)
	for p, l := range is {
		if l == was[p] {
			continue
		}
		for ; p != "."; p = path.Dir(p) {
			changed[p] = true
		}
	}
	var b bytes.Buffer
	out := tar.NewWriter(&b)
	in := m.index()
	for _, p := range slices.Sorted(maps.Keys(changed)) {
		e, ok := in.Lookup(p)
		if !ok {
			m.t.Fatalf("%s is in no layer", p)
		}
		h := &tar.Header{Name: p, Typeflag: e.Type, Linkname: e.Linkname, Mode: e.Mode, Uid: e.UID, Gid: e.GID, Size: e.Size, ModTime: e.ModTime}
		content := ""
		if e.IsRegular() {
			data, err := viewOf(m.t, in).ReadFile(p)
			if err != nil {
				m.t.Fatal(err)
			}
			content = string(data)
		}
		writeTar(m.t, out, h, content)
	}
	closeTar(m.t, out)
	x, err := layer.Scan(m.t.Context(), &b, layer.ScanOptions{Keep: layer.KeepAll})
	if err != nil {
		m.t.Fatal(err)
	}
	return x
}

// TestLayersEqualDpkg upgrades a package of the lower of two layers, and compares the flattened image with what the real dpkg and
// ldconfig make of the flattened source.
func TestLayersEqualDpkg(t *testing.T) {
	needLdconfig(t)
	const dir = "usr/lib/x86_64-linux-gnu/"
	for name, tc := range map[string]struct{ old, beside, above, new spec }{
		"a library in each": {
			old:   spec{name: "libdemo1", version: "1", files: files{dir + "libdemo.so.1": library("libdemo.so.1", "1")}},
			above: spec{name: "libelse1", version: "1", files: files{dir + "libelse.so.1": library("libelse.so.1", "")}},
			new: spec{name: "libdemo1", version: "2", files: files{
				dir + "libdemo.so.1": library("libdemo.so.1", "2"), dir + "libnew.so.2": library("libnew.so.2", ""),
			}},
		},
		"a library less": {
			old: spec{name: "libdemo1", version: "1", files: files{
				dir + "libdemo.so.1": library("libdemo.so.1", "1"), dir + "libold.so.2": library("libold.so.2", ""),
			}},
			above: spec{name: "libelse1", version: "1", files: files{dir + "libelse.so.1": library("libelse.so.1", "")}},
			new:   spec{name: "libdemo1", version: "2", files: files{dir + "libdemo.so.1": library("libdemo.so.1", "2")}},
		},
		"a conffile of another package": {
			old:    spec{version: "1", files: files{"etc/own": "1"}, control: files{"conffiles": "/etc/own\n"}},
			beside: spec{name: "beside", version: "1", files: files{"etc/shared": "1", "usr/share/beside": "1", "etc/kept": "1"}, control: files{"conffiles": "/etc/shared\n/etc/kept\n"}},
			above:  spec{name: "other", version: "1", files: files{"usr/share/other": "1"}},
			new: spec{
				version: "2", fields: []string{"Replaces: beside (<< 2)"}, files: files{"etc/own": "2", "etc/shared": "2"},
				control: files{"conffiles": "/etc/own\n/etc/shared\n"},
			},
		},
		"interests in triggers": {
			old:   spec{version: "1", files: files{"usr/share/demo/a": "1"}, control: files{"triggers": "interest-noawait /usr/share/demo\n"}},
			above: spec{name: "other", version: "1", files: files{"usr/share/other": "1"}, control: files{"triggers": "interest-noawait /usr/share/x\n"}},
			new:   spec{version: "2", files: files{"usr/share/demo/a": "2"}, control: files{"triggers": "interest-noawait /usr/share/more\n"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			m.linkerConf()
			m.dpkg("-i", build(t, tc.old))
			if tc.beside.name != "" {
				m.dpkg("-i", build(t, tc.beside))
			}
			m.ldconfig("new")
			base := m.index()
			m.dpkg("-i", build(t, tc.above))
			m.ldconfig("new")
			stack, err := rootfs.New([]*layer.Index{base, m.above(viewOf(t, base))})
			if err != nil {
				t.Fatal(err)
			}
			deb := build(t, tc.new)
			edits, holds, err := plan.Distribute(t.Context(), stack, Ecosystem{},
				[]plan.Step{{Step: stepFor(t, stack.Top(), deb)}}, plan.Options{SourceDateEpoch: generatedTime})
			if err != nil || len(holds) > 0 {
				t.Fatal(err, holds)
			}
			m.dpkg("-i", deb)
			m.ldconfig("new")
			compare(t, m.view(), edits.New.Top())
		})
	}
}
