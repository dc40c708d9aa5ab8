package rebuild_test

import (
	"archive/tar"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/nanopatch/nanopatch/rebuild"
	"github.com/nanopatch/nanopatch/rebuild/layer"
	"github.com/nanopatch/nanopatch/rebuild/plan"
	"github.com/nanopatch/nanopatch/rebuild/rootfs"
)

// stackOf makes layers of files, "path" to content; a path that ends in a slash is a directory.
func stackOf(t *testing.T, contents ...map[string]string) (*rootfs.Stack, []plan.Layer) {
	t.Helper()
	var indexes []*layer.Index
	var layers []plan.Layer
	for i, files := range contents {
		x := &layer.Index{}
		for path, text := range files {
			if dir, ok := strings.CutSuffix(path, "/"); ok {
				x.Entries = append(x.Entries, layer.Entry{Path: dir, Type: tar.TypeDir, Mode: 0o755})
				continue
			}
			e, err := layer.NewFile(layer.Entry{Path: path, Mode: 0o644}, layer.Bytes([]byte(text)))
			if err != nil {
				t.Fatal(err)
			}
			x.Entries = append(x.Entries, *e)
		}
		indexes = append(indexes, x)
		layers = append(layers, plan.Layer{Index: i, CreatedBy: fmt.Sprint("step ", i)})
	}
	stack, err := rootfs.New(indexes)
	if err != nil {
		t.Fatal(err)
	}
	return stack, layers
}

// status is dpkg's database for packages written "name=version".
func status(packages ...string) string {
	var b strings.Builder
	for _, p := range packages {
		name, version, _ := strings.Cut(p, "=")
		fmt.Fprintf(&b, "Package: %s\nStatus: install ok installed\nArchitecture: amd64\nMaintainer: test\nVersion: %s\nDescription: test\n\n", name, version)
	}
	return b.String()
}

const (
	database = "var/lib/dpkg/status"
	lists    = "var/lib/dpkg/info/"
)

// explained is the image of these tests: layer 0 installs a and b, layer 1 upgrades b, layer 2 removes b and a directory.
func explained(t *testing.T) (*rootfs.Stack, []plan.Layer) {
	t.Helper()
	return stackOf(t,
		map[string]string{
			database: status("a=1", "b=1"), lists + "a.list": "/.\n/opt\n/opt/a\n", lists + "b.list": "/.\n/opt\n/opt/b\n",
			"opt/a": "a", "opt/b": "b", "srv/": "", "srv/data/": "", "srv/data/file": "12345", "srv/cache/file": "1",
		},
		map[string]string{database: status("a=1", "b=2"), "opt/b": "b2", "srv/cache/.wh..wh..opq": ""},
		map[string]string{database: status("a=1"), "opt/.wh.b": "", lists + ".wh.b.list": "", "srv/.wh.data": ""},
	)
}

func TestExplainPath(t *testing.T) {
	stack, layers := explained(t)
	for _, c := range []struct {
		path     string
		layers   []string
		packages []string
		visible  bool
	}{
		{"/opt/a", []string{"0 adds"}, []string{"a:amd64 1"}, true},
		{"/opt/b", []string{"0 adds shadowed", "1 adds shadowed", "2 removes"}, []string{}, false},
		{"/srv/data/file", []string{"0 adds shadowed", "2 removes /srv/data"}, []string{}, false},
		{"/srv/cache/file", []string{"0 adds shadowed", "1 hides /srv/cache"}, []string{}, false},
		{"srv/data", []string{"0 adds shadowed", "2 removes"}, []string{}, false},
	} {
		x, err := rebuild.Explain(stack, layers, c.path)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, l := range x.Path.Layers {
			line := fmt.Sprint(l.Index, " ", l.Action)
			if l.Above != "" {
				line += " " + l.Above
			}
			if l.Shadow {
				line += " shadowed"
			}
			got = append(got, line)
		}
		if !slices.Equal(got, c.layers) || !slices.Equal(x.Path.Packages, c.packages) || x.Path.Visible != c.visible {
			t.Errorf("%s: got %q, packages %q, visible %t", c.path, got, x.Path.Packages, x.Path.Visible)
		}
	}
	if _, err := rebuild.Explain(stack, layers, "/none"); !errors.Is(err, rebuild.ErrUnknown) {
		t.Errorf("a path that is nowhere: %v", err)
	}
}

// TestExplainSharedDirectory: a directory belongs to all that ship it.
func TestExplainSharedDirectory(t *testing.T) {
	stack, layers := stackOf(t, map[string]string{
		database: status("a=1", "b=1"), lists + "a.list": "/.\n/opt\n", lists + "b.list": "/.\n/opt\n", "opt/": "",
	})
	x, err := rebuild.Explain(stack, layers, "/opt")
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"a:amd64 1", "b:amd64 1"}; !slices.Equal(x.Path.Packages, want) {
		t.Errorf("got %q, want %q", x.Path.Packages, want)
	}
}

// TestExplainRemovedPackage: a package that a later layer removed is explained as well.
func TestExplainRemovedPackage(t *testing.T) {
	stack, layers := explained(t)
	x, err := rebuild.Explain(stack, layers, "b")
	if err != nil || len(x.Packages) != 1 {
		t.Fatalf("got %+v, %v", x, err)
	}
	p := x.Packages[0]
	if p.Version != "2" || p.Home != 1 || p.Removed == nil || p.Removed.Layer != 2 || p.Removed.CreatedBy != "step 2" ||
		!slices.Equal(p.Below, []rebuild.ShadowedVersion{{Layer: 0, Version: "1"}}) {
		t.Errorf("got %+v", p)
	}
	if want := int64(len("b") + len("b2")); p.Wasted != want {
		t.Errorf("%d bytes wasted, want %d: both copies of its file", p.Wasted, want)
	}
	if x, err = rebuild.Explain(stack, layers, "a:amd64"); err != nil || x.Packages[0].Removed != nil || x.Packages[0].Home != 0 || x.Packages[0].Wasted != 0 {
		t.Errorf("a is installed: %+v, %v", x, err)
	}
	if _, err := rebuild.Explain(stack, layers, "c"); !errors.Is(err, rebuild.ErrUnknown) {
		t.Errorf("a package that never was: %v", err)
	}
}
