package rawjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const indented = `{
   "schemaVersion": 2,
   "x-unknown": 1.50,
   "layers": [
      {
         "digest": "sha256:aa",
         "size": 7
      },
      {
         "digest": "sha256:bb"
      }
   ],
   "annotations": {}
}`

func TestSet(t *testing.T) {
	for _, tc := range []struct {
		name  string
		text  string
		value any
		path  []any
		want  string
	}{
		{"replace in place", `{"b":1, "a":2.0}`, 3, []any{"b"}, `{"b":3, "a":2.0}`},
		{"replace in an array", `[1 , {"a":"\u0041"},3]`, "x", []any{1, "a"}, `[1 , {"a":"x"},3]`},
		{"add to a compact object", `{"a":1}`, 2, []any{"b"}, `{"a":1,"b":2}`},
		{"add to an empty object", `{"a":{ }}`, 2, []any{"a", "b"}, `{"a":{"b":2}}`},
		{"add to null", `{"a":null}`, 2, []any{"a", "b"}, `{"a":{"b":2}}`},
		{"make what is missing", `{"z":0}`, "v", []any{"a", "b.c", "d"}, `{"z":0,"a":{"b.c":{"d":"v"}}}`},
		{"indent like the neighbour", "{\n  \"a\": 1\n}", 2, []any{"b"}, "{\n  \"a\": 1,\n  \"b\": 2\n}"},
		{"the whole value", ` 1 `, 2, nil, ` 2 `},
		{"a key with escapes", `{"a\"}":1}`, 2, []any{`a"}`}, `{"a\"}":2}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := Set([]byte(tc.text), tc.value, tc.path...)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

func TestInsert(t *testing.T) {
	for _, tc := range []struct {
		name  string
		text  string
		index int
		want  string
	}{
		{"into an empty array", `{"l":[ ]}`, 0, `{"l":["new"]}`},
		{"at the front", `{"l":[1,2]}`, 0, `{"l":["new",1,2]}`},
		{"in the middle", `{"l":[1, 2]}`, 1, `{"l":[1, "new", 2]}`},
		{"at the end", "{\"l\":[\n  1,\n  2\n]}", 2, "{\"l\":[\n  1,\n  2,\n  \"new\"\n]}"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := Insert([]byte(tc.text), "new", tc.index, "l")
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

func TestDelete(t *testing.T) {
	for _, tc := range []struct {
		name string
		text string
		path []any
		want string
	}{
		{"first", `{"a":1, "b":2}`, []any{"a"}, `{"b":2}`},
		{"middle", `{"a":1, "b":2, "c":3}`, []any{"b"}, `{"a":1, "c":3}`},
		{"last", `{"a":1, "b":2 }`, []any{"b"}, `{"a":1 }`},
		{"only", `{ "a":1 }`, []any{"a"}, `{}`},
		{"element", `[1,2,3]`, []any{1}, `[1,3]`},
		{"absent", `{"a":1}`, []any{"b"}, `{"a":1}`},
		{"absent parent", `{"a":1}`, []any{"b", "c"}, `{"a":1}`},
		{"below null", `{"a":null}`, []any{"a", "c"}, `{"a":null}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := Delete([]byte(tc.text), tc.path...)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

func TestGet(t *testing.T) {
	got, ok, err := Get([]byte(indented), "layers", 1, "digest")
	if err != nil || !ok || string(got) != `"sha256:bb"` {
		t.Errorf("Get = %s, %v, %v", got, ok, err)
	}
	if _, ok, err := Get([]byte(indented), "layers", 2); ok || err != nil {
		t.Errorf("Get of a missing element = %v, %v", ok, err)
	}
}

func TestErrors(t *testing.T) {
	for _, tc := range []struct {
		name string
		text string
		path []any
		want error
	}{
		{"syntax", `{"a":1`, []any{"a"}, ErrSyntax},
		{"two values", `{} {}`, []any{"a"}, ErrSyntax},
		{"key twice", `{"a":1,"a":2}`, []any{"a"}, ErrAmbiguous},
		{"key in another case", `{"A":1}`, []any{"a"}, ErrAmbiguous},
		{"key in two cases", `{"a":1,"A":1}`, []any{"a"}, ErrAmbiguous},
		{"key of an array", `[1]`, []any{"a"}, ErrPath},
		{"index of an object", `{"a":1}`, []any{0}, ErrPath},
		{"element that is not there", `[1]`, []any{3}, ErrPath},
		{"key of a number", `{"a":1}`, []any{"a", "b"}, ErrPath},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := Set([]byte(tc.text), 1, tc.path...); !errors.Is(err, tc.want) {
				t.Errorf("Set = %v, want %v", err, tc.want)
			}
		})
	}
	if _, err := Insert([]byte(`[1]`), 0, 5); !errors.Is(err, ErrPath) {
		t.Errorf("Insert beyond the end = %v", err)
	}
}

// Deleting what was added gives the bytes back, whatever the document looks like.
func TestAddThenDelete(t *testing.T) {
	for _, text := range []string{indented, `{"a":1}`, "{\t\"a\" : [ ]\t}"} {
		added, err := Set([]byte(text), "v", "new")
		if err != nil {
			t.Fatal(err)
		}
		back, err := Delete(added, "new")
		if err != nil {
			t.Fatal(err)
		}
		if string(back) != text {
			t.Errorf("got  %s\nwant %s", back, text)
		}
	}
}

// Edits agree with the same edits on the decoded value.
func TestSetAgreesWithDecoding(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		doc := rapid.MapOf(rapid.StringMatching(`[a-e"\\]{0,3}`), rapid.MapOf(
			rapid.StringMatching(`[a-e]{1,2}`), rapid.SliceOf(rapid.Float64Range(-1e9, 1e9)))).Draw(t, "doc")
		text, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		if rapid.Bool().Draw(t, "indent") {
			var b bytes.Buffer
			if err := json.Indent(&b, text, "", "\t"); err != nil {
				t.Fatal(err)
			}
			text = b.Bytes()
		}
		outer := rapid.StringMatching(`[a-e"\\]{0,3}`).Draw(t, "outer")
		inner := rapid.StringMatching(`[a-e]{1,2}`).Draw(t, "inner")
		value := rapid.SliceOfN(rapid.Float64Range(-1e9, 1e9), 0, 3).Draw(t, "value")

		set, err := Set(text, value, outer, inner)
		if err != nil {
			t.Fatal(err)
		}
		if doc[outer] == nil {
			doc[outer] = map[string][]float64{}
		}
		doc[outer][inner] = value
		requireValue(t, set, doc)

		deleted, err := Delete(set, outer, inner)
		if err != nil {
			t.Fatal(err)
		}
		delete(doc[outer], inner)
		requireValue(t, deleted, doc)
	})
}

func requireValue(t *rapid.T, text []byte, want any) {
	t.Helper()
	var got, exp any
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	encoded, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(encoded, &exp); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(exp, got); diff != "" {
		t.Fatalf("%s:\n%s", text, diff)
	}
}

func FuzzEdit(f *testing.F) {
	f.Add([]byte(indented), "layers", 1)
	f.Add([]byte(`[[],{"a":[1,"\\\""]}]`), "a", 0)
	f.Add([]byte(`null`), "a", 0)
	f.Fuzz(func(t *testing.T, text []byte, key string, index int) {
		for _, path := range [][]any{{key}, {index}, {key, index}, {index, key}, {key, index, key}} {
			for op, f := range map[string]func() ([]byte, error){
				"Set":    func() ([]byte, error) { return Set(text, "v", path...) },
				"Insert": func() ([]byte, error) { return Insert(text, "v", index, path...) },
				"Delete": func() ([]byte, error) { return Delete(text, path...) },
			} {
				out, err := f()
				if err != nil {
					continue
				}
				if !json.Valid(out) {
					t.Fatalf("%s(%q, %s) made %q", op, text, fmt.Sprint(path...), out)
				}
			}
		}
	})
}
