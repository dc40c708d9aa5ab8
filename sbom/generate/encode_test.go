package generate

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

func encode(t testing.TB, d *Document, f Format) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := d.Encode(&b, f); err != nil {
		t.Fatal(err)
	}
	if dir := os.Getenv("NANOPATCH_TEST_KEEP"); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, string(f)+".json"), b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

func unmarshal(t *testing.T, data []byte, value any) {
	t.Helper()
	if err := json.Unmarshal(data, value); err != nil {
		t.Fatal(err)
	}
}

func TestSPDX(t *testing.T) {
	layers := fixture(t)
	d := generateFixture(t, layers, newTree(layers))
	var doc struct {
		SPDXVersion, DocumentNamespace string
		CreationInfo                   struct {
			Created  string
			Creators []string
		}
		Packages []struct {
			Name, VersionInfo string
			Annotations       []struct{ AnnotationDate, Annotator, Comment string }
		}
		Files         []any
		Relationships []struct{ SpdxElementID, RelationshipType, RelatedSpdxElement string }
	}
	data := encode(t, d, SPDX)
	unmarshal(t, data, &doc)
	if doc.SPDXVersion != "SPDX-2.3" || doc.CreationInfo.Created != "2024-05-06T07:08:09Z" || len(doc.Files) != 0 {
		t.Errorf("version %s, created %s, %d files", doc.SPDXVersion, doc.CreationInfo.Created, len(doc.Files))
	}
	if !slices.Contains(doc.CreationInfo.Creators, "Tool: nanopatch-1.2.3") {
		t.Errorf("creators %q", doc.CreationInfo.Creators)
	}
	id, err := uuid.Parse(strings.TrimPrefix(doc.DocumentNamespace, spdxNamespace))
	if err != nil || id.Version() != 5 {
		t.Errorf("namespace %s: version %d, %v", doc.DocumentNamespace, id.Version(), err)
	}
	if len(doc.Packages) != len(d.Packages)+1 {
		t.Errorf("%d packages, want %d and the image", len(doc.Packages), len(d.Packages))
	}
	for _, p := range doc.Packages {
		if p.Name == "libssl3" {
			want := layerMark + ` {"index":1,"digest":"` + d.Layers[1].Digest + `","diffId":"` + d.Layers[1].DiffID +
				`","createdBy":"RUN step 1"}`
			if len(p.Annotations) != 1 || p.Annotations[0].Comment != want || p.Annotations[0].AnnotationDate != "2024-05-06T07:08:09Z" {
				t.Errorf("libssl3 has the annotations %+v, want %s", p.Annotations, want)
			}
		}
	}
	sorted := slices.IsSortedFunc(doc.Relationships, func(a, b struct{ SpdxElementID, RelationshipType, RelatedSpdxElement string }) int {
		return strings.Compare(a.SpdxElementID, b.SpdxElementID)
	})
	if !sorted || len(doc.Relationships) == 0 {
		t.Errorf("%d relationships, sorted: %t", len(doc.Relationships), sorted)
	}
	for _, r := range doc.Relationships {
		if strings.Contains(r.RelatedSpdxElement, "-File-") {
			t.Errorf("a relationship to %s, which the document does not have", r.RelatedSpdxElement)
		}
	}
}

func TestCycloneDX(t *testing.T) {
	layers := fixture(t)
	d := generateFixture(t, layers, newTree(layers))
	type property struct{ Name, Value string }
	var doc struct {
		SpecVersion, SerialNumber string
		Metadata                  struct {
			Timestamp string
			Tools     struct {
				Components []struct{ Name, Version string }
			}
		}
		Components []struct {
			Name, Type string
			Properties []property
		}
	}
	unmarshal(t, encode(t, d, CycloneDX), &doc)
	id, err := uuid.Parse(doc.SerialNumber)
	if err != nil || id.Version() != 5 {
		t.Errorf("serial number %s: version %d, %v", doc.SerialNumber, id.Version(), err)
	}
	if doc.SpecVersion != "1.6" || doc.Metadata.Timestamp != "2024-05-06T07:08:09Z" {
		t.Errorf("version %s, time %s", doc.SpecVersion, doc.Metadata.Timestamp)
	}
	if tools := doc.Metadata.Tools.Components; len(tools) != 2 || tools[0].Name != "nanopatch" || tools[0].Version != "1.2.3" {
		t.Errorf("tools %+v", tools)
	}
	for _, c := range doc.Components {
		if c.Name != "libssl3" {
			continue
		}
		for _, want := range []property{
			{layerMark + ":index", "1"},
			{layerMark + ":digest", d.Layers[1].Digest},
			{layerMark + ":diffId", d.Layers[1].DiffID},
			{layerMark + ":createdBy", "RUN step 1"},
		} {
			if !slices.Contains(c.Properties, want) {
				t.Errorf("libssl3 lacks the property %+v", want)
			}
		}
	}
}

func TestRoundTrip(t *testing.T) {
	layers := fixture(t)
	d := generateFixture(t, layers, newTree(layers))
	for _, f := range Formats() {
		t.Run(string(f), func(t *testing.T) {
			data := encode(t, d, f)
			got, err := Read(bytes.NewReader(data), "file.json")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(lines(d), lines(got)); diff != "" {
				t.Errorf("packages (-written +read):\n%s", diff)
			}
			if diff := cmp.Diff(d.Layers, got.Layers); diff != "" {
				t.Errorf("layers (-written +read):\n%s", diff)
			}
			if got.Image != d.Image || !got.Created.Equal(d.Created) {
				t.Errorf("read %+v of %v, want %+v of %v", got.Image, got.Created, d.Image, d.Created)
			}
			for _, other := range Formats() {
				var b bytes.Buffer
				if err := got.Encode(&b, other); err != nil {
					t.Errorf("encoding what was read as %s: %v", other, err)
				}
			}
		})
	}
}

func TestReadStock(t *testing.T) {
	for name, doc := range map[string]string{
		"SPDX": `{"spdxVersion":"SPDX-2.3","SPDXID":"SPDXRef-DOCUMENT","name":"x","documentNamespace":"https://example.com/x",
			"creationInfo":{"created":"2024-05-06T07:08:09Z","creators":["Tool: x"]},"packages":[{"name":"libssl3","SPDXID":"SPDXRef-1",
			"versionInfo":"3.0.13","downloadLocation":"NOASSERTION","externalRefs":[{"referenceCategory":"PACKAGE-MANAGER",
			"referenceType":"purl","referenceLocator":"pkg:deb/debian/libssl3@3.0.13?arch=amd64"}]}]}`,
		"CycloneDX": `{"bomFormat":"CycloneDX","specVersion":"1.5","metadata":{"timestamp":"2024-05-06T07:08:09Z"},"components":[
			{"type":"library","name":"libssl3","version":"3.0.13","purl":"pkg:deb/debian/libssl3@3.0.13?arch=amd64"}]}`,
		"syft": `{"artifacts":[{"id":"1","name":"libssl3","version":"3.0.13","type":"deb","purl":"pkg:deb/debian/libssl3@3.0.13?arch=amd64",
			"locations":[],"licenses":[],"cpes":[]}],"artifactRelationships":[],"source":{"id":"","name":"","version":"","type":"image","metadata":{}},
			"distro":{},"descriptor":{"name":"syft","version":"1","configuration":{"search":{}}},
			"schema":{"version":"16.0.0","url":"https://raw.githubusercontent.com/anchore/syft/main/schema/json/schema-16.0.0.json"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			d, err := Read(strings.NewReader(doc), "file.json")
			if err != nil {
				t.Fatal(err)
			}
			want := []string{"deb | libssl3 | amd64 | 3.0.13 | pkg:deb/debian/libssl3@3.0.13?arch=amd64 | -1"}
			if diff := cmp.Diff(want, lines(d)); diff != "" {
				t.Errorf("packages (-want +got):\n%s", diff)
			}
			if d.Image.Ref == "" {
				t.Error("the document is about nothing")
			}
		})
	}
}

func TestReadErrors(t *testing.T) {
	for _, c := range []struct{ name, doc, format, version string }{
		{"empty", ``, "", ""},
		{"no JSON", `<bom/>`, "", ""},
		{"cut short", `{"bomFormat":"CycloneDX","specVersion":"1.6","compo`, "", ""},
		{"an array", `[]`, "", ""},
		{"other JSON", `{"hello":"world"}`, "", ""},
		{"a package list", "pkg:deb/debian/libssl3@3", "", ""},
		{"a later CycloneDX", `{"bomFormat":"CycloneDX","specVersion":"9.1","components":[]}`, "CycloneDX", "9.1"},
		{"CycloneDX of no version", `{"bomFormat":"CycloneDX"}`, "CycloneDX", ""},
		{"a later SPDX", `{"spdxVersion":"SPDX-2.9"}`, "SPDX", "2.9"},
		{"a later syft", `{"schema":{"version":"9999.0.0","url":"https://github.com/anchore/syft"}}`, "syft", "9999.0.0"},
		{"syft of no version", `{"schema":{"url":"https://github.com/anchore/syft"}}`, "syft", ""},
		{"a later SPDX 3", `{"@context":"https://spdx.org/rdf/9.0.0/spdx-context.jsonld","@graph":[]}`, "SPDX", "3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Read(strings.NewReader(c.doc), "file.json")
			var format *FormatError
			if !errors.As(err, &format) || format.Format != c.format || format.Version != c.version {
				t.Errorf("error %v, want one about %s %q", err, c.format, c.version)
			}
			if err != nil && !strings.Contains(err.Error(), "file.json") {
				t.Errorf("error %q does not name the file", err)
			}
		})
	}
	if _, err := Read(strings.NewReader(`{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{"name":5}]}`), "file.json"); err == nil {
		t.Error("a component whose name is a number was read")
	}
}

func TestEncodeUnknown(t *testing.T) {
	if err := (&Document{}).Encode(&bytes.Buffer{}, "spdx-xml"); err == nil || !strings.Contains(err.Error(), `"spdx-xml"`) {
		t.Errorf("error %v", err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(`{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{"name":"a","purl":"pkg:npm/a@1"}]}`)
	f.Add(`{"spdxVersion":"SPDX-2.3","packages":[null,{"name":"a"}],"relationships":[null],"annotations":[{"comment":"dev.nanopatch:image {}"}]}`)
	f.Add(`{"artifacts":[{}],"schema":{"version":"16.0.0","url":"anchore/syft"}}`)
	f.Fuzz(func(t *testing.T, doc string) {
		d, err := Read(strings.NewReader(doc), "file.json")
		if err != nil {
			return
		}
		for _, p := range d.Packages {
			if p.Layer != nil && p.Layer.Index >= len(d.Layers) {
				t.Errorf("%s is in layer %d of %d", p.Name, p.Layer.Index, len(d.Layers))
			}
		}
	})
}
