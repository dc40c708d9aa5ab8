package apk

import (
	"io/fs"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem/apk"
	"github.com/nanopatch/nanopatch/rebuild/version"
)

// world is what the image's administrator asked for: etc/apk/world. It restricts versions ("curl<8", "curl~8.5") and lets
// packages come from tagged repositories ("curl@edge").
type world map[string][]apk.Dependency

const worldFile = "etc/apk/world"

func readWorld(root fs.FS) (world, error) {
	data, err := readFile(root, worldFile, maxConfig)
	if err != nil {
		return nil, err
	}
	w := make(world)
	for _, d := range apk.ParseDependencies(string(data)) {
		w[d.Name] = append(w[d.Name], d)
	}
	return w, nil
}

// tagged tells whether a package may come from the repositories of a tag.
func (w world) tagged(name, tag string) bool {
	if tag == "" {
		return true
	}
	for _, d := range w[name] {
		if d.Tag == tag {
			return true
		}
	}
	return false
}

// allows tells whether a version is one that the world admits. The exact versions it may name are not asked: they are a hold
// on the installed package, which ecosystem/apk sees.
func (w world) allows(name, v string) bool {
	for _, d := range w[name] {
		if !d.Conflict && d.Version != "" && d.Op != "=" && d.Op != "><" && !allows(d, v) {
			return false
		}
	}
	return true
}

func allows(d apk.Dependency, v string) bool {
	if d.Fuzzy() && version.ApkWithin(v, d.Version) {
		return true
	}
	n, err := version.Apk.Compare(v, d.Version)
	return err == nil && (n < 0 && strings.Contains(d.Op, "<") || n > 0 && strings.Contains(d.Op, ">") ||
		n == 0 && strings.Contains(d.Op, "="))
}
