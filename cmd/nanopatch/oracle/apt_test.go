//go:build e2e

package oracle

import (
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

// compareChecks fails the test where the distribution's own tools find fault with the result. Of changed and missing
// files they may name those that they name in apt's result, and those that the author had changed before.
func compareChecks(t *testing.T, ours, apts *chroot, before []string) {
	t.Helper()
	for _, check := range []string{"dpkg --audit", "apt-get -qq check"} {
		if got, err := ours.try(t, check); err != nil || got != "" {
			t.Errorf("%s: %q (%v)", check, got, err)
		}
	}
	known := append(verify(t, apts), before...)
	found := verify(t, ours)
	for _, finding := range found {
		if !slices.Contains(known, finding) {
			t.Errorf("dpkg --verify: %s", finding)
		}
	}
	t.Logf("dpkg --verify: %d findings, each of them in apt's result or in the image before", len(found))
}

// verify lists the files that are not as their packages ship them.
func verify(t *testing.T, c *chroot) []string {
	t.Helper()
	var findings []string
	for line := range strings.Lines(c.run(t, "dpkg --verify")) {
		findings = append(findings, strings.TrimSpace(line))
	}
	return findings
}
