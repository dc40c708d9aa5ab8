package main_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/nanopatch/nanopatch/"

// pkg is what `go list -json` says of a package: what its own files import, tests left out, and all that follows from it.
type pkg struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

// listPackages lists every package of the module.
func listPackages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,Deps", module+"...")
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		t.Fatalf("go list: %v\n%s", err, exit.Stderr)
	}
	if err != nil {
		t.Fatal(err)
	}
	var packages []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		p.ImportPath = strings.TrimPrefix(p.ImportPath, module)
		packages = append(packages, p)
	}
}

// within tells whether a package is at or below a path. A trailing "$" in the path stands for the package itself.
func within(importPath, path string) bool {
	if own, exact := strings.CutSuffix(path, "$"); exact {
		return importPath == own
	}
	return importPath == path || strings.HasPrefix(importPath, path+"/")
}

// never says what must not be anywhere in the closure of the packages below a path.
var never = []struct {
	below, dep, why string
}{
	{"rebuild", "github.com/anchore/syft", "everything below rebuild/ builds and tests without syft"},
	{"rebuild", "github.com/anchore/stereoscope", "everything below rebuild/ builds and tests without syft"},
	{"rebuild", "github.com/sigstore", "everything below rebuild/ builds and tests without cosign"},
	{"rebuild", module + "sbom", "rebuild, sbom and sign never import each other"},
	{"rebuild", module + "sign", "rebuild, sbom and sign never import each other"},
	{"sbom", module + "rebuild", "rebuild, sbom and sign never import each other"},
	{"sbom", module + "sign", "rebuild, sbom and sign never import each other"},
	{"sbom", "github.com/sigstore/cosign", "sign/cosign is the only importer of cosign"},
	{"sign", module + "rebuild", "rebuild, sbom and sign never import each other"},
	{"sign", module + "sbom", "rebuild, sbom and sign never import each other"},
	{"sign", "github.com/anchore/syft", "sbom/generate is the only importer of syft"},
	{"sbom/diff", "github.com/anchore/syft", "sbom/generate is the only importer of syft"},
	{"sbom/report", "github.com/anchore/syft", "sbom/generate is the only importer of syft"},
	{"sign/attest", "github.com/sigstore/cosign", "sign/cosign is the only importer of cosign"},
	{"rebuild", module + "cmd", "a library does not know the program"},
	{"sbom", module + "cmd", "a library does not know the program"},
	{"sign", module + "cmd", "a library does not know the program"},
	{"cmd", module + "testdata", "fixtures are for tests"},
	{"rebuild", module + "testdata", "fixtures are for tests"},
	{"sbom", module + "testdata", "fixtures are for tests"},
	{"sign", module + "testdata", "fixtures are for tests"},
}

// only says who may import a library directly.
var only = map[string]string{
	"github.com/anchore/syft":    "sbom/generate",
	"github.com/sigstore/cosign": "sign/cosign",
}

// direction lists the packages below rebuild in the order in which they may know each other: a package imports
// what stands before it.
var direction = []string{
	"rebuild/version", "rebuild/layer", "rebuild/image", "rebuild/advisory", "rebuild/rootfs", "rebuild/ecosystem", "rebuild/pkgrepo",
	"rebuild/policy", "rebuild/plan", "rebuild$",
}

// leaves import nothing of the module but their own internals.
var leaves = []string{"rebuild/version", "rebuild/layer", "rebuild/image"}

func TestDependencies(t *testing.T) {
	packages := listPackages(t)
	if len(packages) < 10 {
		t.Fatalf("go list finds %d packages: the test looks in the wrong place", len(packages))
	}
	for _, p := range packages {
		for _, rule := range never {
			i := slices.IndexFunc(p.Deps, func(dep string) bool { return within(dep, rule.dep) })
			if i >= 0 && within(p.ImportPath, rule.below) {
				t.Errorf("%s depends on %s: %s", p.ImportPath, p.Deps[i], rule.why)
			}
		}
		for _, dep := range p.Imports {
			for library, importer := range only {
				if within(dep, library) && !within(p.ImportPath, importer) {
					t.Errorf("%s imports %s, which only %s may", p.ImportPath, dep, importer)
				}
			}
			if own, ok := strings.CutPrefix(dep, module); ok {
				checkDirection(t, p.ImportPath, own)
			}
		}
	}
}

// checkDirection checks one import between two packages of the module.
func checkDirection(t *testing.T, importer, imported string) {
	t.Helper()
	from, to := stage(importer), stage(imported)
	if from < 0 || to < 0 {
		return
	}
	if from < to {
		t.Errorf("%s imports %s, against the direction", importer, imported)
	}
	if from != to && slices.ContainsFunc(leaves, func(leaf string) bool { return within(importer, leaf) }) {
		t.Errorf("%s imports %s: it is a leaf", importer, imported)
	}
}

// stage is a package's place in direction, -1 for none.
func stage(importPath string) int {
	return slices.IndexFunc(direction, func(path string) bool { return within(importPath, path) })
}
