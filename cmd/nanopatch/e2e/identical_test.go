//go:build e2e

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// TestBitIdentical rebuilds twice, the second time as another user with one processor, an empty cache, another time zone
// and umask, and a clock that is a year ahead: the lockfile pins what the first run chose, and the digests are the same.
func TestBitIdentical(t *testing.T) { eachBase(t, checkIdentical) }

func checkIdentical(t *testing.T, b base) {
	t.Helper()
	host := referrersRegistry(t)
	push(t, host+"/base:old", b.image)
	lock := filepath.Join(t.TempDir(), "nanopatch.lock")
	args := append([]string{"rebuild", host + "/base:old", "-t", host + "/base:first", "--no-sign", "--lock", lock, "-o", "json"}, b.from...)
	first := decode[result](t, nanopatch(t, args...).must(t, 0))

	theirs := nobodysDir(t)
	copied := filepath.Join(theirs, "nanopatch.lock")
	text, err := os.ReadFile(lock)
	if err == nil {
		err = os.WriteFile(copied, text, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(theirs, "nanopatch")
	run(t, "cp", os.Args[0], program)
	second := decode[result](t, nanopatchWith(t, func(cmd *exec.Cmd) {
		cmd.Path, cmd.Dir = program, theirs
		cmd.Env = append(cmd.Env, "GOMAXPROCS=1", "TZ=Pacific/Chatham", "HOME="+theirs, "TMPDIR="+theirs,
			"NANOPATCH_CACHE_DIR="+filepath.Join(theirs, "cache"), clockAhead+"=8760h")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}, "rebuild", host+"/base:old", "-t", host+"/base:second", "--no-sign", "--locked", copied, "-o", "json").must(t, 0))
	if first.Image.Digest != second.Image.Digest {
		t.Errorf("first %s, second %s\n%s\n%s", first.Image.Digest, second.Image.Digest, asJSON(first.Platforms[0].Layers), asJSON(second.Platforms[0].Layers))
	}
	if first.Image.Digest == first.Source.Digest {
		t.Error("nothing was rebuilt: the test shows nothing")
	}
	t.Logf("both runs made %s", first.Image.Digest)
}

// nobodysDir is a directory that the user nobody may write to, reachable from the root.
func nobodysDir(t *testing.T) string {
	t.Helper()
	// The test's own directory lies below one that only root may enter.
	dir, err := os.MkdirTemp("/var/tmp", "nanopatch-e2e-") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chown(dir, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	return dir
}
