package report

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nanopatch/nanopatch/sbom"
	"github.com/nanopatch/nanopatch/sbom/diff"
	"github.com/nanopatch/nanopatch/sbom/report/page"
)

var update = flag.Bool("update", false, "write the golden files anew")

func at(i int) *int { return &i }

var (
	older = sbom.Image{Ref: "registry.example/base:12", Digest: "sha256:" + strings.Repeat("0a", 32), Platform: "linux/amd64"}
	newer = sbom.Image{Ref: "registry.example/base:12-patched", Digest: "sha256:" + strings.Repeat("1b", 32), Platform: "linux/amd64"}
	// hostile is a name that would turn the terminal red, open a table and mention somebody.
	hostile = "evil\x1b[31m|<b>@all</b>\n`x`"
)

func sampleDiff() *diff.Diff {
	return &diff.Diff{
		APIVersion: diff.APIVersion, Kind: diff.Kind, Old: older, New: newer,
		Changed: []diff.Change{
			{
				Name: "libssl3", Type: "deb", Arch: "amd64", From: "3.0.11-1~deb12u2", To: "3.0.13-1~deb12u1", Direction: diff.Upgrade, Level: "patch", Layer: at(1), FromLayer: at(0), PURL: "pkg:deb/debian/libssl3@3.0.13-1~deb12u1?arch=amd64",
				FixedCVEs:  []string{"CVE-2024-0727"},
				Advisories: []diff.Statement{{Kind: "osv", Name: "<i>osv</i>.json", CVEs: []string{"CVE-2024-0727"}}},
			},
			{Name: "tzdata", Type: "deb", Arch: "all", From: "2024a-0+deb12u1", To: "2024b-0+deb12u1", Direction: diff.Upgrade, Level: "patch", Layer: at(0)},
			{Name: "tool", Type: "deb", Arch: "amd64", FromArch: "all", From: "2.0", To: "1.0", Direction: diff.Downgrade, Level: "major"},
			{Name: "model", Type: "generic", From: "x", To: "y"},
		},
		Added:        []diff.Package{{Name: hostile, Type: "npm", Version: strings.Repeat("1.", 100), Layer: at(2)}},
		Removed:      []diff.Package{{Name: "gone", Type: "pypi", Version: "1.0", PURL: "pkg:pypi/gone@1.0"}},
		Moved:        []diff.Move{{Name: hostile, Type: "npm", Version: "1", FromLayer: 0, Layer: 2}},
		Relicensed:   []diff.Relicense{{Name: "redis", Type: "generic", Version: "7.2.4", Licenses: diff.Licenses{From: []string{"BSD-3-Clause"}, To: []string{hostile}}}},
		Unchanged:    95,
		Consequences: []diff.Consequence{{Type: "maven", Name: "jrt-fs", From: "17.0.9", To: "17.0.10", Because: "openjdk-17-jre-headless 17.0.10+7-1~deb12u1"}},
		FixedCVEs:    []string{"CVE-2024-0727"},
	}
}

func samplePackages() []sbom.Package {
	base := &sbom.Layer{Index: 0, Digest: "sha256:01", DiffID: "sha256:02", CreatedBy: "ADD rootfs.tar /"}
	app := &sbom.Layer{Index: 2, Digest: "sha256:03", DiffID: "sha256:04"}
	return []sbom.Package{
		{Type: "deb", Name: "libssl3", Arch: "amd64", Version: "3.0.13-1~deb12u1", PURL: "pkg:deb/debian/libssl3@3.0.13-1~deb12u1?arch=amd64", Layer: base, Licenses: []string{"Apache-2.0", "Artistic"}},
		{Type: "deb", Name: "tzdata", Arch: "all", Version: "2024b-0+deb12u1", Layer: base},
		{Type: "npm", Name: "@scope/tool", Version: "1.0.0", Layer: app},
		{Type: "npm", Name: hostile, Version: "1", Licenses: []string{"<script>"}},
	}
}

func TestGolden(t *testing.T) {
	empty := &diff.Diff{APIVersion: diff.APIVersion, Kind: diff.Kind, Old: older, New: older, Unchanged: 1}
	for name, write := range map[string]func(w io.Writer) error{
		"diff.txt":  func(w io.Writer) error { return DiffTable(w, sampleDiff(), false) },
		"diff.ansi": func(w io.Writer) error { return DiffTable(w, sampleDiff(), true) },
		"diff.md":   func(w io.Writer) error { return DiffMarkdown(w, sampleDiff()) },
		"diff.html": func(w io.Writer) error { // without the style sheet, which is not about the diff
			var b bytes.Buffer
			err := page.HTML(&b, DiffPage(sampleDiff()))
			return errors.Join(err, errorOf(w.Write(b.Bytes()[bytes.Index(b.Bytes(), []byte("<body>")):])))
		},
		"diff.json":      func(w io.Writer) error { return DiffJSON(w, sampleDiff()) },
		"diff-empty.txt": func(w io.Writer) error { return DiffTable(w, empty, false) },
		"diff-empty.md":  func(w io.Writer) error { return DiffMarkdown(w, empty) },
		"sbom.txt":       func(w io.Writer) error { return SBOMTable(w, newer, samplePackages(), false) },
		"sbom.ansi":      func(w io.Writer) error { return SBOMTable(w, newer, samplePackages(), true) },
		"sbom.md":        func(w io.Writer) error { return SBOMMarkdown(w, newer, samplePackages()) },
		"sbom.json":      func(w io.Writer) error { return SBOMJSON(w, newer, samplePackages()) },
		"sbom-empty.txt": func(w io.Writer) error { return SBOMTable(w, sbom.Image{Ref: "file.json"}, nil, false) },
		"sbom-empty.json": func(w io.Writer) error {
			return SBOMJSON(w, sbom.Image{Ref: "file.json"}, nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := write(&b); err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(golden, b.Bytes(), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), b.String()); diff != "" {
				t.Errorf("%s (-want +got; -update writes it anew):\n%s", golden, diff)
			}
		})
	}
}

func errorOf(_ int, err error) error { return err }

// TestHostile looks for what must not come through, whatever the golden files say.
func TestHostile(t *testing.T) {
	var table, markdown bytes.Buffer
	if err := errors.Join(DiffTable(&table, sampleDiff(), false), SBOMTable(&table, newer, samplePackages(), false)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(DiffMarkdown(&markdown, sampleDiff()), SBOMMarkdown(&markdown, newer, samplePackages())); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(table.String(), "\x1b") {
		t.Error("an escape sequence reached a table without colour")
	}
	for _, bad := range []string{"<b>", "<script>", "@all", "\x1b", "`x`"} {
		if strings.Contains(markdown.String(), bad) {
			t.Errorf("%q reached the markdown", bad)
		}
	}
	for _, line := range strings.Split(table.String(), "\n") {
		if n := len([]rune(line)); n > 200 {
			t.Errorf("a line of %d characters: %s", n, line)
		}
	}
}

type brokenWriter struct{}

var errBroken = errors.New("broken")

func (brokenWriter) Write([]byte) (int, error) { return 0, errBroken }

func TestWriteErrors(t *testing.T) {
	for i, err := range []error{
		page.HTML(brokenWriter{}, DiffPage(sampleDiff())), DiffTable(brokenWriter{}, sampleDiff(), false), DiffMarkdown(brokenWriter{}, sampleDiff()), DiffJSON(brokenWriter{}, sampleDiff()),
		SBOMTable(brokenWriter{}, newer, nil, false), SBOMMarkdown(brokenWriter{}, newer, nil), SBOMJSON(brokenWriter{}, newer, nil),
	} {
		if !errors.Is(err, errBroken) {
			t.Errorf("function %d: error %v", i, err)
		}
	}
}
