//go:build e2e

package apttest_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nanopatch/nanopatch/rebuild/pkgrepo/apt/apttest"
)

// TestRealApt has apt itself read a repository of ours, and download from it.
func TestRealApt(t *testing.T) {
	if _, err := exec.LookPath("apt-get"); err != nil {
		t.Skip("no apt on this host")
	}
	tmp := t.TempDir()
	for _, d := range []string{"etc/apt/trusted.gpg.d", "etc/apt/preferences.d", "state/lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(tmp, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	repo := filepath.Join(tmp, "repo")
	if err := apttest.Write(repo, suite(buildDeb(t, tmp, "hello", "1.2-3", "amd64"))); err != nil {
		t.Fatal(err)
	}
	key, err := apttest.TestKey().Public()
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"etc/apt/trusted.gpg.d/test.gpg": key,
		"etc/apt/sources.list":           []byte("deb [arch=amd64] file:" + repo + " bookworm main\n"),
		"status":                         nil,
	} {
		if err := os.WriteFile(filepath.Join(tmp, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	apt := func(name string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), name, append([]string{
			"-o", "Dir::Etc=" + tmp + "/etc/apt", "-o", "Dir::State=" + tmp + "/state", "-o", "Dir::State::status=" + tmp + "/status",
			"-o", "Dir::Cache=" + tmp + "/cache", "-o", "APT::Sandbox::User=", "-o", "APT::Architecture=amd64",
		}, args...)...)
		cmd.Dir = tmp
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	if out := apt("apt-get", "update"); strings.Contains(out, "W:") || strings.Contains(out, "E:") {
		t.Errorf("apt-get update complains:\n%s", out)
	}
	if out := apt("apt-cache", "policy", "hello"); !strings.Contains(out, "Candidate: 1.2-3") {
		t.Errorf("apt-cache policy:\n%s", out)
	}
	apt("apt-get", "download", "hello")
	if _, err := os.Stat(filepath.Join(tmp, "hello_1.2-3_amd64.deb")); err != nil {
		t.Error(err)
	}
}
