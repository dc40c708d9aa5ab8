package generate

import (
	"bytes"
	"context"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/anchore/syft/syft"
	"github.com/google/go-cmp/cmp"
	"github.com/google/licensecheck"
)

// scannerOf is the scanner that a function put into the context it returned: the one value that it has and its parent has not.
func scannerOf(t *testing.T, attach func(context.Context) (context.Context, error)) any {
	t.Helper()
	stocked, err := stockScanner()
	if err != nil {
		t.Fatal(err)
	}
	keys := &keyring{Context: stocked}
	// The library looks for a scanner before it builds one, so the context hears by which key.
	if _, err := syft.CreateSBOM(keys, &questions{paths: map[string]bool{}, types: map[string]bool{}}, generator().config(Squashed)); err != nil {
		t.Fatal(err)
	}
	ctx, err := attach(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys.asked {
		if reflect.TypeOf(key).Name() == "licenseScannerKey" {
			return ctx.Value(key)
		}
	}
	t.Fatalf("nobody asks for a scanner, only for %T", keys.asked)
	return nil
}

// keyring remembers by which keys its values are asked for.
type keyring struct {
	context.Context //nolint:containedctx // it is one
	asked           []any
}

func (k *keyring) Value(key any) any {
	k.asked = append(k.asked, key)
	return k.Context.Value(key)
}

// TestScannerTypes wants the functions that are linked by name to take and return what this package declares, as far as can be
// seen at run time, and what they make to be of the type that the library's own public function makes.
func TestScannerTypes(t *testing.T) {
	want := scannerOf(t, func(context.Context) (context.Context, error) { return stockScanner() })
	calls := 0
	scan := func([]byte) licensecheck.Coverage {
		calls++
		return licensecheck.Coverage{Percent: 80, Match: []licensecheck.Match{{ID: "X", Start: 1, End: 3}}}
	}
	got := scannerOf(t, func(ctx context.Context) (context.Context, error) { return withScan(ctx, true, scan) })
	if reflect.TypeOf(got) != reflect.TypeOf(want) {
		t.Fatalf("a scanner of type %T, not %T", got, want)
	}
	fields := func(v any) []string {
		var out []string
		for f := range reflect.TypeOf(v).Elem().Fields() {
			out = append(out, f.Type.String())
		}
		return out
	}
	if diff := cmp.Diff([]string{"float64", "func([]uint8) licensecheck.Coverage"}, fields(got)); diff != "" {
		t.Errorf("the scanner's fields:\n%s", diff)
	}
	// What it finds is found by the function that it was given.
	find := reflect.ValueOf(got).MethodByName("FindEvidence")
	out := find.Call([]reflect.Value{reflect.ValueOf(t.Context()), reflect.ValueOf(bytes.NewReader([]byte("text")))})
	if evidence := out[0]; evidence.Len() != 1 || evidence.Index(0).FieldByName("ID").String() != "X" || calls != 1 {
		t.Errorf("found %v in %d calls", evidence, calls)
	}
	if threshold := reflect.ValueOf(got).Elem().Field(0).Float(); threshold != reflect.ValueOf(want).Elem().Field(0).Float() {
		t.Errorf("a text counts as covered from %v %% on", threshold)
	}
	other := scannerOf(t, func(ctx context.Context) (context.Context, error) { return withScan(ctx, false, scan) })
	if reflect.TypeOf(other) != reflect.TypeOf(want) {
		t.Fatalf("not linked, a scanner of type %T", other)
	}
	reflect.ValueOf(other).MethodByName("FindEvidence").Call([]reflect.Value{reflect.ValueOf(t.Context()), reflect.ValueOf(bytes.NewReader([]byte("text")))})
	if calls != 1 {
		t.Error("not linked, the library's own scanner is not used")
	}
}

// syftModule is a field of what the go command knows of the library.
func syftModule(t *testing.T, field string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{."+field+"}}", "github.com/anchore/syft").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// syftSource is a file of the library's source.
func syftSource(t *testing.T, fset *token.FileSet, file string) *ast.File {
	t.Helper()
	parsed, err := parser.ParseFile(fset, filepath.Join(syftModule(t, "Dir"), file), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// TestScannerDeclarations holds what scanner.go declares against the source of the library in go.mod.
func TestScannerDeclarations(t *testing.T) {
	if got := syftModule(t, "Version"); got != linkedVersion {
		t.Errorf("go.mod asks for syft %s: see whether what scanner.go declares is still true of it, and change linkedVersion", got)
	}
	declared := map[string]string{}
	for _, file := range []string{"scanner.go", "context.go"} {
		fset := token.NewFileSet()
		parsed := syftSource(t, fset, "internal/licenses/"+file)
		write := func(name string, node any) {
			var text bytes.Buffer
			if err := printer.Fprint(&text, fset, node); err != nil {
				t.Fatal(err)
			}
			declared[name] = strings.Join(strings.Fields(text.String()), " ")
		}
		for _, d := range parsed.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil {
					write(d.Name.Name, d.Type)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					if spec, ok := spec.(*ast.TypeSpec); ok {
						write(spec.Name.Name, spec.Type)
					}
				}
			}
		}
	}
	for name, want := range map[string]string{
		"ScannerConfig":            "struct { CoverageThreshold float64 Scanner func([]byte) licensecheck.Coverage }",
		"Scanner":                  "interface { FindEvidence(context.Context, io.Reader) ([]Evidence, []byte, error) }",
		"NewScanner":               "func(c *ScannerConfig) (Scanner, error)",
		"SetContextLicenseScanner": "func(ctx context.Context, s Scanner) context.Context",
	} {
		if declared[name] != want {
			t.Errorf("%s is %q, not %q", name, declared[name], want)
		}
	}
}

// TestHolds wants a scanner that is made of something else than is declared to be told.
func TestHolds(t *testing.T) {
	scan := func([]byte) licensecheck.Coverage { return licensecheck.Coverage{} }
	other := func([]byte) licensecheck.Coverage { return licensecheck.Coverage{Percent: 1} }
	type scanner struct {
		threshold float64
		scan      func([]byte) licensecheck.Coverage
	}
	if !holds(&scanner{75, scan}, 75, scan) {
		t.Error("the scanner itself")
	}
	for name, v := range map[string]any{
		"nil": (*scanner)(nil), "no pointer": scanner{75, scan}, "other threshold": &scanner{1, scan}, "other function": &scanner{75, other},
		"no function": &scanner{threshold: 75}, "other type": &struct {
			a float64
			b func()
		}{75, func() {}}, "more fields": &struct {
			a float64
			b func([]byte) licensecheck.Coverage
			c int
		}{75, scan, 0},
	} {
		if holds(v, 75, scan) {
			t.Errorf("%s holds it", name)
		}
	}
}
