package generate

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestInstalled finds language packages by name, with their places, and by their files.
func TestInstalled(t *testing.T) {
	layers := append(fixture(t), []member{
		{path: "srv/node_modules/lodash/package.json", content: `{"name":"lodash","version":"4.17.99"}`},
		{path: "opt/venv/lib/python3.11/site-packages/evil-1.dist-info/METADATA", content: "Metadata-Version: 2.1\nName: evil\nVersion: 1\n"},
		{path: "opt/venv/lib/python3.11/site-packages/evil-1.dist-info/RECORD", content: "../../../../../../../etc/passwd,,\n/etc/shadow,,\nevil.py,,\n"},
	})
	d, err := generator().GenerateAllLayers(t.Context(), describe(t, layers), newLayeredTree(layers), created)
	if err != nil {
		t.Fatal(err)
	}
	show := func(all []Installation) []string {
		var out []string
		for _, in := range all {
			out = append(out, fmt.Sprintf("%s/%s %s in %d at %s (%s)", in.Type, in.Name, in.Version, in.Layer.Index, in.Place, in.Dir))
		}
		slices.Sort(out)
		return out
	}
	for name, want := range map[string][]string{
		"npm/lodash": {
			"npm/lodash 3.10.1 in 2 at srv/node_modules/@scope/tool/node_modules/lodash (srv/node_modules/@scope/tool/node_modules/lodash)",
			"npm/lodash 4.17.21 in 2 at srv/node_modules/lodash (srv/node_modules/lodash)",
			"npm/lodash 4.17.99 in 3 at srv/node_modules/lodash (srv/node_modules/lodash)",
		},
		"requests":             {"pypi/requests 2.31.0 in 2 at opt/venv/lib/python3.11/site-packages ()"},
		"org.slf4j/slf4j-api":  {"maven/org.slf4j/slf4j-api 2.0.9 in 2 at srv/lib ()"},
		"libssl3":              nil, // dpkg's database knows it better
		"pypi/lodash":          nil,
		"golang/example.com/x": nil,
	} {
		if diff := cmp.Diff(want, show(d.Installed(name))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if n := len(d.Installed("example.com/dep")); n == 0 {
		t.Error("no module within a program")
	}
	for file, want := range map[string]int{
		"srv/node_modules/lodash/lodash.js":                            2,
		"srv/node_modules/lodash/node_modules/other/x.js":              0,
		"opt/venv/lib/python3.11/site-packages/requests/__init__.py":   1,
		"opt/venv/lib/python3.11/site-packages/evil.py":                1,
		"srv/lib/slf4j-api.jar":                                        1,
		"etc/passwd":                                                   0,
		"etc/shadow":                                                   0,
		"var/lib/dpkg/status":                                          0,
		"opt/venv/lib/python3.11/site-packages/requests/not-listed.py": 0,
	} {
		if got := d.Holding(file); len(got) != want {
			t.Errorf("%s belongs to %d packages, want %d: %q", file, len(got), want, show(got))
		}
	}
}
