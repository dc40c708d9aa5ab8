package attest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	intoto "github.com/in-toto/attestation/go/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"pgregory.net/rapid"

	"github.com/nanopatch/nanopatch/sign/attest"
)

var image = v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("ab", 32)}

// official reads a statement with the specification's own library, which refuses unknown fields.
func official(t *testing.T, payload []byte) *intoto.Statement {
	t.Helper()
	var st intoto.Statement
	if err := protojson.Unmarshal(payload, &st); err != nil {
		t.Fatalf("in-toto/attestation cannot read %s: %v", payload, err)
	}
	if err := st.Validate(); err != nil {
		t.Fatalf("in-toto/attestation refuses %s: %v", payload, err)
	}
	return &st
}

func TestSignatureEncoding(t *testing.T) {
	got, err := attest.Signature(image).Encode()
	if err != nil {
		t.Fatal(err)
	}
	want := `{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":"` + image.Hex +
		`"}}],"predicateType":"https://sigstore.dev/cosign/sign/v1","predicate":{}}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	official(t, got)
}

func TestEncodeKeepsThePredicate(t *testing.T) {
	predicate := `{ "z": 1.0, "a": 12345678901234567890, "url": "https://x/?a=1&b=<2>", "é": ["\u00e9"] }`
	st, err := attest.New(image, attest.PredicateSPDX, json.RawMessage(predicate))
	if err != nil {
		t.Fatal(err)
	}
	got, err := st.Encode()
	if err != nil {
		t.Fatal(err)
	}
	want := `"predicate":{"z":1.0,"a":12345678901234567890,"url":"https://x/?a=1&b=<2>","é":["\u00e9"]}}`
	if !strings.HasSuffix(string(got), want) {
		t.Errorf("predicate changed: %s", got)
	}
	official(t, got)
}

func TestEncodeParseRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		predicate, err := json.Marshal(rapid.MapOf(rapid.String(), rapid.String()).Draw(t, "predicate"))
		if err != nil {
			t.Fatal(err)
		}
		hex := rapid.StringMatching(`[0-9a-f]{64}`).Draw(t, "digest")
		kind := rapid.StringMatching(`https://[a-z<&>é]{1,20}`).Draw(t, "type")
		st, err := attest.New(v1.Hash{Algorithm: "sha256", Hex: hex}, kind, predicate)
		if err != nil {
			t.Fatal(err)
		}
		first, err := st.Encode()
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := attest.Parse(first)
		if err != nil {
			t.Fatal(err)
		}
		second, err := parsed.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if string(first) != string(second) {
			t.Fatalf("%s\nbecame\n%s", first, second)
		}
	})
}

func TestParse(t *testing.T) {
	const subject = `"subject":[{"name":"r","digest":{"sha256":"00"}}]`
	tests := []struct {
		name, in, want string // want is part of the error; "" is success
	}{
		{"v1", `{"_type":"https://in-toto.io/Statement/v1",` + subject + `,"predicateType":"p","predicate":{"a":1}}`, ""},
		{"v0.1", `{"_type":"https://in-toto.io/Statement/v0.1",` + subject + `,"predicateType":"p","predicate":{}}`, ""},
		{"no predicate", `{"_type":"https://in-toto.io/Statement/v1",` + subject + `,"predicateType":"p"}`, ""},
		{"null predicate", `{"_type":"https://in-toto.io/Statement/v1",` + subject + `,"predicateType":"p","predicate":null}`, ""},
		{"unknown field", `{"_type":"https://in-toto.io/Statement/v1",` + subject + `,"predicateType":"p","x":1}`, ""},
		{"spaces", " {\n\"_type\" : \"https://in-toto.io/Statement/v1\" , " + subject + " ,\"predicateType\":\"p\"} \n", ""},
		{"empty", ``, "not a JSON object"},
		{"array", `[]`, "not a JSON object"},
		{"truncated", `{"_type":"https://in-toto.io/Statement/v1",` + subject, "EOF"},
		{"trailing object", `{"_type":"https://in-toto.io/Statement/v1",` + subject + `,"predicateType":"p"}{}`, "text after"},
		{"trailing brace", `{"_type":"https://in-toto.io/Statement/v1",` + subject + `,"predicateType":"p"}}`, "text after"},
		{"other type", `{"_type":"https://example.com",` + subject + `,"predicateType":"p"}`, "type"},
		{"wrong case", `{"_TYPE":"https://in-toto.io/Statement/v1",` + subject + `,"predicateType":"p"}`, `no "_type"`},
		{"no subject", `{"_type":"https://in-toto.io/Statement/v1","predicateType":"p"}`, `no "subject"`},
		{"empty subject", `{"_type":"https://in-toto.io/Statement/v1","subject":[],"predicateType":"p"}`, "0 subjects"},
		{"no digest", `{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"x"}],"predicateType":"p"}`, "digest"},
		{"empty digest", `{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{}}],"predicateType":"p"}`, "0 digests"},
		{"number as digest", `{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":1}}],"predicateType":"p"}`, "sha256"},
		{"no predicate type", `{"_type":"https://in-toto.io/Statement/v1",` + subject + `}`, `no "predicateType"`},
		{"array as predicate", `{"_type":"https://in-toto.io/Statement/v1",` + subject + `,"predicateType":"p","predicate":[]}`, "not a JSON object"},
		{"two subjects keys", `{"_type":"https://in-toto.io/Statement/v1",` + subject + `,` + subject + `,"predicateType":"p"}`, "two values"},
		{
			"two digests of one kind",
			`{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":"00","sha256":"11"}}],"predicateType":"p"}`,
			"two values",
		},
		{"not UTF-8", "{\"_type\":\"https://in-toto.io/Statement/v1\"," + subject + ",\"predicateType\":\"\xff\"}", "UTF-8"},
		{
			"too many subjects",
			`{"_type":"https://in-toto.io/Statement/v1","subject":[` + strings.Repeat(`{},`, 1024) + `{}],"predicateType":"p"}`,
			"1025 subjects",
		},
		{"too large", `{"_type":"` + strings.Repeat("x", attest.MaxSize) + `"}`, "more than"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			st, err := attest.Parse([]byte(tt.in))
			if tt.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				if st.PredicateType != "p" || st.Subject[0].Digest["sha256"] != "00" || st.Predicate[0] != '{' {
					t.Errorf("parsed %+v", st)
				}
				return
			}
			if !errors.Is(err, attest.ErrInvalid) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}

func TestNewRefuses(t *testing.T) {
	for _, predicate := range []string{``, `null`, `[]`, `"x"`, `{`, `{"a":1}x`} {
		if _, err := attest.New(image, "p", json.RawMessage(predicate)); !errors.Is(err, attest.ErrInvalid) {
			t.Errorf("predicate %q: error %v", predicate, err)
		}
	}
	if _, err := attest.New(image, "", json.RawMessage(`{}`)); !errors.Is(err, attest.ErrInvalid) {
		t.Errorf("empty predicate type: error %v", err)
	}
}

func TestAbout(t *testing.T) {
	st := attest.Signature(image)
	other := v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("ac", 32)}
	sameHex := v1.Hash{Algorithm: "sha512", Hex: image.Hex}
	got := fmt.Sprint(st.About(image), st.About(other), st.About(sameHex), st.About(v1.Hash{}))
	if diff := cmp.Diff("true false false false", got); diff != "" {
		t.Error(diff)
	}
}

func FuzzParse(f *testing.F) {
	seed, err := attest.Signature(image).Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte(`{"_type":"https://in-toto.io/Statement/v0.1","subject":[{"name":"r","digest":{"sha256":"00"}}],` +
		`"predicateType":"p","predicate":{"Data":"x"}}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		st, err := attest.Parse(in)
		if err != nil {
			if !errors.Is(err, attest.ErrInvalid) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		out, err := st.Encode()
		if err != nil {
			t.Fatalf("parsed, but cannot be encoded: %v", err)
		}
		again, err := attest.Parse(out)
		if err != nil {
			t.Fatalf("own encoding is refused: %v", err)
		}
		if again.PredicateType != st.PredicateType || !cmp.Equal(again.Subject, st.Subject) {
			t.Fatalf("%+v became %+v", st, again)
		}
	})
}
