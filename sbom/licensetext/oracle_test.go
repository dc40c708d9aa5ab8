package licensetext

import (
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/google/licensecheck"
)

// The oracle is licensecheck's own scanner, which is built once: it takes most of a second.
var oracle = sync.OnceValues(func() (*licensecheck.Scanner, error) {
	return licensecheck.NewScanner(licensecheck.BuiltinLicenses())
})

// builtin returns licensecheck's scanner and this one for licensecheck's licenses.
func builtin(t testing.TB) (*licensecheck.Scanner, *Scanner) {
	t.Helper()
	want, err := oracle()
	if err != nil {
		t.Fatal(err)
	}
	got, err := New(licensecheck.BuiltinLicenses())
	if err != nil {
		t.Fatal(err)
	}
	return want, got
}

// same fails the test where two scanners differ about a text. Where licensecheck's would never return, it is not asked.
func same(t testing.TB, want *licensecheck.Scanner, got *Scanner, text []byte) licensecheck.Coverage {
	t.Helper()
	r := reader{text: text, words: got.vocabulary.split(text), vocabulary: got.vocabulary.words}
	if got.find(&r, func(int32, int, int) {}) {
		return got.Scan(text)
	}
	w, g := want.Scan(text), got.Scan(text)
	if !reflect.DeepEqual(w, g) {
		t.Fatalf("licensecheck: %v\nhere:         %v\nin %q", w, g, text)
	}
	return g
}

// moduleDir returns the directory of licensecheck's source, or skips the test.
func moduleDir(t testing.TB) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/google/licensecheck").Output()
	if err != nil || len(strings.TrimSpace(string(out))) == 0 {
		t.Skipf("no source of licensecheck here: %v", err)
	}
	return strings.TrimSpace(string(out))
}

func TestTextsOfLicensecheck(t *testing.T) {
	dir := moduleDir(t)
	want, got := builtin(t)
	for _, sub := range []string{"testdata", "licenses", "."} {
		files, err := filepath.Glob(filepath.Join(dir, sub, "*"))
		if err != nil {
			t.Fatal(err)
		}
		matches := 0
		for _, file := range files {
			if info, err := os.Stat(file); err != nil || !info.Mode().IsRegular() || info.Size() > 1<<20 {
				continue
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			matches += len(same(t, want, got, text).Match)
		}
		t.Logf("%s: %d files with %d licenses", sub, len(files), matches)
	}
}

func TestTextsOfThisMachine(t *testing.T) {
	var files []string
	for _, pattern := range []string{"/usr/share/doc/*/copyright", "/usr/share/common-licenses/*"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	if len(files) == 0 {
		t.Skip("no copyright files of Debian packages here")
	}
	want, got := builtin(t)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Log(err)
			continue
		}
		same(t, want, got, text)
	}
	t.Logf("%d files", len(files))
}

func BenchmarkNew(b *testing.B) {
	licenses := licensecheck.BuiltinLicenses()
	b.Run("licensetext", func(b *testing.B) {
		for b.Loop() {
			if _, err := New(licenses); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("licensecheck", func(b *testing.B) {
		for b.Loop() {
			if _, err := licensecheck.NewScanner(licenses); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkScan(b *testing.B) {
	var texts [][]byte
	size := 0
	files, _ := filepath.Glob("/usr/share/doc/*/copyright")
	for _, file := range files {
		if text, err := os.ReadFile(file); err == nil {
			texts = append(texts, text)
			size += len(text)
		}
	}
	if len(texts) == 0 {
		b.Skip("no copyright files of Debian packages here")
	}
	want, got := builtin(b)
	run := func(name string, scan func([]byte) licensecheck.Coverage) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(size))
			for b.Loop() {
				for _, text := range texts {
					scan(text)
				}
			}
		})
	}
	run("licensetext", got.Scan)
	run("licensecheck", want.Scan)
	b.Run("first", func(b *testing.B) {
		b.SetBytes(int64(size))
		for b.Loop() {
			b.StopTimer()
			_, got := builtin(b)
			b.StartTimer()
			for _, text := range texts {
				got.Scan(text)
			}
		}
		b.ReportMetric(float64(got.cached.Load()), "cached-B")
	})
}
