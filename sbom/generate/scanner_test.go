package generate

import (
	"bytes"
	"context"
	"os"
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
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(mod), "\tgithub.com/anchore/syft "+linkedVersion+"\n") {
		t.Fatal("go.mod asks for another syft: see whether what scanner.go declares is still true of it, and change linkedVersion")
	}
	want := scannerOf(t, func(context.Context) (context.Context, error) { return stockScanner() })
	calls := 0
	scan := func([]byte) licensecheck.Coverage {
		calls++
		return licensecheck.Coverage{Percent: 80, Match: []licensecheck.Match{{ID: "X", Start: 1, End: 3}}}
	}
	got := scannerOf(t, func(ctx context.Context) (context.Context, error) { return withScan(ctx, linkedVersion, scan) })
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
	other := scannerOf(t, func(ctx context.Context) (context.Context, error) { return withScan(ctx, "v9.9.9", scan) })
	if reflect.TypeOf(other) != reflect.TypeOf(want) {
		t.Fatalf("with another version of the library, a scanner of type %T", other)
	}
	reflect.ValueOf(other).MethodByName("FindEvidence").Call([]reflect.Value{reflect.ValueOf(t.Context()), reflect.ValueOf(bytes.NewReader([]byte("text")))})
	if calls != 1 {
		t.Error("with another version of the library, not its own scanner is used")
	}
}
