//go:build e2e

package dpkg

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem/ecosystemtest"
	"github.com/nanopatch/nanopatch/rebuild/layer"
	"github.com/nanopatch/nanopatch/rebuild/rootfs"
)

// realPackages make a machine of which many packages have updates.
const realPackages = "nginx,openssl,ca-certificates,curl,perl,python3,rsync,unzip,bind9-host,libpq5,libssh2-1,libnss3,libaom3,systemd,dbus"

// unlike says of paths why they may differ after a run of the real dpkg.
var unlike = map[string]string{
	"etc/ld.so.cache":         "written again by the ldconfig trigger, with the same content",
	"var/cache/ldconfig/":     "ldconfig's own cache, which an image does not need",
	"var/cache/debconf/":      "debconf's database is not kept up to date",
	"var/lib/systemd/deb-sys": "written again by deb-systemd-helper, with the same content",
	"var/log/":                "what happened",
	"run/":                    "what is running",
}

// TestRealUpdates upgrades a real machine by all updates that pass, with and without dpkg, and compares.
func TestRealUpdates(t *testing.T) {
	root := realMachine(t)
	debs, err := filepath.Glob(filepath.Join(root, "var/cache/apt/archives/*.deb"))
	if err != nil || len(debs) == 0 {
		t.Skipf("the mirror has no updates for what it has in main: %v", err)
	}
	before := indexOf(t, root)
	v := viewOf(t, before)
	files := make(map[ecosystem.Key]string)
	var steps []ecosystem.Step
	for _, deb := range debs {
		step := stepFor(t, v, deb)
		steps = append(steps, step)
		files[step.Installed.Key] = deb
	}
	effect, steps := upgradeWhatPasses(t, v, steps)
	args := []string{root, "dpkg", "--install", "--force-confold", "--force-depends", "--force-breaks"}
	for _, s := range steps {
		args = append(args, strings.TrimPrefix(files[s.Installed.Key], root))
	}
	chroot(t, args...)
	compareBut(t, unlike, viewOf(t, indexOf(t, root)), viewOf(t, ecosystemtest.Apply(t, before, effect)))
}

// realMachine installs packages from a release's main pocket and downloads their updates.
func realMachine(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a machine to run dpkg in takes root")
	}
	mmdebstrap, err := exec.LookPath("mmdebstrap")
	if err != nil {
		t.Skipf("no mmdebstrap to make a machine with: %v", err)
	}
	mirror := os.Getenv("DEBIAN_MIRROR")
	if mirror == "" {
		mirror = "http://deb.debian.org/debian"
	}
	mirror = strings.TrimSuffix(mirror, "/")
	root := filepath.Join(t.TempDir(), "root")
	out, err := exec.CommandContext(t.Context(), mmdebstrap, "--quiet", "--variant=apt", "--format=directory", "--include="+realPackages,
		"bookworm", root, "deb "+mirror+" bookworm main").CombinedOutput()
	if err != nil {
		t.Fatalf("mmdebstrap: %v\n%s", err, out)
	}
	sources := fmt.Sprintf("deb %[1]s bookworm main\ndeb %[1]s bookworm-updates main\ndeb %[1]s-security bookworm-security main\n", mirror)
	for p, content := range map[string]string{"etc/apt/sources.list": sources, "usr/sbin/policy-rc.d": "#!/bin/sh\nexit 101\n"} {
		if err := os.WriteFile(filepath.Join(root, p), []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	chroot(t, root, "apt-get", "-q", "update")
	chroot(t, root, "apt-get", "-q", "-y", "--download-only", "upgrade")
	return root
}

func chroot(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "chroot", args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C", "HOME=/root", "DPKG_ROOT="}
	for _, name := range []string{"http_proxy", "https_proxy"} {
		if value, ok := os.LookupEnv(name); ok {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", args[1:], err, out)
	}
}

func indexOf(t *testing.T, root string) *layer.Index {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "tree")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := ecosystemtest.WriteTar(f, root, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Seek(0, 0); err != nil {
		t.Fatal(err)
	}
	x, err := layer.Scan(t.Context(), f, layer.ScanOptions{Keep: func(e *layer.Entry, _ []byte) bool {
		return Ecosystem{}.Wants(e.Path) || strings.HasPrefix(e.Path, "usr/lib/systemd/system/")
	}})
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// upgradeWhatPasses drops what is held and asks again, as a caller does.
func upgradeWhatPasses(t *testing.T, v *rootfs.View, steps []ecosystem.Step) (*ecosystem.Effect, []ecosystem.Step) {
	t.Helper()
	all := len(steps)
	for {
		effect, holds, err := Ecosystem{}.Upgrade(t.Context(), v, steps, ecosystem.UpgradeOptions{Time: generatedTime})
		if err != nil {
			t.Fatal(err)
		}
		if len(holds) == 0 {
			t.Logf("%d of %d updates pass, %d changes", len(steps), all, len(effect.Changes))
			if len(steps) == 0 {
				t.Fatal("everything is held")
			}
			return effect, steps
		}
		for _, h := range holds {
			t.Log(h)
			steps = slices.DeleteFunc(steps, func(s ecosystem.Step) bool { return s.Installed.Key == h.Package })
		}
	}
}

// compareBut compares two trees but for paths with a reason.
func compareBut(t *testing.T, but map[string]string, want, got *rootfs.View) {
	t.Helper()
	for _, d := range differences(t, want, got) {
		// What Python compiled of a changed module is gone; only the image's own interpreter could make it again.
		excused := d.got.what == "" && strings.Contains(d.path, "/"+bytecodeDir)
		for prefix := range but {
			excused = excused || strings.HasPrefix(d.path, prefix) && (d.want.what == d.got.what || !strings.Contains(but[prefix], "same content"))
		}
		if !excused {
			t.Errorf("%s\n want %v\n got  %v", d.path, d.want, d.got)
		}
	}
}
