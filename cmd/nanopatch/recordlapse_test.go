package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/nanopatch/nanopatch/rebuild/image/imagetest"
	"github.com/nanopatch/nanopatch/testdata/fixture"
)

// Each reason for which the same inputs may give another answer later ends a record: not a moment before, and then.
func TestRecordLapses(t *testing.T) {
	day := func(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, time.UTC) }
	start := day(2026, time.August, 1)
	hold := filepath.Join(t.TempDir(), "hold.yaml")
	text := "hold:\n  - name: np-zlib\n    until: 2026-10-01\n    reason: wait\n  - name: np-zlib\n    until: 2027-01-01\n"
	if err := os.WriteFile(hold, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		args []string
		// validUntil is of the repository's indexes, far away where zero.
		validUntil time.Time
		// until is when the record ends; zero says that only the support's end does.
		until time.Time
	}{
		{"the distribution's end", nil, time.Time{}, time.Time{}},
		{"a hold", []string{"--config", hold}, time.Time{}, day(2026, time.October, 1)},
		{"an index, before a hold", []string{"--config", hold}, day(2026, time.September, 15), day(2026, time.September, 15)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			n := newLapsing(t, tc.validUntil, tc.args)
			until := n.first(start)
			if tc.until.IsZero() {
				// Which day that is, the distribution's own data says; it is years away.
				if until.Before(day(2028, time.January, 1)) || until.After(day(2031, time.January, 1)) {
					t.Errorf("counts until %s", until)
				}
			} else if !until.Equal(tc.until) {
				t.Errorf("counts until %s, want %s", until, tc.until)
			}
			n.lapses(until)
		})
	}
}

// A minimum age that is reached ends a record: when the first of the packages that wait is old enough.
func TestRecordLapsesAtMinimumAge(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, time.August, 1, 0, 0, 0, 0, time.UTC)
	n := newLapsing(t, time.Time{}, []string{"--min-age", "300d"})
	until := n.first(start)
	if !until.After(start) || until.After(start.AddDate(0, 0, 300)) {
		t.Fatalf("counts until %s", until)
	}
	n.lapses(until)
	// The run at that time takes what is old enough by then.
	if after := strings.Count(n.result, `"from"`); after <= n.updates {
		t.Errorf("%d updates where there were %d", after, n.updates)
	}
}

// lapsing is a rebuild that is run at one time and another.
type lapsing struct {
	t                *testing.T
	cache            string
	args             []string
	result, messages string
	// updates is how many the first run made.
	updates int
}

func newLapsing(t *testing.T, validUntil time.Time, more []string) *lapsing {
	t.Helper()
	twin, err := fixture.NewTwin(t.Context(), t.TempDir(), fixture.TwinOptions{ValidUntil: validUntil})
	if err != nil {
		t.Fatal(err)
	}
	host := imagetest.NewRegistry(t, true).Host
	if err := push(host+"/base:old", twin.Images[0]); err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(t.TempDir(), "cosign")
	if _, stderr, code := run(t.Context(), t, t.TempDir(), "keygen", "--output-prefix", key); code != 0 {
		t.Fatal(stderr)
	}
	return &lapsing{t: t, cache: t.TempDir(), args: append([]string{
		"rebuild", host + "/base:old", "-t", host + "/out:new", "--repo-override", twin.Repository,
		"--repo-override", fixture.SecurityMirror(twin.Repository), "--keyring", twin.Keyring, "--key", key + ".key", "-o", "json",
	}, more...)}
}

// run runs at a time.
func (l *lapsing) run(at time.Time) (code int) {
	l.t.Helper()
	l.result, l.messages, code = runAt(l.t.Context(), l.t, func() time.Time { return at }, l.cache, l.args...)
	return code
}

const countedUntil = "the last answer counted until "

// first makes the record, and finds out when it says that it ends: from a run far ahead, which fails and writes nothing.
func (l *lapsing) first(at time.Time) time.Time {
	l.t.Helper()
	if code := l.run(at); code != 0 {
		l.t.Fatal(l.messages)
	}
	if !strings.Contains(l.messages, "1 record") {
		l.t.Fatalf("no record: %s", l.messages)
	}
	l.updates = strings.Count(l.result, `"from"`)
	if code := l.run(time.Date(2100, time.January, 1, 0, 0, 0, 0, time.UTC)); code == 0 {
		l.t.Fatal("a run in a time in which no index counts any more went well")
	}
	_, rest, found := strings.Cut(l.messages, countedUntil)
	if !found || len(rest) < len("2006-01-02T15:04:05Z") {
		l.t.Fatalf("the record does not say when it ends: %s", l.messages)
	}
	until, err := time.Parse(time.RFC3339, rest[:len("2006-01-02T15:04:05Z")])
	if err != nil {
		l.t.Fatal(err)
	}
	return until
}

// lapses wants the record to count just before a time, and no more from then on.
func (l *lapsing) lapses(until time.Time) {
	l.t.Helper()
	if code := l.run(until.Add(-time.Second)); code != 0 || !strings.Contains(l.messages, "nothing has changed since the last run") {
		l.t.Errorf("a second before: exit code %d, %s", code, l.messages)
	}
	_ = l.run(until) // it may fail: an index that has expired is refused
	if !strings.Contains(l.messages, countedUntil+until.Format(time.RFC3339)) {
		l.t.Errorf("at that time: %s", l.messages)
	}
}

// A run signs again where its signature is gone, although another signer's of the same content has stayed.
func TestRecordMissesOwnSignature(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, time.August, 1, 0, 0, 0, 0, time.UTC)
	n := newLapsing(t, time.Time{}, []string{"--signature-format", "classic"})
	if code := n.run(now); code != 0 {
		t.Fatal(n.messages)
	}
	out, err := name.NewTag(n.args[slices.Index(n.args, "-t")+1])
	if err != nil {
		t.Fatal(err)
	}
	image, err := remote.Head(out)
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(t.TempDir(), "other")
	for _, args := range [][]string{
		{"keygen", "--output-prefix", other},
		{"sign", out.Context().Digest(image.Digest.String()).String(), "--key", other + ".key", "--signature-format", "classic"},
	} {
		if _, stderr, code := run(t.Context(), t, t.TempDir(), args...); code != 0 {
			t.Fatal(stderr)
		}
	}
	if code := n.run(now); code != 0 || !strings.Contains(n.messages, "nothing has changed since the last run") {
		t.Fatalf("another's signature is no reason for a run: %s", n.messages)
	}
	lists := out.Context().Tag("sha256-" + image.Digest.Hex + ".sig")
	if left := dropFirst(t, lists); left != 1 {
		t.Fatalf("%d signatures are left, the test means 1", left)
	}
	if code := n.run(now); code != 0 || !strings.Contains(n.messages, "a signature or attestation is gone") {
		t.Errorf("exit code %d, %s", code, n.messages)
	}
	if left := dropFirst(t, lists); left != 1 {
		t.Errorf("%d signatures beside the other's, want 1", left)
	}
}

// dropFirst takes the first entry, the oldest, out of a classic list and tells how many are left.
func dropFirst(t *testing.T, at name.Tag) int {
	t.Helper()
	list, err := remote.Image(at)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := list.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	layers, err := list.Layers()
	if err != nil {
		t.Fatal(err)
	}
	left := mutate.MediaType(empty.Image, manifest.MediaType)
	for i, l := range layers[1:] {
		d := manifest.Layers[1+i]
		if left, err = mutate.Append(left, mutate.Addendum{Layer: l, MediaType: d.MediaType, Annotations: d.Annotations}); err != nil {
			t.Fatal(err)
		}
	}
	if err := remote.Write(at, left); err != nil {
		t.Fatal(err)
	}
	return len(layers) - 1
}
