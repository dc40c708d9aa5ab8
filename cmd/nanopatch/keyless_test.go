package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nanopatch/nanopatch/sign/signtest"
	"github.com/nanopatch/nanopatch/testdata/fixture"
)

// TestKeylessJob rebuilds as a CI job with an identity token and no key does, with a Sigstore instance on this machine, in
// both formats, and verifies by identity and issuer.
func TestKeylessJob(t *testing.T) {
	instance := signtest.NewSigstore(t, time.Now)
	files := instance.Files(t, t.TempDir())
	twin, err := fixture.NewTwin(t.Context(), t.TempDir(), fixture.TwinOptions{})
	if err != nil {
		t.Fatal(err)
	}
	work := t.TempDir()
	layout := "oci:" + filepath.Join(work, "image")
	fresh := func() {
		t.Helper()
		err := os.RemoveAll(filepath.Join(work, "image"))
		if err == nil {
			err = fixture.WriteLayout(filepath.Join(work, "image"), "old", twin.Images[0])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	nanopatch := func(want int, args ...string) string {
		t.Helper()
		out, errs, code := run(t.Context(), t, filepath.Join(work, "cache"), args...)
		if code != want {
			t.Fatalf("%q: exit %d, want %d\n%s%s", args, code, want, out, errs)
		}
		return out + errs
	}
	rebuild := func(from, to string, how ...string) []string {
		return append([]string{
			"rebuild", layout + ":" + from, "-t", layout + ":" + to, "--repo-override", twin.Repository, "--keyring", twin.Keyring,
		}, how...)
	}
	byIdentity := []string{"--identity", instance.Subject, "--issuer", instance.Issuer, "--trusted-root", files.TrustedRoot, "--offline"}
	keyless := []string{"--keyless", "--signing-config", files.SigningConfigStamps, "--trusted-root", files.TrustedRoot}

	fresh()
	nanopatch(1, rebuild("old", "tokenless", keyless...)...)
	t.Setenv("SIGSTORE_ID_TOKEN", instance.Token(t))
	for _, format := range []string{"bundle", "classic"} {
		fresh()
		nanopatch(0, rebuild("old", format, append(keyless, "--signature-format", format)...)...)
		said := nanopatch(0, append([]string{"verify", layout + ":" + format, "--reproduce"}, byIdentity...)...)
		if !strings.Contains(said, instance.Subject) || !strings.Contains(said, "reproduced") {
			t.Errorf("%s: %s", format, said)
		}
		other := append([]string{"verify", layout + ":" + format}, byIdentity...)
		other[3] = "https://github.com/attacker/x"
		if said := nanopatch(4, other...); !strings.Contains(said, "signed") {
			t.Errorf("%s: %s", format, said)
		}
		other = append([]string{"verify", layout + ":" + format}, byIdentity...)
		other[5] = "https://attacker.test"
		nanopatch(4, other...)
		// What it was rebuilt from is verified first, if that is asked for.
		nanopatch(4, rebuild(format, "stepped", "--no-sign", "--source-identity", "https://github.com/attacker/x", "--source-issuer",
			instance.Issuer, "--trusted-root", files.TrustedRoot)...)
		nanopatch(0, rebuild(format, "step", "--no-sign", "--source-identity", instance.Subject, "--source-issuer", instance.Issuer,
			"--trusted-root", files.TrustedRoot)...)
	}
	nanopatch(0, "keygen", "--output-prefix", filepath.Join(work, "cosign"))
	key := filepath.Join(work, "cosign.key")

	// A key's signatures go to a log only where that is asked for, and then all of them.
	for _, c := range []struct {
		how    []string
		logged int64
	}{
		{nil, 0},
		{[]string{"--tlog"}, 4},
		{[]string{"--tlog", "--signature-format", "classic"}, 4},
	} {
		fresh()
		before := instance.Logged()
		nanopatch(0, rebuild("old", "new", append(c.how, "--key", key, "--signing-config", files.SigningConfig)...)...)
		if n := instance.Logged() - before; n != c.logged {
			t.Errorf("%q: %d signatures were logged, want %d", c.how, n, c.logged)
		}
		nanopatch(0, "verify", layout+":new", "--key", filepath.Join(work, "cosign.pub"), "--offline")
	}
}
