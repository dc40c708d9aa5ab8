package generate

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdxlib"

	"github.com/nanopatch/nanopatch/sbom"
)

// module is where the source of a module in go.mod lies: the official schemas come with CycloneDX's and syft's.
func module(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", name).Output()
	if err != nil {
		t.Fatalf("finding the module %s: %v", name, err)
	}
	return strings.TrimSpace(string(out))
}

// schema compiles the first of the files; the others are those that it refers to, by the names that it does so.
func schema(t *testing.T, files ...[2]string) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	const base = "https://schema.example/"
	for _, f := range files {
		data, err := os.ReadFile(f[1])
		if err != nil {
			t.Fatal(err)
		}
		var content map[string]any
		if err := json.Unmarshal(data, &content); err != nil {
			t.Fatal(err)
		}
		delete(content, "$id") // all are found beside each other
		if err := c.AddResource(base+f[0], content); err != nil {
			t.Fatal(err)
		}
	}
	s, err := c.Compile(base + files[0][0])
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func cycloneDXSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	dir := filepath.Join(module(t, "github.com/CycloneDX/cyclonedx-go"), "schema")
	return schema(t,
		[2]string{"bom-1.6.schema.json", filepath.Join(dir, "bom-1.6.schema.json")},
		[2]string{"spdx.schema.json", filepath.Join(dir, "spdx.schema.json")},
		[2]string{"jsf-0.82.schema.json", filepath.Join(dir, "jsf-0.82.schemax.json")},
	)
}

func spdxSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	return schema(t, [2]string{"spdx.json", filepath.Join(module(t, "github.com/anchore/syft"), "schema/spdx-json/spdx-schema-2.3.json")})
}

// validate holds a document against a schema.
func validate(t *testing.T, s *jsonschema.Schema, document []byte) error {
	t.Helper()
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(value)
}

// youngLicense is an SPDX id that syft knows and CycloneDX 1.6 does not.
const youngLicense = "HPND-SMC"

// licensed is the fixture with a package under a license that is younger than CycloneDX's list.
func licensed(t *testing.T) [][]member {
	t.Helper()
	return append(fixture(t), []member{
		{path: "srv/node_modules/young/package.json", content: `{"name":"young","version":"1.0.0","license":"` + youngLicense + `"}`},
		{path: "srv/node_modules/odd/package.json", content: `{"name":"odd","version":"1.0.0","license":"See the file \"COPYING\""}`},
		{path: "srv/node_modules/two/package.json", content: `{"name":"two","version":"1.0.0","license":"(MIT OR Apache-2.0)"}`},
	})
}

// TestValid holds documents against the standards' own schemas, and SPDX against the rules of its own library, too.
func TestValid(t *testing.T) {
	layers := licensed(t)
	all, err := generator().GenerateAllLayers(t.Context(), describe(t, layers), newLayeredTree(layers), created)
	if err != nil {
		t.Fatal(err)
	}
	cyclonedx, spdx := cycloneDXSchema(t), spdxSchema(t)
	for scope, d := range map[Scope]*Document{Squashed: generateFixture(t, layers, newTree(layers)), AllLayers: all} {
		if err := validate(t, cyclonedx, encode(t, d, CycloneDX)); err != nil {
			t.Errorf("%s: CycloneDX: %v", scope, err)
		}
		document := encode(t, d, SPDX)
		if err := validate(t, spdx, document); err != nil {
			t.Errorf("%s: SPDX: %v", scope, err)
		}
		model, err := spdxjson.Read(bytes.NewReader(document))
		if err != nil {
			t.Fatalf("%s: SPDX: %v", scope, err)
		}
		if err := spdxlib.ValidateDocument(model); err != nil {
			t.Errorf("%s: SPDX: %v", scope, err)
		}
		if !slices.ContainsFunc(d.Packages, func(p sbom.Package) bool {
			return p.Name == "young" && slices.Equal(p.Licenses, []string{youngLicense})
		}) {
			t.Errorf("%s: no package is under %s", scope, youngLicense)
		}
	}
}

// TestValidatorsRefuse makes sure that the validators would say so.
func TestValidatorsRefuse(t *testing.T) {
	layers := licensed(t)
	d := generateFixture(t, layers, newTree(layers))
	cyclonedx, spdx := encode(t, d, CycloneDX), encode(t, d, SPDX)
	for name, c := range map[string]struct {
		schema   *jsonschema.Schema
		document []byte
		from, to string
	}{
		"a license id of no list": {cycloneDXSchema(t), cyclonedx, `{"license":{"name":"` + youngLicense + `"}}`, `{"license":{"id":"` + youngLicense + `"}}`},
		"a field of no standard":  {cycloneDXSchema(t), cyclonedx, `"specVersion"`, `"x":1,"specVersion"`},
		"a date that is none":     {cycloneDXSchema(t), cyclonedx, `"timestamp":"2024-05-06`, `"timestamp":"2024-99-99`},
		"no SPDX version":         {spdxSchema(t), spdx, `"spdxVersion"`, `"version"`},
		"an odd relationship":     {spdxSchema(t), spdx, `"relationshipType":"CONTAINS"`, `"relationshipType":"NEAR"`},
	} {
		broken := bytes.Replace(c.document, []byte(c.from), []byte(c.to), 1)
		if bytes.Equal(broken, c.document) {
			t.Errorf("%s: the document has no %s", name, c.from)
		} else if validate(t, c.schema, broken) == nil {
			t.Errorf("%s: valid", name)
		}
	}
}

// TestSchemaLicenses holds the list of licenses against the schema of the library in go.mod.
func TestSchemaLicenses(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(module(t, "github.com/CycloneDX/cyclonedx-go"), "schema/spdx.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	var list struct{ Enum []string }
	unmarshal(t, data, &list)
	slices.Sort(list.Enum)
	got := strings.Split(strings.TrimSuffix(licenseList, "\n"), "\n")
	slices.Sort(got)
	if diff := cmp.Diff(list.Enum, got); diff != "" {
		t.Errorf("cyclonedxlicenses.txt (-schema +ours):\n%s", diff)
	}
}

func TestShorten(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"RUN x", "RUN x"},
		{strings.Repeat("x", maxInstruction), strings.Repeat("x", maxInstruction)},
		{strings.Repeat("x", maxInstruction+1), strings.Repeat("x", maxInstruction) + "…"},
		{"x" + strings.Repeat("é", maxInstruction), "x" + strings.Repeat("é", (maxInstruction-1)/2) + "…"},
	} {
		if got := shorten(c.in); got != c.want || !utf8.ValidString(got) {
			t.Errorf("%.20q… of %d bytes became %d bytes", c.in, len(c.in), len(got))
		}
	}
}

// TestValidDocuments does what TestValid does with documents of real images: the files that NANOPATCH_TEST_DOCUMENTS lists as a
// path list.
func TestValidDocuments(t *testing.T) {
	list := filepath.SplitList(os.Getenv("NANOPATCH_TEST_DOCUMENTS"))
	if len(list) == 0 {
		t.Skip("NANOPATCH_TEST_DOCUMENTS names no document")
	}
	schemas := map[bool]*jsonschema.Schema{true: cycloneDXSchema(t), false: spdxSchema(t)}
	for _, file := range list {
		document, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		isCycloneDX := bytes.Contains(document, []byte(`"bomFormat":"CycloneDX"`))
		if err := validate(t, schemas[isCycloneDX], document); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		t.Logf("%s: %d KB, CycloneDX: %t", file, len(document)>>10, isCycloneDX)
	}
}
