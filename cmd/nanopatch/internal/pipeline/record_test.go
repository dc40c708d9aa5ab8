package pipeline

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/nanopatch/nanopatch/rebuild/plan"
)

// A record comes back as it was, in a fraction of its report's size.
func TestRecordEncoding(t *testing.T) {
	digest := v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("1", 64)}
	result := &Result{Kind: "Result", Source: NamedDigest{Digest: digest}, Image: NamedDigest{Digest: digest}}
	updates := make([]plan.Update, 200)
	for i := range updates {
		updates[i].Name, updates[i].From, updates[i].To = strings.Repeat("package", i%5+1), "1.0-1", "1.0-2"
	}
	result.Platforms = []PlatformResult{{Platform: "linux/amd64", OldDigest: digest, NewDigest: digest, Updates: updates}}
	raw, err := encodeRecord(&record{Tool: "1", Asked: "x", Source: digest, Result: result})
	if err != nil {
		t.Fatal(err)
	}
	back, err := decodeRecord(raw)
	if err != nil {
		t.Fatal(err)
	}
	want, err := json.Marshal(result)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := json.Marshal(back.Result); err != nil || !bytes.Equal(got, want) || back.Tool != "1" || back.Asked != "x" {
		t.Errorf("%v: %s, not %s", err, got, want)
	}
	if len(raw) > len(want)/10 {
		t.Errorf("a report of %d bytes makes a record of %d", len(want), len(raw))
	}
}

// What is signed may still be nonsense, or too much.
func TestRecordDecoding(t *testing.T) {
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	chunk := bytes.Repeat([]byte(" "), 1<<20)
	for range maxReport>>20 + 1 {
		if _, err := z.Write(chunk); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	large, err := json.Marshal(record{Source: v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("1", 64)}, Report: bomb.Bytes()})
	if err != nil {
		t.Fatal(err)
	}
	for _, raw := range [][]byte{nil, []byte("{}"), []byte(`{"report":"aGVsbG8="}`), large} {
		if rec, err := decodeRecord(raw); err == nil {
			t.Errorf("%.40s gives %+v", raw, rec)
		}
	}
}
