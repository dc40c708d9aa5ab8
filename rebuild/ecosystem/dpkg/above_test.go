package dpkg

import (
	"archive/tar"
	"io"
	"testing"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem/ecosystemtest"
	"github.com/nanopatch/nanopatch/rebuild/layer"
)

// TestUpgradeAbove: a layer above has its own bundle of certificates, with a local one in it, and bytecode of a module of the
// layer below. The bundle is made again there, the bytecode goes, and a file of the layer's author stays.
func TestUpgradeAbove(t *testing.T) {
	const bundle = "#!/bin/sh\nset -e\n" +
		"cat /usr/share/ca-certificates/*.crt /usr/local/share/ca-certificates/*.crt 2>/dev/null >/etc/ssl/certs/bundle || :\n"
	for _, tc := range []struct{ name, more, hold string }{
		{name: "only the bundle"},
		{name: "more than that", more: "echo made >/etc/own\n", hold: "changes /etc/own"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := newImage(t, spec{version: "1", files: files{"usr/share/ca-certificates/a.crt": "a1\n", "usr/lib/m.py": "1"}})
			m.program("usr/bin/cat", "ELF")
			m.write("etc/ssl/certs/bundle", "a1\n")
			update := spec{version: "2", files: files{"usr/share/ca-certificates/a.crt": "a2\n", "usr/lib/m.py": "2"}, control: files{postinst: bundle + tc.more}}
			step := stepFor(t, viewOf(t, m.layer()), build(t, update))
			effect, holds := m.upgrade(ecosystem.UpgradeOptions{}, update)
			if len(holds) > 0 {
				t.Fatal(holds)
			}
			top := &image{t: t, files: map[string]*tar.Header{}, data: map[string]string{}}
			top.write("etc/ssl/certs/bundle", "a1\nlocal\n")
			top.write("etc/own", "mine")
			top.write("usr/local/share/ca-certificates/local.crt", "local\n")
			top.write("usr/lib/__pycache__/m.cpython-311.pyc", "bytecode of 1")
			below := ecosystemtest.Apply(t, m.layer(), effect)
			v := viewOf(t, below, withContent(t, top))
			above, holds, err := Ecosystem{}.UpgradeAbove(t.Context(), v, []ecosystem.Step{step}, effect.Changes, ecosystem.UpgradeOptions{Time: generatedTime})
			if err != nil {
				t.Fatal(err)
			}
			if tc.hold != "" {
				wantHold(t, holds, ecosystem.ReasonMaintainerScript, tc.hold)
				return
			}
			if got, want := changes(above), "+etc/ssl/certs/bundle -usr/lib/__pycache__ -usr/lib/__pycache__/m.cpython-311.pyc"; got != want || len(holds) > 0 {
				t.Fatalf("changes are %s, want %s; holds %v", got, want, holds)
			}
			f, err := new(layer.Index).Open(above.Changes[0].Entry)
			if err != nil {
				t.Fatal(err)
			}
			if data, err := io.ReadAll(f); err != nil || string(data) != "a2\nlocal\n" {
				t.Errorf("the bundle is %q, %v", data, err)
			}
		})
	}
}

// withContent is an image's layer of which all content is at hand.
func withContent(t *testing.T, m *image) *layer.Index {
	t.Helper()
	x := m.layer()
	for i := range x.Entries {
		if e := &x.Entries[i]; e.IsRegular() && !e.HasContent() {
			kept, err := layer.NewFile(*e, layer.Bytes([]byte(m.data[e.Path])))
			if err != nil {
				t.Fatal(err)
			}
			*e = *kept
		}
	}
	return x
}
