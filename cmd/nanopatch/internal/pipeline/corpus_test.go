package pipeline

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/nanopatch/nanopatch/sbom/diff"
	"github.com/nanopatch/nanopatch/sbom/generate"
)

var update = flag.Bool("update", false, "write the golden files anew")

// listed is a package of a corpus file: "name | version | purl | licenses", with - for what is not there.
type listed struct {
	name, version, purl string
	licenses            []string
}

func parseList(t *testing.T, data []byte) []listed {
	t.Helper()
	var out []listed
	for line := range strings.Lines(string(data)) {
		f := strings.Split(strings.TrimSpace(line), " | ")
		if len(f) != 4 {
			t.Fatalf("line %q: want 4 fields", line)
		}
		for i := range f {
			f[i] = strings.TrimSpace(strings.TrimPrefix(f[i], "-"))
		}
		p := listed{name: f[0], version: f[1], purl: f[2]}
		if f[3] != "" {
			p.licenses = strings.Split(f[3], ", ")
		}
		out = append(out, p)
	}
	return out
}

type object = map[string]any

// The writers write a list as each standard has it, with nothing in it that only one tool would write. They are the tests' own:
// what this program writes itself is not what must be read here.
var writers = map[string]func(list []listed) object{
	"spdx-2.2":      func(list []listed) object { return spdx2("2.2", list) },
	"spdx-2.3":      func(list []listed) object { return spdx2("2.3", list) },
	"spdx-3.0":      spdx3,
	"cyclonedx-1.2": func(list []listed) object { return cycloneDX("1.2", list) },
	"cyclonedx-1.3": func(list []listed) object { return cycloneDX("1.3", list) },
	"cyclonedx-1.4": func(list []listed) object { return cycloneDX("1.4", list) },
	"cyclonedx-1.5": func(list []listed) object { return cycloneDX("1.5", list) },
	"cyclonedx-1.6": func(list []listed) object { return cycloneDX("1.6", list) },
	"cyclonedx-1.7": func(list []listed) object { return cycloneDX("1.7", list) },
	"syft-16":       func(list []listed) object { return syftJSON("16.1.2", list) },
	"syft-11":       func(list []listed) object { return syftJSON("11.0.1", list) },
}

// expression is licenses as one SPDX expression.
func expression(licenses []string) string {
	if len(licenses) == 0 {
		return "NOASSERTION"
	}
	return strings.Join(licenses, " AND ")
}

// spdx2 writes SPDX 2.2 and 2.3 (https://spdx.github.io/spdx-spec/v2.3/, clause 7).
func spdx2(version string, list []listed) object {
	packages, relations := []object{}, []object{}
	for i, p := range list {
		id := fmt.Sprintf("SPDXRef-Package-%d", i)
		o := object{
			"SPDXID": id, "name": p.name, "versionInfo": p.version, "downloadLocation": "NOASSERTION", "filesAnalyzed": false,
			"licenseDeclared": expression(p.licenses), "licenseConcluded": "NOASSERTION", "copyrightText": "NOASSERTION",
		}
		if p.purl != "" {
			o["externalRefs"] = []object{{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": p.purl}}
		}
		packages = append(packages, o)
		relations = append(relations, object{"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": id})
	}
	return object{
		"spdxVersion": "SPDX-" + version, "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT", "name": "image",
		"documentNamespace": "https://example.com/image", "packages": packages, "relationships": relations,
		"creationInfo": object{"created": "2026-01-01T00:00:00Z", "creators": []string{"Tool: example-1"}},
	}
}

// spdx3 writes SPDX 3.0.1 as JSON-LD (https://spdx.github.io/spdx-spec/v3.0.1/).
func spdx3(list []listed) object {
	const base = "https://example.com/image/"
	graph := []object{
		{"@id": "_:made", "type": "CreationInfo", "specVersion": "3.0.1", "created": "2026-01-01T00:00:00Z", "createdBy": []string{base + "tool"}},
		{"spdxId": base + "tool", "type": "SoftwareAgent", "name": "example", "creationInfo": "_:made"},
	}
	var ids []string
	for i, p := range list {
		id := fmt.Sprintf("%spackage-%d", base, i)
		o := object{"spdxId": id, "type": "software_Package", "name": p.name, "software_packageVersion": p.version, "creationInfo": "_:made"}
		if p.purl != "" {
			o["software_packageUrl"] = p.purl
			o["externalIdentifier"] = []object{{"type": "ExternalIdentifier", "externalIdentifierType": "packageUrl", "identifier": p.purl}}
		}
		ids, graph = append(ids, id), append(graph, o)
		if len(p.licenses) > 0 {
			license := fmt.Sprintf("%slicense-%d", base, i)
			graph = append(graph,
				object{"spdxId": license, "type": "simplelicensing_LicenseExpression", "simplelicensing_licenseExpression": expression(p.licenses), "creationInfo": "_:made"},
				object{"spdxId": license + "-of", "type": "Relationship", "relationshipType": "hasDeclaredLicense", "from": id, "to": []string{license}, "creationInfo": "_:made"})
		}
	}
	root := object{"spdxId": base + "document", "type": "SpdxDocument", "name": "image", "creationInfo": "_:made"}
	if len(ids) > 0 {
		root["rootElement"], root["element"] = ids, ids
	}
	return object{"@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld", "@graph": append(graph, root)}
}

// cycloneDX writes CycloneDX (https://cyclonedx.org/docs/1.6/json/).
func cycloneDX(version string, list []listed) object {
	components := []object{}
	for i, p := range list {
		o := object{"bom-ref": fmt.Sprintf("c%d", i), "type": "library", "name": p.name, "version": p.version}
		if p.purl != "" {
			o["purl"] = p.purl
		}
		licenses := []object{}
		for _, l := range p.licenses {
			kind := "id"
			if strings.HasPrefix(l, "LicenseRef-") {
				kind = "name"
			}
			licenses = append(licenses, object{"license": object{kind: l}})
		}
		if len(licenses) > 0 {
			o["licenses"] = licenses
		}
		components = append(components, o)
	}
	return object{"bomFormat": "CycloneDX", "specVersion": version, "version": 1, "components": components}
}

// syftJSON writes syft's own format.
func syftJSON(version string, list []listed) object {
	artifacts := []object{}
	for i, p := range list {
		licenses := []object{}
		for _, l := range p.licenses {
			licenses = append(licenses, object{"value": l, "spdxExpression": l, "type": "declared"})
		}
		typ, _, _ := strings.Cut(strings.TrimPrefix(p.purl, "pkg:"), "/")
		if typ = map[string]string{"golang": "go-module", "maven": "java-archive", "pypi": "python", "": "UnknownPackage"}[typ]; typ == "" {
			typ, _, _ = strings.Cut(strings.TrimPrefix(p.purl, "pkg:"), "/")
		}
		artifacts = append(artifacts, object{
			"id": fmt.Sprintf("%016x", i), "name": p.name, "version": p.version, "type": typ, "purl": p.purl,
			"licenses": licenses, "locations": []object{}, "cpes": []object{}, "language": "", "foundBy": "",
		})
	}
	return object{
		"artifacts": artifacts, "artifactRelationships": []object{}, "source": object{"id": "x", "name": "image", "version": "", "type": "image", "metadata": object{}},
		"distro": object{}, "descriptor": object{"name": "syft", "version": "1.0.0"},
		"schema": object{"version": version, "url": "https://raw.githubusercontent.com/anchore/syft/main/schema/json/schema-" + version + ".json"},
	}
}

// readAs writes a list in a format and reads it back.
func readAs(t *testing.T, format string, list []listed) *generate.Document {
	t.Helper()
	data, err := json.Marshal(writers[format](list))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := generate.Read(bytes.NewReader(data), format)
	if err != nil {
		t.Fatalf("%s: %v", format, err)
	}
	return doc
}

// lines shows what a diff says, one difference a line.
func lines(d *diff.Diff) string {
	var b strings.Builder
	name := func(typ, name, arch string) string { return strings.TrimSuffix(typ+" "+name+":"+arch, ":") }
	for _, p := range d.Added {
		fmt.Fprintf(&b, "added %s %s\n", name(p.Type, p.Name, p.Arch), p.Version)
	}
	for _, p := range d.Removed {
		fmt.Fprintf(&b, "removed %s %s\n", name(p.Type, p.Name, p.Arch), p.Version)
	}
	for _, c := range d.Changed {
		what := string(c.Direction)
		if what == "" {
			what = "change"
		}
		fmt.Fprintf(&b, "%s %s %s > %s %s", what, name(c.Type, c.Name, c.Arch), c.From, c.To, c.Level)
		if c.Licenses != nil {
			b.WriteString(", " + relicensed(*c.Licenses))
		}
		b.WriteString("\n")
	}
	for _, r := range d.Relicensed {
		fmt.Fprintf(&b, "relicensed %s %s %s\n", name(r.Type, r.Name, r.Arch), r.Version, relicensed(r.Licenses))
	}
	fmt.Fprintf(&b, "unchanged %d\n", d.Unchanged)
	return b.String()
}

func relicensed(l diff.Licenses) string {
	list := func(names []string) string {
		all := strings.Split(strings.Join(names, " AND "), " AND ")
		slices.Sort(all)
		return strings.Join(all, " AND ")
	}
	return list(l.From) + " > " + list(l.To)
}

// TestCorpus compares each pair of lists in every pair of formats and versions: what comes out is the same for all, and is what
// the golden part says, which was reviewed by hand.
func TestCorpus(t *testing.T) {
	files, err := filepath.Glob("testdata/diff/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no corpus: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if len(archive.Files) != 3 {
				t.Fatalf("%d parts, want old, new, want", len(archive.Files))
			}
			older, newer := parseList(t, archive.Files[0].Data), parseList(t, archive.Files[1].Data)
			if *update {
				archive.Files[2].Data = []byte(lines(Compare(readAs(t, "cyclonedx-1.6", older), readAs(t, "cyclonedx-1.6", newer))))
				if err := os.WriteFile(file, txtar.Format(archive), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			everyPair(t, older, newer, string(archive.Files[2].Data))
		})
	}
}

func everyPair(t *testing.T, older, newer []listed, want string) {
	t.Helper()
	before, after := map[string]*generate.Document{}, map[string]*generate.Document{}
	for format := range writers {
		before[format], after[format] = readAs(t, format, older), readAs(t, format, newer)
	}
	for from, a := range before {
		for to, b := range after {
			if diff := cmp.Diff(want, lines(Compare(a, b))); diff != "" {
				t.Errorf("%s to %s (-want +got):\n%s", from, to, diff)
			}
		}
		for to, b := range before {
			if d := Compare(a, b); !d.Empty() || d.Unchanged != len(older) {
				t.Errorf("the same list in %s and %s differs:\n%s", from, to, lines(d))
			}
		}
	}
}

// TestCorpusCoversEveryVersion: what can be read is compared. The list of what can be read is in the error about what cannot.
func TestCorpusCoversEveryVersion(t *testing.T) {
	for name, document := range map[string]string{
		"cyclonedx": `{"bomFormat": "CycloneDX", "specVersion": "0.9"}`, "spdx": `{"spdxVersion": "SPDX-1.0"}`,
	} {
		_, err := generate.Read(strings.NewReader(document), name)
		var unreadable *generate.FormatError
		if !errors.As(err, &unreadable) || len(unreadable.Readable) == 0 {
			t.Fatalf("%s: error %v", name, err)
		}
		for _, v := range unreadable.Readable {
			if writers[name+"-"+v] == nil {
				t.Errorf("no %s %s in the corpus", name, v)
			}
		}
	}
}
