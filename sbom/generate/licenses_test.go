package generate

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
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

// builtScanner is the scanner of all tests but those of its building.
var builtScanner = sync.OnceValues(func() (*licensecheck.Scanner, error) {
	return licensecheck.NewScanner(licensecheck.BuiltinLicenses())
})

// recognizing is a recognizer of which nothing may go wrong.
func recognizing(t *testing.T, dir string) *recognizer {
	t.Helper()
	r := newRecognizer(dir, func(string) {}, func(err error) { t.Error(err) })
	r.scanner = builtScanner
	return r
}

// stockScan is what licensecheck finds in a text.
func stockScan(t *testing.T, text string) licensecheck.Coverage {
	t.Helper()
	scanner, err := builtScanner()
	if err != nil {
		t.Fatal(err)
	}
	return scanner.Scan([]byte(text))
}

// unbuilt is a recognizer that can only answer what it has seen.
func unbuilt(t *testing.T, dir string) *recognizer {
	t.Helper()
	r := recognizing(t, dir)
	r.scanner = func() (*licensecheck.Scanner, error) { return nil, errors.New("no scanner") }
	return r
}

// TestRecognizer wants licensecheck's own answers, and the same ones from a later run that builds nothing.
func TestRecognizer(t *testing.T) {
	dir := t.TempDir()
	first, second := newRecognizer(dir, func(string) {}, func(err error) { t.Error(err) }), recognizing(t, dir)
	for i, text := range []string{mitText, unknownText, mitText + unknownText} {
		want := stockScan(t, text)
		r := []*recognizer{first, second}[i%2]
		if diff := cmp.Diff(want, r.scan([]byte(text))); diff != "" {
			t.Errorf("%.20q (-licensecheck +recognizer):\n%s", text, diff)
		}
	}
	// The second run saves after the first and knew nothing of it when it began.
	for _, r := range []*recognizer{first, second} {
		if err := r.save(); err != nil {
			t.Fatal(err)
		}
	}
	later := unbuilt(t, dir)
	for _, text := range []string{mitText, unknownText, mitText + unknownText} {
		if diff := cmp.Diff(stockScan(t, text), later.scan([]byte(text))); diff != "" {
			t.Errorf("%.20q, remembered (-licensecheck +recognizer):\n%s", text, diff)
		}
	}
	if err := later.save(); err != nil {
		t.Error(err)
	}
	later.scan([]byte("never seen"))
	if err := later.save(); err == nil || !strings.Contains(err.Error(), "no scanner") {
		t.Errorf("an unseen text without a scanner ends in %v", err)
	}
}

// TestRecognizerUnusable wants a damaged file to be said and replaced.
func TestRecognizerUnusable(t *testing.T) {
	digest := func(content string) string { return fmt.Sprintf("%x\n%s", sha256.Sum256([]byte(content)), content) }
	for name, content := range map[string]string{
		"damaged": strings.Repeat("0", 64) + "\n{}", "no JSON": digest(""), "other JSON": digest("[]"), "no digest": "{}", "null": digest("null"),
	} {
		t.Run(name, func(t *testing.T) {
			dir, said := t.TempDir(), ""
			r := newRecognizer(dir, func(string) {}, func(err error) { said += err.Error() })
			r.scanner = builtScanner
			if err := os.WriteFile(r.file(), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			r.scan([]byte(unknownText))
			if strings.Contains(said, filepath.Base(r.file())) == (name == "null") {
				t.Errorf("said %q", said)
			}
			if err := r.save(); err != nil {
				t.Fatal(err)
			}
			later := unbuilt(t, dir)
			later.scan([]byte(unknownText))
			if err := later.save(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestRecognizerBounded wants no more to be kept than is allowed: what one run asks beyond that is forgotten, and a full file gives
// way to what the newest run asked.
func TestRecognizerBounded(t *testing.T) {
	dir := t.TempDir()
	full := recognizing(t, dir)
	for i := range maxAnswers + 5 {
		full.scan(fmt.Appendf(nil, "text %d", i))
	}
	if err := full.save(); err != nil {
		t.Fatal(err)
	}
	next := recognizing(t, dir)
	if kept := next.earlier(); len(kept) != maxAnswers {
		t.Fatalf("%d answers are kept", len(kept))
	}
	long := strings.Repeat(mitText, maxMatches+1)
	if got := len(next.scan([]byte(long)).Match); got <= maxMatches {
		t.Fatalf("the long text holds %d licenses", got)
	}
	next.scan([]byte(mitText))
	next.scan([]byte("text 7"))
	if err := next.save(); err != nil {
		t.Fatal(err)
	}
	last := unbuilt(t, dir)
	if kept := last.earlier(); len(kept) != 2 {
		t.Errorf("%d answers are kept, not just what the newest run asked and may be kept", len(kept))
	}
	last.scan([]byte(mitText))
	last.scan([]byte("text 7"))
	if err := last.save(); err != nil {
		t.Error(err)
	}
}

// TestRecognizerPrepares wants nothing to be built ahead where a run has been before, whether or not that asked anything, and an
// unwritable directory to lose no document.
func TestRecognizerPrepares(t *testing.T) {
	building := func(r *recognizer) bool {
		built := false
		r.start = func() { built = true }
		r.prepare()
		return built
	}
	dir := t.TempDir()
	first := recognizing(t, dir)
	if !building(first) || !building(recognizing(t, "")) {
		t.Error("nothing is built ahead in a first run")
	}
	if err := first.save(); err != nil {
		t.Fatal(err)
	}
	if building(recognizing(t, dir)) {
		t.Error("the scanner is built ahead after a run that asked nothing")
	}
	said := ""
	nowhere := newRecognizer(filepath.Join(dir, "missing"), func(string) {}, func(err error) { said += err.Error() })
	if err := nowhere.save(); err != nil || !strings.Contains(said, "missing") {
		t.Errorf("%v, said %q", err, said)
	}
}

// TestRecognizerTogether has many ask at once.
func TestRecognizerTogether(t *testing.T) {
	r := newRecognizer(t.TempDir(), func(string) {}, func(err error) { t.Error(err) })
	r.prepare()
	var group sync.WaitGroup
	for i := range 50 {
		group.Go(func() {
			if got := r.scan(fmt.Appendf([]byte(mitText), "%d", i%5)); len(got.Match) != 1 || got.Match[0].ID != "MIT" {
				t.Errorf("%+v", got)
			}
			if err := r.save(); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if err := r.save(); err != nil {
		t.Fatal(err)
	}
}

// TestLicensesRemembered wants the same document of an image whose texts were seen in another one, with nothing built for it.
func TestLicensesRemembered(t *testing.T) {
	npm := func(name string, file ...member) []member {
		return append(file, member{path: "srv/node_modules/" + name + "/package.json", content: `{"name": "` + name + `", "version": "1.0.0"}`})
	}
	text := func(name, content string) member {
		return member{path: "usr/share/doc/" + name + "/copyright", content: content}
	}
	db := func(names ...string) member {
		status := ""
		for _, name := range names {
			status += stanza(name, "", "amd64", "", "1.0-1")
		}
		return member{path: "var/lib/dpkg/status", content: status}
	}
	release := member{path: "usr/lib/os-release", content: "ID=debian\nVERSION_ID=12\n"}
	seen := [][]member{{release, db("mit", "cheese"), text("mit", mitText), text("cheese", unknownText)}}
	image := [][]member{{release, db("other", "more"), text("other", mitText), text("more", unknownText)}, npm("app")}
	dir := t.TempDir()
	if _, err := New(Options{CacheDir: dir}).Generate(t.Context(), describe(t, seen), newTree(seen), created); err != nil {
		t.Fatal(err)
	}
	g := New(Options{CacheDir: dir})
	g.licenses = unbuilt(t, dir)
	got, err := g.Generate(t.Context(), describe(t, image), newTree(image), created)
	if err != nil {
		t.Fatal(err)
	}
	want, err := New(Options{}).Generate(t.Context(), describe(t, image), newTree(image), created)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range Formats() {
		if !bytes.Equal(encode(t, want, f), encode(t, got, f)) {
			t.Errorf("the documents differ in %s", f)
		}
	}
	if diff := cmp.Diff(describeAll(stock(t, newImage(t, image), Squashed)), describeAll(got.sbom)); diff != "" {
		t.Errorf("packages (-stock +ours):\n%s", diff)
	}
	if !strings.Contains(string(encode(t, got, Syft)), `"MIT"`) {
		t.Error("no license was recognized")
	}
}
