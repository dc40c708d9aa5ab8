package rebuild_test

import (
	"slices"
	"testing"

	"github.com/nanopatch/nanopatch/rebuild"
)

// A module that was replaced, one that was removed, two versions in one directory, and one within another.
func TestExplainFound(t *testing.T) {
	stack, layers := stackOf(t,
		map[string]string{
			"srv/": "", "srv/node_modules/": "", "srv/node_modules/a/": "", "srv/node_modules/a/package.json": "old",
			"srv/node_modules/a/index.js": "12345678", "srv/node_modules/a/node_modules/b/package.json": "inner", "lib/": "", "lib/x-1.jar": "123", "site/": "",
			"site/p-1.dist-info/": "", "site/p-1.dist-info/METADATA": "meta", "site/p.py": "code",
		},
		map[string]string{"srv/node_modules/a/package.json": "newer", "lib/x-2.jar": "4567", "site/.wh.p-1.dist-info": "", "site/.wh.p.py": ""},
	)
	npm := func(version string, layer int) rebuild.Found {
		return rebuild.Found{
			Type: "npm", Name: "a", Version: version, Layer: layer, Place: "srv/node_modules/a", Dir: "srv/node_modules/a",
			Paths: []string{"srv/node_modules/a/package.json"}, Files: []string{"srv/node_modules/a/package.json"},
		}
	}
	jar := func(version string, layer int) rebuild.Found {
		path := []string{"lib/x-" + version + ".jar"}
		return rebuild.Found{Type: "maven", Name: "g/x", Version: version, Layer: layer, Place: "lib", Paths: path, Files: path}
	}
	python := rebuild.Found{
		Type: "pypi", Name: "p", Version: "1", Place: "site", Paths: []string{"site/p-1.dist-info/METADATA"},
		Files: []string{"site/p-1.dist-info/METADATA", "site/p.py"},
	}
	got := map[string]rebuild.PackageExplanation{}
	for _, x := range rebuild.ExplainFound(stack, layers, []rebuild.Found{npm("2", 1), jar("2", 1), python, npm("1", 0), jar("1", 0)}) {
		got[x.Type+" "+x.Name+" "+x.Version] = x
	}
	if len(got) != 4 {
		t.Fatalf("%d packages: %+v", len(got), got)
	}
	a := got["npm a 2"]
	if a.Home != 1 || a.CreatedBy != "step 1" || a.Files != 2 || a.Wasted != 3 || a.Removed != nil ||
		!slices.Equal(a.Below, []rebuild.ShadowedVersion{{Layer: 0, Version: "1"}}) {
		t.Errorf("a replaced module: %+v", a)
	}
	p := got["pypi p 1"]
	if p.Home != 0 || p.Files != 2 || p.Wasted != 8 || p.Removed == nil || p.Removed.Layer != 1 || len(p.Below) != 0 {
		t.Errorf("a removed module: %+v", p)
	}
	for version, layer := range map[string]int{"1": 0, "2": 1} {
		if x := got["maven g/x "+version]; x.Home != layer || x.Files != 1 || x.Wasted != 0 || len(x.Below) != 0 {
			t.Errorf("an archive beside another: %+v", x)
		}
	}
	if all := rebuild.ExplainFound(stack, layers, nil); len(all) != 0 {
		t.Errorf("nothing found: %+v", all)
	}
}
