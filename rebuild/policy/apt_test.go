//go:build e2e

package policy

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
)

// The cases of the other tests, put to the real apt-get upgrade.
func TestAgainstApt(t *testing.T) {
	apt, err := exec.LookPath("apt-get")
	if err != nil {
		t.Skip("apt-get is not installed")
	}
	cases := setCases()
	maps.Copy(cases, multiArchCases())
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			in := world(c.installed, c.candidates)
			if c.hold != "" {
				for i, p := range in.Installed {
					in.Installed[i].Hold = matches(c.hold, p.Key)
				}
			}
			got, refused := aptUpgrade(t, apt, in)
			if refused != "" {
				t.Skipf("apt-get does nothing where something is broken: %s", refused)
			}
			d, err := Decide(in)
			if err != nil {
				t.Fatal(err)
			}
			want := upgradeNames(d)
			if strings.HasPrefix(name, "one of two") && len(got) == len(want) {
				return // there is no greatest set, and apt's preference is another one
			}
			if !slices.Equal(got, want) {
				t.Errorf("apt-get upgrades %q, this package %q", got, want)
			}
		})
	}
}

func upgradeNames(d *Decision) []string {
	var all []string
	for _, u := range d.Updates {
		all = append(all, u.From.Name+" "+u.To.Version)
	}
	slices.Sort(all)
	return all
}

// Random worlds, too. Where several sets of updates are possible and none contains all others, apt has its own taste.
func TestRandomWorldsAgainstApt(t *testing.T) {
	apt, err := exec.LookPath("apt-get")
	if err != nil {
		t.Skip("apt-get is not installed")
	}
	const wanted = 50
	worlds := rapid.Custom(genWorld)
	tried, matters := 0, 0
	for seed := 0; tried < wanted; seed++ {
		in := worlds.Example(seed)
		r := &relations{scheme: in.Scheme, native: in.Arch}
		if len(in.Installed) == 0 || len(broken(r, in.Installed)) > 0 {
			continue // apt-get upgrades nothing where something is broken
		}
		forApt(&in)
		d, err := Decide(in)
		if err != nil {
			t.Fatal(err)
		}
		got, refused := aptUpgrade(t, apt, in)
		want := upgradeNames(d)
		if refused != "" { // two architectures of a package that is not Multi-Arch: same
			continue
		}
		tried++
		if !slices.Equal(got, want) && hasGreatest(t, &in, d) {
			t.Errorf("apt-get upgrades %q, this package %q, of\n%s", got, want, spellWorld(&in))
		}
		matters += len(want)
	}
	if matters < wanted/2 {
		t.Errorf("only %d updates in all: this test tests little", matters)
	}
}

// forApt leaves out of a world what one repository for apt cannot express.
func forApt(in *Input) {
	anyArch := func(p *ecosystem.Package) {
		for i := range p.Conflicts {
			if p.Conflicts[i].Arch == "any" {
				p.Conflicts[i].Arch = ""
			}
		}
	}
	for i := range in.Installed {
		anyArch(&in.Installed[i])
		for k := range in.Candidates[in.Installed[i].Key] {
			c := &in.Candidates[in.Installed[i].Key][k]
			c.Priority = 500
			anyArch(&c.Package)
		}
	}
}

// hasGreatest tells whether all possible sets of updates together are one, by trying them all.
func hasGreatest(t *testing.T, in *Input, d *Decision) bool {
	chosen, _ := checkConsistent(t, in, d)
	r := &relations{scheme: in.Scheme, native: in.Arch}
	was := broken(r, in.Installed)
	possible := func(set int) bool {
		updated := func(i int) bool { return set>>i&1 == 1 }
		return worse(was, broken(r, ends(chosen, updated)), updatedOf(chosen, updated)) == ""
	}
	all := 0
	for set := range 1 << len(chosen) {
		if possible(set) {
			all |= set
		}
	}
	return possible(all)
}

var inst = regexp.MustCompile(`(?m)^Inst ([^ :]+)(?::\S+)? \[\S+\] \((\S+)`)

// aptUpgrade asks for what apt-get would do on a system made up in a directory.
func aptUpgrade(t *testing.T, apt string, in Input) (upgrades []string, refused string) {
	root := t.TempDir()
	for _, dir := range []string{
		"etc/apt/apt.conf.d", "etc/apt/preferences.d", "var/lib/apt/lists/partial", "var/cache/apt/archives/partial",
		"var/lib/dpkg", "repo",
	} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	var status, packages bytes.Buffer
	for _, p := range in.Installed {
		state := "install ok installed"
		if p.Hold {
			state = "hold ok installed"
		}
		control(&status, p, "Status: "+state)
		for _, c := range in.Candidates[p.Key] {
			if c.Version == p.Version {
				c.Package = p // the cases leave out what does not matter; for apt it would be another package
			}
			control(&packages, c.Package, fmt.Sprintf("Filename: %s.deb\nSize: 1\nSHA256: %064d", c.Name, 1))
		}
	}
	for name, content := range map[string]string{
		"var/lib/dpkg/status": status.String(), "repo/Packages": packages.String(),
		"etc/apt/sources.list": fmt.Sprintf("deb [trusted=yes] file:%s/repo ./\n", root),
		"etc/apt/apt.conf":     "APT::Architecture \"amd64\";\nAPT::Architectures { \"amd64\"; \"i386\"; };\n",
	} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	run := func(args ...string) (string, error) {
		args = append([]string{
			"-o", "Dir=" + root, "-o", "Dir::State::status=" + root + "/var/lib/dpkg/status", "-o", "APT::Sandbox::User=",
			"-o", "Debug::NoLocking=true", "-o", "Dir::Bin::dpkg=/bin/false",
		}, args...)
		cmd := exec.Command(apt, args...)
		cmd.Env = append(os.Environ(), "LC_ALL=C", "APT_CONFIG="+root+"/etc/apt/apt.conf")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := run("update"); err != nil {
		t.Fatalf("apt-get update: %v\n%s", err, out)
	}
	out, err := run("-s", "upgrade")
	if err != nil {
		return nil, out
	}
	for _, m := range inst.FindAllStringSubmatch(out, -1) {
		upgrades = append(upgrades, m[1]+" "+m[2])
	}
	slices.Sort(upgrades)
	return upgrades, ""
}

// control writes a package's stanza.
func control(b *bytes.Buffer, p ecosystem.Package, more string) {
	list := func(field string, rels []ecosystem.Relation) {
		if len(rels) > 0 {
			fmt.Fprintf(b, "%s: %s\n", field, strings.Join(strings.Split(aptSpell(rels), " | "), ", "))
		}
	}
	fmt.Fprintf(b, "Package: %s\nArchitecture: %s\nVersion: %s\n", p.Name, p.Arch, p.Version)
	fmt.Fprintf(b, "Maintainer: x <x@example.org>\nDescription: x\n%s\n", more)
	if p.MultiArch != "" {
		fmt.Fprintf(b, "Multi-Arch: %s\n", p.MultiArch)
	}
	var needs []string
	for _, c := range p.Requires {
		needs = append(needs, aptSpell(c))
	}
	if len(needs) > 0 {
		fmt.Fprintf(b, "Depends: %s\n", strings.Join(needs, ", "))
	}
	list("Breaks", p.Conflicts)
	list("Provides", p.Provides)
	b.WriteString("\n")
}

func aptSpell(rels []ecosystem.Relation) string {
	return strings.NewReplacer("(< ", "(<< ", "(> ", "(>> ").Replace(spell(rels))
}
