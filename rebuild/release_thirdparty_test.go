//go:build e2e

package rebuild

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nanopatch/nanopatch/rebuild/pkgrepo/apt/apttest"
	"github.com/nanopatch/nanopatch/rebuild/policy"
	"github.com/nanopatch/nanopatch/rebuild/version"
)

// offer is a stanza of a Packages file for a package that needs nothing.
func offer(name, version string, more ...string) string {
	return fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: amd64\nMaintainer: x\nDescription: x\nFilename: pool/%[1]s_%s.deb\nSize: 1\n"+
		"SHA256: %064d\n%s", name, version, 1, strings.Join(more, "\n"))
}

// having is a status file's text.
func having(packages ...string) string {
	var b strings.Builder
	for _, p := range packages {
		name, version, _ := strings.Cut(p, "=")
		fmt.Fprintf(&b, "Package: %s\nStatus: install ok installed\nMaintainer: x\nArchitecture: amd64\nVersion: %s\nDescription: x\n\n", name, version)
	}
	return b.String()
}

// vendor is a repository with a key of its own.
type vendor struct {
	dir, url string
	key      *apttest.Key
}

func newVendor(t *testing.T, suites ...apttest.Suite) *vendor {
	t.Helper()
	v := &vendor{dir: t.TempDir()}
	var err error
	if v.key, err = apttest.NewKey("vendor", time.Now().Add(-time.Hour), 0); err != nil {
		t.Fatal(err)
	}
	for i := range suites {
		suites[i].Keys, suites[i].Date = []*apttest.Key{v.key}, time.Now().Add(-time.Minute)
	}
	if err := apttest.Write(v.dir, suites...); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.FileServer(http.Dir(v.dir)))
	t.Cleanup(server.Close)
	v.url = server.URL
	return v
}

func (v *vendor) public(t *testing.T) string {
	t.Helper()
	key, err := v.key.Public()
	if err != nil {
		t.Fatal(err)
	}
	return string(key)
}

// inline is the key as a Signed-By of deb822 holds it.
func (v *vendor) inline(t *testing.T) string {
	t.Helper()
	key, err := v.key.Armored()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for line := range strings.Lines(strings.TrimSpace(string(key))) {
		if line = strings.TrimSpace(line); line == "" {
			line = "."
		}
		b.WriteString("\n " + line)
	}
	return b.String()
}

func suite(name, component string, fields map[string]string, stanzas ...string) apttest.Suite {
	return apttest.Suite{Name: name, Fields: fields, Components: map[string]apttest.Component{component: {Stanzas: stanzas}}}
}

// compare puts an image, with these files, to the real apt.
func compare(t *testing.T, files map[string]string, rules policy.Rules, ids ...string) policy.Input {
	t.Helper()
	m := newMachine(t, "", "amd64", files)
	m.apt(t, "apt-get", "-q", "--error-on=any", "update")
	in := offered(t, "", files)
	sameCandidates(t, m, in)
	if rules.Phased == "" {
		sameUpgrade(t, m, in, rules, "-o", "APT::Get::Always-Include-Phased-Updates=true")
	}
	for _, id := range ids {
		rules.MachineID = id
		sameUpgrade(t, m, in, rules, "-o", "APT::Machine-ID="+id)
	}
	return in
}

// TestThirdPartiesAgainstApt: repositories beside the distribution's, as vendors tell people to configure them.
func TestThirdPartiesAgainstApt(t *testing.T) {
	base := newVendor(t,
		suite("bookworm", "main", map[string]string{"Origin": "Debian", "Label": "Debian", "Suite": "oldstable", "Codename": "bookworm"},
			offer("nginx", "1.22.1-9"), offer("nodejs", "18.20.4"), offer("postgresql-15", "15.14-0"), offer("libpq5", "15.14-0"),
			offer("tool", "1.0")),
		suite("bookworm-backports", "main", map[string]string{
			"Origin": "Debian Backports", "Suite": "bookworm-backports", "Codename": "bookworm-backports",
			"NotAutomatic": "yes", "ButAutomaticUpgrades": "yes",
		}, offer("tool", "2.0~bpo12+1"), offer("cli", "2.1~bpo12+1")))
	nginx := newVendor(t, suite("bookworm", "nginx", map[string]string{"Origin": "nginx", "Label": "nginx", "Suite": "bookworm", "Codename": "bookworm"},
		offer("nginx", "1.28.0-1~bookworm"), offer("nginx", "1.28.1-1~bookworm"), offer("nginx-module-njs", "1.28.1+0.9-1~bookworm")))
	pgdg := newVendor(t, suite("bookworm-pgdg", "main", map[string]string{
		"Origin": "apt.postgresql.org", "Label": "PostgreSQL for Debian/Ubuntu repository", "Suite": "bookworm-pgdg", "Codename": "bookworm-pgdg",
	}, offer("postgresql-15", "15.15-1.pgdg12+1"), offer("libpq5", "18.1-1.pgdg12+2")))
	node := newVendor(t, suite("nodistro", "main", map[string]string{"Origin": ". nodistro", "Label": ". nodistro", "Suite": "nodistro", "Codename": "nodistro"},
		offer("nodejs", "20.19.5-1nodesource1"), offer("nodejs", "20.19.6-1nodesource1")))
	flat := newVendor(t, suite("", "", map[string]string{"Origin": "Vendor"}, offer("agent", "7.1"), offer("agent", "7.2")))
	files := map[string]string{
		"etc/os-release": "ID=debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\n",
		"var/lib/dpkg/status": having("agent=7.1", "cli=2.0~bpo12+1", "libpq5=15.13-0+deb12u1", "local=1", "nginx=1.28.0-1~bookworm",
			"nginx-module-njs=1.28.0+0.9-1~bookworm", "nodejs=20.19.5-1nodesource1", "postgresql-15=15.14-1.pgdg12+1", "tool=1.0"),
		"etc/apt/sources.list": "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] " + base.url + " bookworm main\n" +
			"deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] " + base.url + " bookworm-backports main\n",
		debianKeys: base.public(t),
		"etc/apt/sources.list.d/nginx.list": "deb [arch=amd64 signed-by=/usr/share/keyrings/nginx-archive-keyring.gpg] " + nginx.url +
			" bookworm nginx\n",
		"usr/share/keyrings/nginx-archive-keyring.gpg": nginx.public(t),
		"etc/apt/preferences.d/99nginx":                "Package: *\nPin: release o=nginx\nPin-Priority: 900\n",
		"etc/apt/sources.list.d/pgdg.sources": "Types: deb\nURIs: " + pgdg.url + "\nSuites: bookworm-pgdg\nComponents: main\nSigned-By:" +
			pgdg.inline(t) + "\n",
		"etc/apt/sources.list.d/nodesource.sources": "Types: deb\nURIs: " + node.url + "\nSuites: nodistro\nComponents: main\n" +
			"Architectures: amd64\nSigned-By: /usr/share/keyrings/nodesource.gpg\n",
		"usr/share/keyrings/nodesource.gpg": node.public(t),
		"etc/apt/preferences.d/nodejs":      "Package: nodejs\nPin: release o=. nodistro\nPin-Priority: 600\n",
		"etc/apt/sources.list.d/agent.list": "deb [signed-by=" + flat.key.Fingerprint() + "] " + flat.url + " ./\n",
		"etc/apt/trusted.gpg.d/agent.gpg":   flat.public(t),
	}
	compareThirdParties(t, files)

	// A vendor's package is judged by its number, Debian's own by the release's policy.
	in := compare(t, files, policy.Rules{Level: version.Major})
	in.Rules = policy.Rules{Level: version.Patch}
	d, err := policy.Decide(in)
	if err != nil {
		t.Fatal(err)
	}
	var beyond []string
	for _, u := range d.Updates {
		if u.Beyond != nil {
			beyond = append(beyond, u.From.Name, u.To.Version, u.Beyond.Candidate.Version, string(u.Beyond.Reason))
		}
	}
	if got, want := strings.Join(beyond, " "), "libpq5 15.14-0 18.1-1.pgdg12+2 level"; got != want || len(d.Held) > 0 {
		t.Errorf("at the level patch: %s, want %s; held: %+v", got, want, d.Held)
	}
}

// compareThirdParties takes one vendor's source away after the other: what only that one served is unmanaged then.
func compareThirdParties(t *testing.T, files map[string]string) {
	t.Helper()
	for file, orphans := range map[string]string{
		"":                                          "local",
		"etc/apt/sources.list.d/nginx.list":         "local, nginx-module-njs",
		"etc/apt/sources.list.d/agent.list":         "agent, local",
		"etc/apt/sources.list.d/pgdg.sources":       "local",
		"etc/apt/sources.list.d/nodesource.sources": "local",
	} {
		t.Run("without "+filepath.Base(file), func(t *testing.T) {
			some := make(map[string]string)
			for name, text := range files {
				if name != file {
					some[name] = text
				}
			}
			in := compare(t, some, policy.Rules{Level: version.Major})
			in.Rules.Level = version.Major
			d, err := policy.Decide(in)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, u := range d.Unmanaged {
				got = append(got, u.Package.Name)
			}
			if strings.Join(got, ", ") != orphans {
				t.Errorf("unmanaged: %v, want %s", got, orphans)
			}
		})
	}
}

// TestPhasedAgainstApt: with each of many machine ids, exactly the updates are held that apt-get would keep back as phased.
func TestPhasedAgainstApt(t *testing.T) {
	var installed, release, updates, security []string
	add := func(name string, phase int, more ...string) {
		installed = append(installed, name+"=1.0")
		release = append(release, offer(name, "1.0"))
		updates = append(updates, offer(name, "1.2", append(more, fmt.Sprintf("Phased-Update-Percentage: %d", phase))...))
	}
	for i := range 50 {
		add(fmt.Sprintf("p%02d", i), 2*i)
		add(fmt.Sprintf("of-a-source%02d", i), 50, fmt.Sprintf("Source: source%d (1:1.2+b%d)", i/2, i/2))
	}
	for i := range 10 { // a fix that the update supersedes makes it one
		name := fmt.Sprintf("fixed%02d", i)
		add(name, 10)
		security = append(security, offer(name, "1.1"))
	}
	ubuntu := func(suite string) map[string]string {
		return map[string]string{"Origin": "Ubuntu", "Label": "Ubuntu", "Suite": suite, "Codename": "noble"}
	}
	v := newVendor(t, suite("noble", "main", ubuntu("noble"), release...), suite("noble-updates", "main", ubuntu("noble-updates"), updates...),
		suite("noble-security", "main", ubuntu("noble-security"), security...))
	files := map[string]string{
		"etc/os-release":      "ID=ubuntu\nVERSION_ID=\"24.04\"\nVERSION_CODENAME=noble\n",
		"var/lib/dpkg/status": having(installed...),
		"etc/apt/sources.list.d/ubuntu.sources": "Types: deb\nURIs: " + v.url + "\nSuites: noble noble-updates noble-security\nComponents: main\n" +
			"Signed-By: /usr/share/keyrings/ubuntu-archive-keyring.gpg\n",
		ubuntuKeys: v.public(t),
	}
	compare(t, files, policy.Rules{Level: version.Major})
	ids := []string{"nanopatch", "x", "ä", strings.Repeat("long ", 100)}
	for i := range 12 {
		ids = append(ids, fmt.Sprintf("%032x", i*i*1234567))
	}
	compare(t, files, policy.Rules{Level: version.Major, Phased: policy.PhasedRespect}, ids...)
}
