//go:build e2e

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestResultRuns starts what the rebuilt image holds and lets its own dpkg and apt judge the packages.
func TestResultRuns(t *testing.T) {
	host := debianRegistry(t)
	push(t, host+"/base:old", debian)
	r := decode[result](t, nanopatch(t, "rebuild", host+"/base:old", "-t", host+"/base:new", "--no-sign", "-o", "json").must(t, 0))
	layout := filepath.Join(t.TempDir(), "layout")
	run(t, "skopeo", "copy", "--src-tls-verify=false", "docker://"+host+"/base:new", "oci:"+layout+":new")
	root := unpack(t, layout, "new")
	for _, command := range []string{
		"openssl version", "nginx -v", "nginx -t", "python3.11 -c 'import ssl; print(ssl.OPENSSL_VERSION)'",
		"perl -e 'print qq(perl $^V\n)'", "curl --version",
	} {
		t.Logf("%s: %s", command, strings.TrimSpace(inChroot(t, root, command)))
	}
	checkDpkg(t, root, r.Platforms[0].Updates)
}

// checkDpkg holds the image's own package database against the updates.
func checkDpkg(t *testing.T, root string, updates []update) {
	t.Helper()
	if out := inChroot(t, root, "dpkg --audit"); strings.TrimSpace(out) != "" {
		t.Errorf("dpkg --audit: %s", out)
	}
	inChroot(t, root, "apt-get check")
	versions := map[string]string{}
	for line := range strings.Lines(inChroot(t, root, `dpkg-query -W -f '${Package}:${Architecture} ${Version}\n'`)) {
		pkg, version, _ := strings.Cut(strings.TrimSpace(line), " ")
		versions[pkg] = version
	}
	for _, u := range updates {
		if got := versions[u.Name+":"+u.Arch]; got != u.To {
			t.Errorf("dpkg says %s is at %s, the plan said %s", u.Name, got, u.To)
		}
	}
}

// unpack lets umoci unpack a tag of a layout and returns the root file system.
func unpack(t *testing.T, layout, tag string) string {
	t.Helper()
	bundle := filepath.Join(t.TempDir(), "bundle")
	run(t, "umoci", "unpack", "--image", layout+":"+tag, bundle)
	root := filepath.Join(bundle, "rootfs")
	null := filepath.Join(root, "dev", "null")
	if err := os.MkdirAll(filepath.Dir(null), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(null); err != nil {
		if err := unix.Mknod(null, unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func inChroot(t *testing.T, root, command string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "chroot", root, "/bin/sh", "-c", command)
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("in the image: %s: %v\n%s", command, err, out)
	}
	return string(out)
}
