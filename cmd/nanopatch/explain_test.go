package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/nanopatch/nanopatch/rebuild/image/imagetest"
	"github.com/nanopatch/nanopatch/testdata/fixture"
)

// TestExplainLanguages asks where language packages and their files come from, which no package database knows.
func TestExplainLanguages(t *testing.T) {
	const site = "usr/lib/python3/site-packages/"
	img, err := mutate.ConfigFile(mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON),
		&v1.ConfigFile{OS: "linux", Architecture: "amd64", RootFS: v1.RootFS{Type: "layers"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range []struct {
		by    string
		files map[string]string
	}{
		{"RUN npm install", map[string]string{
			"srv/node_modules/left-pad/package.json": `{"name":"left-pad","version":"1.0.0"}`, "srv/node_modules/left-pad/index.js": "module.exports = 1",
		}},
		{"RUN pip install six", map[string]string{
			site + "six-1.16.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: six\nVersion: 1.16.0\n",
			site + "six-1.16.0.dist-info/RECORD":   "six.py,,\nsix-1.16.0.dist-info/METADATA,,\n", site + "six.py": "six = 6\n",
		}},
		{"RUN npm update", map[string]string{"srv/node_modules/left-pad/package.json": `{"name":"left-pad","version":"1.3.0"}`}},
	} {
		img, err = mutate.Append(img, mutate.Addendum{Layer: imagetest.Layer(t, types.OCILayer, l.files), MediaType: types.OCILayer, History: v1.History{CreatedBy: l.by}})
		if err != nil {
			t.Fatal(err)
		}
	}
	dir, cache := filepath.Join(t.TempDir(), "image"), t.TempDir()
	if err := fixture.WriteLayout(dir, "app", img); err != nil {
		t.Fatal(err)
	}
	explain := func(code int, what string, args ...string) string {
		t.Helper()
		out, errs, got := run(t.Context(), t, cache, append([]string{"explain", "oci:" + dir + ":app", what}, args...)...)
		if got != code {
			t.Fatalf("%s: exit code %d, want %d: %s", what, got, code, errs)
		}
		return out + errs
	}
	var x struct {
		Packages []struct {
			Type, Name, Version, CreatedBy string
			Layer, Files, Wasted           int
			Below                          []struct {
				Layer   int
				Version string
			}
		}
	}
	if err := json.Unmarshal([]byte(explain(0, "left-pad", "-o", "json")), &x); err != nil {
		t.Fatal(err)
	}
	if len(x.Packages) != 1 {
		t.Fatalf("%+v", x)
	}
	p := x.Packages[0]
	if p.Type != "npm" || p.Version != "1.3.0" || p.Layer != 2 || p.CreatedBy != "RUN npm update" || p.Files != 2 ||
		p.Wasted != len(`{"name":"left-pad","version":"1.0.0"}`) || len(p.Below) != 1 || p.Below[0].Version != "1.0.0" || p.Below[0].Layer != 0 {
		t.Errorf("%+v", p)
	}
	for what, want := range map[string]string{
		"pypi/six":                            "RUN pip install six",
		"/" + site + "six.py":                 "of package pypi/six 1.16.0",
		"/srv/node_modules/left-pad/index.js": "of package npm/left-pad 1.3.0",
	} {
		if got := explain(0, what); !strings.Contains(got, want) {
			t.Errorf("%s: no %q in\n%s", what, want, got)
		}
	}
	if got := explain(1, "npm/six"); !strings.Contains(got, "neither a package nor a path") {
		t.Errorf("an unknown package: %s", got)
	}
}
