package main

import (
	"bytes"
	"encoding/base64"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/nanopatch/nanopatch/testdata/fixture"
)

// TestSecretsStaySecret runs the program as a process with a password and a token in the environment, at its most
// talkative, and looks for them in all it prints, in what it publishes and in its arguments as the kernel shows them.
func TestSecretsStaySecret(t *testing.T) {
	const secret = "hunter2-correct-horse"
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	twin, err := fixture.NewTwin(t.Context(), t.TempDir(), fixture.TwinOptions{})
	if err != nil {
		t.Fatal(err)
	}
	work := t.TempDir()
	program := filepath.Join(work, "nanopatch")
	if err := os.Symlink(self, program); err != nil {
		t.Fatal(err)
	}
	if err := fixture.WriteLayout(filepath.Join(work, "image"), "old", twin.Images[0]); err != nil {
		t.Fatal(err)
	}
	nanopatch := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), program, args...)
		cmd.Dir = work
		cmd.Env = append(os.Environ(), "COSIGN_PASSWORD="+secret, "SIGSTORE_ID_TOKEN="+secret, "VAULT_TOKEN="+secret,
			"NANOPATCH_CACHE_DIR="+filepath.Join(work, "cache"), "HOME="+work)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if shown, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(cmd.Process.Pid), "cmdline")); err == nil {
			out.Write(shown)
		}
		if err := cmd.Wait(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out.String())
		}
		return out.String()
	}
	said := nanopatch("keygen")
	said += nanopatch("rebuild", "oci:image:old", "-t", "oci:image:new", "--repo-override", twin.Repository,
		"--repo-override", fixture.SecurityMirror(twin.Repository), "--keyring", twin.Keyring, "--key", "cosign.key",
		"-v", "--log-format", "json", "-o", "json", "--lock", "lock.json")
	said += nanopatch("verify", "oci:image:new", "--key", "cosign.pub", "-v", "--log-format", "json", "-o", "json")
	if len(said) < 5000 {
		t.Errorf("the program said only %d bytes: the test shows nothing", len(said))
	}
	for _, form := range []string{secret, base64.StdEncoding.EncodeToString([]byte(secret))} {
		if strings.Contains(said, form) {
			t.Errorf("the secret is in what was printed")
		}
		for _, dir := range []string{"image", "cache", "lock.json", "cosign.pub", "cosign.key"} {
			if holder := searchFiles(t, filepath.Join(work, dir), form); holder != "" {
				t.Errorf("the secret is in %s", holder)
			}
		}
	}
}

// searchFiles names the first file below a path that holds a text, "" where none does.
func searchFiles(t *testing.T, root, text string) string {
	t.Helper()
	found := ""
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(p)
		if err == nil && bytes.Contains(b, []byte(text)) {
			found = p
			return fs.SkipAll
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
