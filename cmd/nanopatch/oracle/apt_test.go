//go:build e2e

package oracle

import (
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/plan"
)

// installLine is what apt-get --simulate prints of an upgrade: "Inst libc6 [2.36-9] (2.36-10 Debian:12 [amd64])".
var installLine = regexp.MustCompile(`(?m)^Inst (\S+) \[`)

// upgradable asks the chroot's apt what `apt-get upgrade` would upgrade, by name as apt prints it.
func upgradable(t *testing.T, c *chroot) []string {
	t.Helper()
	c.run(t, "apt-get -q update")
	var names []string
	for _, m := range installLine.FindAllStringSubmatch(c.run(t, "apt-get -q --simulate upgrade"), -1) {
		names = append(names, m[1])
	}
	return names
}

// upgrade lets apt upgrade the chroot by all packages but those on hold.
func upgrade(t *testing.T, c *chroot, held []string) {
	t.Helper()
	script := "set -e\n"
	if len(held) > 0 {
		script += "apt-mark hold " + strings.Join(held, " ") + "\n"
	}
	script += "apt-get -q upgrade </dev/null\n"
	if len(held) > 0 {
		script += "apt-mark unhold " + strings.Join(held, " ") + "\n"
	}
	c.run(t, script)
}

// heldNames are the packages that nanopatch holds but apt would not, as apt-mark takes them.
func heldNames(p *plan.Plan) []string {
	var names []string
	for _, h := range p.Held {
		if h.Reason == ecosystem.ReasonDistroHold {
			continue // apt knows
		}
		names = append(names, qualified(h.Name, h.Arch))
	}
	return names
}

// qualified is a package's name as dpkg's and apt's commands take it.
func qualified(name, arch string) string {
	if arch == "" || arch == "all" {
		return name
	}
	return name + ":" + arch
}

// database is the option that lets the host's dpkg-query, which any architecture's database serves, read a tree's.
func database(root string) string { return "--admindir=" + filepath.Join(root, "var/lib/dpkg") }

// versions lists a tree's packages, "name:arch", with version and state.
func versions(t *testing.T, root string) map[string]string {
	t.Helper()
	v := make(map[string]string)
	for line := range strings.Lines(run(t, "dpkg-query", database(root), "-W", "-f", `${Package}:${Architecture} ${Version} ${Status}\n`)) {
		name, version, _ := strings.Cut(strings.TrimSpace(line), " ")
		v[name] = version
	}
	return v
}

// contents lists what dpkg says that a package ships, by the paths that it really has in the tree.
func contents(t *testing.T, root string, s snapshot, name string) []string {
	t.Helper()
	var paths []string
	for line := range strings.Lines(run(t, "dpkg-query", database(root), "-L", name)) {
		if p, ok := strings.CutPrefix(strings.TrimSpace(line), "/"); ok && p != "." {
			paths = append(paths, resolve(s, p))
		}
	}
	return paths
}

// compareVersions fails the test where the two sides disagree on a package.
func compareVersions(t *testing.T, ours, apts map[string]string) {
	t.Helper()
	all := maps.Clone(ours)
	maps.Copy(all, apts)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if ours[name] != apts[name] {
			t.Errorf("package %s: nanopatch has %q, apt %q", name, ours[name], apts[name])
		}
	}
}

// checks are what the distribution's own tools say of an installation; each prints nothing when all is well, but for
// --verify, which also names what the image's author changed.
var checks = []string{"dpkg --audit", "dpkg --verify", "apt-get -qq check"}

// compareChecks fails the test where the tools find fault with the result that they do not find with apt's.
func compareChecks(t *testing.T, ours, apts *chroot) {
	t.Helper()
	for _, check := range checks {
		got, gotErr := ours.try(t, check)
		want, wantErr := apts.try(t, check)
		if got != want || fmt.Sprint(gotErr == nil) != fmt.Sprint(wantErr == nil) {
			t.Errorf("%s: on nanopatch's result %q (%v), on apt's %q (%v)", check, got, gotErr, want, wantErr)
			continue
		}
		if check != "dpkg --verify" && (got != "" || gotErr != nil) {
			t.Errorf("%s: %q (%v) on both results", check, got, gotErr)
		}
		if got != "" {
			t.Logf("%s, on both results: %d findings", check, strings.Count(got, "\n")+1)
		}
	}
}
