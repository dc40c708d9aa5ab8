package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nanopatch/nanopatch/rebuild/pkgrepo/apt/apttest"
	"github.com/nanopatch/nanopatch/testdata/fixture"
)

// phasedRepository offers one of the twin's updates, as one that no machine but a few should have yet.
func phasedRepository(t *testing.T, twin *fixture.Twin, name string, date time.Time) (dir, keyring string) {
	t.Helper()
	debs, err := filepath.Glob(filepath.Join(twin.Repository, "pool", "*", "*", "*", name+"_"+strings.ReplaceAll(twin.Updates[name].To, ":", "*")+"_*.deb"))
	if err != nil || len(debs) != 1 {
		t.Fatalf("the twin's package files of %s: %v, %v", name, debs, err)
	}
	control, err := apttest.Control(debs[0])
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(debs[0])
	if err != nil {
		t.Fatal(err)
	}
	dir, keyring = t.TempDir(), filepath.Join(t.TempDir(), "key.gpg")
	key, err := apttest.TestKey().Public()
	if err != nil {
		t.Fatal(err)
	}
	for file, content := range map[string][]byte{filepath.Join(dir, "package.deb"): data, keyring: key} {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	stanza := fmt.Sprintf("%s\nFilename: package.deb\nSize: %d\nSHA256: %x\nPhased-Update-Percentage: 0", control, len(data), sha256.Sum256(data))
	err = apttest.Write(dir, apttest.Suite{
		Name: "bookworm-updates", Date: date, Keys: []*apttest.Key{apttest.TestKey()},
		Fields:     map[string]string{"Origin": "Debian", "Label": "Debian", "Suite": "oldstable-updates", "Codename": "bookworm-updates"},
		Components: map[string]apttest.Component{"main": {Stanzas: []string{stanza}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir, keyring
}

// TestPhased: a phased update is taken and goes into the lockfile; --phased respect holds it until this program's turn, which
// then stands in no lockfile.
func TestPhased(t *testing.T) {
	const name = "np-perl"
	day := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	twin, err := fixture.NewTwin(t.Context(), t.TempDir(), fixture.TwinOptions{})
	if err != nil {
		t.Fatal(err)
	}
	dir, keyring := phasedRepository(t, twin, name, day)
	layout, cache, lock := filepath.Join(t.TempDir(), "image"), t.TempDir(), filepath.Join(t.TempDir(), "lock.json")
	if err := fixture.WriteLayout(layout, "old", twin.Images[0]); err != nil {
		t.Fatal(err)
	}
	plan := func(want int, more ...string) string {
		t.Helper()
		args := append([]string{"plan", "oci:" + layout + ":old", "-q", "--repo-override", dir, "--keyring", keyring}, more...)
		out, errs, code := runAt(t.Context(), t, func() time.Time { return day }, cache, args...)
		if code != want {
			t.Errorf("%v: exit code %d, want %d: %s", args, code, want, errs)
		}
		return out + errs
	}
	plan(10, "--detailed-exitcode", "--lock", lock)
	locked, err := os.ReadFile(lock)
	if err != nil || !strings.Contains(string(locked), `"`+name+`"`) {
		t.Errorf("the lockfile lacks the update: %v\n%s", err, locked)
	}
	if out := plan(0, "--detailed-exitcode", "--phased", "respect", "--lock", lock); !strings.Contains(out, "phased update, at 0% so far") {
		t.Errorf("nothing says why it is held:\n%s", out)
	}
	if locked, err = os.ReadFile(lock); err != nil || strings.Contains(string(locked), `"`+name+`"`) {
		t.Errorf("the lockfile has an update that was held: %v\n%s", err, locked)
	}
	if out := plan(2, "--phased", "sometimes"); !strings.Contains(out, `phased "sometimes": want include or respect`) {
		t.Errorf("a wrong value says:\n%s", out)
	}
}
