package generate

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/licensecheck"
)

const (
	mitText = "Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation " +
		"files (the \"Software\"), to deal in the Software without restriction, including without limitation the rights to use, copy, " +
		"modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software " +
		"is furnished to do so, subject to the following conditions: The above copyright notice and this permission notice shall be " +
		"included in all copies or substantial portions of the Software. THE SOFTWARE IS PROVIDED \"AS IS\", WITHOUT WARRANTY OF ANY " +
		"KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND " +
		"NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, " +
		"WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR " +
		"OTHER DEALINGS IN THE SOFTWARE.\n"
	unknownText = "Whoever reads this may eat the cheese.\n"
)

// TestRecognize wants licensecheck's answers, and not from licensecheck: its licenses can be read.
func TestRecognize(t *testing.T) {
	recognize := recognizing(func(err error) { t.Errorf("licensecheck itself recognizes licenses: %v", err) })
	for _, text := range []string{mitText, unknownText, mitText + unknownText} {
		if diff := cmp.Diff(licensecheck.Scan([]byte(text)), recognize([]byte(text))); diff != "" {
			t.Errorf("%.20q (-licensecheck +recognize):\n%s", text, diff)
		}
	}
}

// TestTextsRecognized wants the licenses that the stock catalogers find in texts.
func TestTextsRecognized(t *testing.T) {
	status := ""
	for _, name := range []string{"mit", "cheese", "both"} {
		status += stanza(name, "", "amd64", "", "1.0-1")
	}
	text := func(name, content string) member {
		return member{path: "usr/share/doc/" + name + "/copyright", content: content}
	}
	layers := [][]member{{
		{path: "usr/lib/os-release", content: "ID=debian\nVERSION_ID=12\n"},
		{path: "var/lib/dpkg/status", content: status},
		text("mit", mitText), text("cheese", unknownText), text("both", unknownText+mitText),
	}}
	got, err := New(Options{}).Generate(t.Context(), describe(t, layers), newTree(layers), created)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(describeAll(stock(t, newImage(t, layers), Squashed)), describeAll(got.sbom)); diff != "" {
		t.Errorf("packages (-stock +ours):\n%s", diff)
	}
	if !strings.Contains(string(encode(t, got, Syft)), `"MIT"`) {
		t.Error("no license was recognized")
	}
}
