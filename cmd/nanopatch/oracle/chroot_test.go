//go:build e2e

package oracle

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// enter makes a root file system fit to run programs in and enters it. It runs in name spaces of its own, so that what
// it mounts and starts ends with it.
const enter = `set -e
mount -t tmpfs -o mode=755 tmpfs "$1/dev"
for node in null:3 zero:5 full:7 random:8 urandom:9; do
	mknod -m 666 "$1/dev/${node%:*}" c 1 "${node#*:}"
done
ln -s /proc/self/fd "$1/dev/fd"
mkdir "$1/dev/shm"
mount -t tmpfs tmpfs "$1/dev/shm"
mount -t proc proc "$1/proc"
if [ -f "$1/etc/resolv.conf" ]; then mount --bind /etc/resolv.conf "$1/etc/resolv.conf"; fi
if [ -n "$LISTS" ]; then
	mkdir -p "$1/var/lib/apt/lists" "$1/var/cache/apt/archives"
	mount --bind "$LISTS" "$1/var/lib/apt/lists"
	mount --bind "$ARCHIVES" "$1/var/cache/apt/archives"
fi
if [ -n "$ALONE" ]; then ip link set lo up; fi
exec chroot "$1" /bin/sh -c "$2"`

// chroot is a root file system to run programs in.
type chroot struct {
	root string
	// release, where set, lends its package files and indexes to the chroot's apt.
	release *release
}

// aptConfig is what the chroot's apt is told, in a file among the package files.
const aptConfig = `APT::Get::Assume-Yes "true";
APT::Get::Always-Include-Phased-Updates "true";
APT::Install-Recommends "false";
APT::Sandbox::User "root";
APT::Keep-Downloaded-Packages "true";
Acquire::Languages "none";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
DPkg::Options { "--force-confold"; "--force-unsafe-io"; };
`

// command prepares a shell command in the chroot, in name spaces of the given kinds too.
func (c *chroot) command(ctx context.Context, script string, spaces ...string) *exec.Cmd {
	args := append([]string{"--mount", "--pid", "--fork", "--kill-child"}, spaces...)
	cmd := exec.CommandContext(ctx, "unshare", append(args, "/bin/sh", "-c", enter, "enter", c.root, script)...)
	cmd.Env = []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C", "HOME=/root",
	}
	for _, name := range []string{"http_proxy", "https_proxy"} {
		if value, ok := os.LookupEnv(name); ok {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	if c.release != nil {
		cmd.Env = append(cmd.Env, "LISTS="+c.release.lists(), "ARCHIVES="+c.release.archives(),
			"APT_CONFIG=/var/cache/apt/archives/oracle.conf")
	}
	return cmd
}

// combined runs a command and returns what it printed on both streams.
func combined(cmd *exec.Cmd) (string, error) {
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s: %w\n%s", cmd.Args[len(cmd.Args)-1], err, out)
	}
	return strings.TrimSpace(string(out)), err
}

// alone is try in a network of its own, which has nothing but the loopback interface: ports are free, and nobody else
// can reach what listens on them.
func (c *chroot) alone(ctx context.Context, script string) (string, error) {
	cmd := c.command(ctx, script, "--net")
	cmd.Env = append(cmd.Env, "ALONE=1")
	return combined(cmd)
}

// try runs a shell command and returns what it printed on both streams.
func (c *chroot) try(t *testing.T, script string) (string, error) {
	t.Helper()
	return combined(c.command(t.Context(), script))
}

// run is try for a command that must succeed.
func (c *chroot) run(t *testing.T, script string) string {
	t.Helper()
	out, err := c.try(t, script)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// run runs a program of the host, which must succeed, and returns what it printed on both streams.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	out, err := combined(cmd)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return out
}
