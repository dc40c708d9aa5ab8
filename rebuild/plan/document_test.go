package plan_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/plan"
)

func TestDate(t *testing.T) {
	day := plan.Date{Time: time.Date(2028, 6, 30, 0, 0, 0, 0, time.UTC)}
	b, err := json.Marshal(plan.Plan{EOL: &day})
	if err != nil || !strings.Contains(string(b), `"eol":"2028-06-30"`) {
		t.Fatalf("%s, %v", b, err)
	}
	var back struct{ EOL plan.Date }
	if err := json.Unmarshal([]byte(`{"eol":"2028-06-30"}`), &back); err != nil || !back.EOL.Equal(day.Time) {
		t.Errorf("%v, %v", back.EOL, err)
	}
	if err := json.Unmarshal([]byte(`{"eol":"soon"}`), &back); err == nil {
		t.Error("soon is a date")
	}
}

// TestDigest: what changes the result changes the digest, and the defaults written out do not.
func TestDigest(t *testing.T) {
	digest := func(c plan.Choices, updates ...plan.Update) v1.Hash {
		h, err := (&plan.Plan{Choices: c, Updates: updates}).Digest()
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	plain := digest(plan.Choices{})
	if digest(plan.ChoicesOf(plan.Options{OnModified: ecosystem.HoldModified})) != plain {
		t.Error("the default has another digest than nothing said")
	}
	seen := map[v1.Hash]int{plain: -1}
	for i, h := range []v1.Hash{
		digest(plan.ChoicesOf(plan.Options{OnModified: ecosystem.KeepModified})),
		digest(plan.ChoicesOf(plan.Options{RestoreMissing: true})),
		digest(plan.ChoicesOf(plan.Options{SourceDateEpoch: time.Unix(1, 0)})),
		digest(plan.Choices{}, plan.Update{Name: "a", Arch: "all"}),
		digest(plan.Choices{}, plan.Update{Name: "a", Arch: "all", ToArch: "amd64"}),
	} {
		if other, ok := seen[h]; ok {
			t.Errorf("%d and %d have the same digest", i, other)
		}
		seen[h] = i
	}
}

func TestLock(t *testing.T) {
	image := v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("a", 64)}
	opts := plan.Options{OnModified: ecosystem.KeepModified, RestoreMissing: true, SourceDateEpoch: time.Unix(5, 0).UTC()}
	lock := plan.NewLock("1", image)
	lock.Add(&plan.Plan{
		Image: plan.Image{Digest: image, Platform: "linux/amd64"}, Choices: plan.ChoicesOf(opts),
		Updates: []plan.Update{{Name: "a", Arch: "all", ToArch: "amd64"}},
	})
	var b bytes.Buffer
	if err := plan.WriteJSON(&b, lock); err != nil {
		t.Fatal(err)
	}
	read, err := plan.ReadLock(&b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(lock, read); diff != "" {
		t.Error(diff)
	}
	one, err := read.For(image)
	if err != nil || one.Options() != opts || one.Updates[0].NewArch() != "amd64" {
		t.Errorf("%+v, %v", one, err)
	}
	if _, err := read.For(v1.Hash{}); !errors.Is(err, plan.ErrNotLocked) || !errors.Is(err, plan.ErrLock) {
		t.Errorf("another image: %v", err)
	}
	for _, bad := range []string{"", "{}", `{"apiVersion":"nanopatch/v1","kind":"Plan"}`, `{"apiVersion":"nanopatch/v1","kind":"Lock","more":1}`} {
		if _, err := plan.ReadLock(strings.NewReader(bad)); !errors.Is(err, plan.ErrLock) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
