//go:build e2e

package rebuild

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/nanopatch/nanopatch/rebuild/version"
	"github.com/nanopatch/nanopatch/testdata/fixture"
)

// mirrorProxy serves the distributions' official hosts.
func mirrorProxy(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(fixture.MirrorProxy())
	t.Cleanup(server.Close)
	return server.URL
}

// machine is a directory that the host's apt takes for a system.
type machine struct {
	dir, proxy, arch string
}

// newMachine makes one with files, by their paths in the system.
func newMachine(t *testing.T, proxy, arch string, files map[string]string) *machine {
	t.Helper()
	m := &machine{dir: t.TempDir(), proxy: proxy, arch: arch}
	for _, d := range []string{
		"etc/apt/apt.conf.d", "etc/apt/preferences.d", "etc/apt/sources.list.d", "etc/apt/trusted.gpg.d",
		"var/lib/apt/lists/partial", "var/cache/apt/archives/partial", "var/lib/dpkg",
	} {
		if err := os.MkdirAll(filepath.Join(m.dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	m.write(t, "var/lib/dpkg/status", "")
	for name, text := range files {
		// apt takes a path in Signed-By for one of the host, whatever its own directory is.
		m.write(t, name, strings.ReplaceAll(text, "/usr/share/keyrings/", filepath.Join(m.dir, "usr/share/keyrings")+"/"))
	}
	return m
}

func (m *machine) write(t *testing.T, name, text string) {
	t.Helper()
	p := filepath.Join(m.dir, name)
	err := os.MkdirAll(filepath.Dir(p), 0o755)
	if err == nil {
		err = os.WriteFile(p, []byte(text), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// apt runs one of apt's programs on the machine.
func (m *machine) apt(t *testing.T, name string, args ...string) string {
	t.Helper()
	config := filepath.Join(m.dir, "apt.conf")
	if _, err := os.Stat(config); err != nil {
		m.write(t, "apt.conf", fmt.Sprintf(`Dir "%s/"; Dir::State::status "%[1]s/var/lib/dpkg/status"; APT::Sandbox::User "root";
APT::Architecture "%s"; APT::Architectures { "%[2]s"; }; Acquire::Languages "none"; APT::Install-Recommends "false";
Acquire::http::Proxy "%s"; Debug::NoLocking "true";
`, m.dir, m.arch, cmp.Or(m.proxy, "DIRECT")))
	}
	return runHost(t, m.dir, []string{"APT_CONFIG=" + config}, name, args...)
}

func runHost(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "LC_ALL=C"), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %.200s: %v\n%s%s", name, strings.Join(args, " "), err, out, stderr.Bytes())
	}
	return string(out)
}

// instLine is a package of apt-get -s: its name, its version before where it has one, and the one to be.
var instLine = regexp.MustCompile(`(?m)^Inst ([^ :]+)(?::\S+)?(?: \[(\S+)\])? \((\S+)`)

// installed makes the machine one on which apt has installed the packages, each at the oldest version that any pocket has.
func (m *machine) installed(t *testing.T, packages ...string) {
	t.Helper()
	m.apt(t, "apt-get", "-q", "--error-on=any", "update")
	m.write(t, "etc/apt/preferences.d/oldest", oldestVersions(t, m.everything(t)))
	var versions []string
	for _, f := range instLine.FindAllStringSubmatch(m.apt(t, "apt-get", append([]string{"-s", "install"}, packages...)...), -1) {
		versions = append(versions, f[1]+"="+f[3])
	}
	shown := m.apt(t, "apt-cache", append([]string{"show"}, versions...)...)
	m.write(t, "var/lib/dpkg/status", statusOf(shown))
	if err := os.Remove(filepath.Join(m.dir, "etc/apt/preferences.d/oldest")); err != nil {
		t.Fatal(err)
	}
}

// everything is the text of all package indexes.
func (m *machine) everything(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for name := range strings.FieldsSeq(m.apt(t, "apt-get", "indextargets", "--format", "$(FILENAME)", "Created-By: Packages")) {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.Copy(&all, f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		all.WriteString("\n")
	}
	return all.String()
}

// oldestVersions returns preferences (apt_preferences(5)) for the oldest of several versions in the text of indexes.
func oldestVersions(t *testing.T, indexes string) string {
	t.Helper()
	oldest, several, name := make(map[string]string), make(map[string]bool), ""
	for line := range strings.Lines(indexes) {
		line = strings.TrimSuffix(line, "\n")
		if n, ok := strings.CutPrefix(line, "Package: "); ok {
			name = n
		}
		v, ok := strings.CutPrefix(line, "Version: ")
		if !ok || oldest[name] == v {
			continue
		}
		if oldest[name] == "" {
			oldest[name] = v
			continue
		}
		several[name] = true
		order, err := version.Deb.Compare(v, oldest[name])
		if err != nil {
			t.Fatal(err)
		}
		if order < 0 {
			oldest[name] = v
		}
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(several)) {
		fmt.Fprintf(&b, "Package: %s\nPin: version %s\nPin-Priority: 1001\n\n", name, oldest[name])
	}
	return b.String()
}

// statusOf makes dpkg's status file of stanzas out of indexes, of which several may be of one package.
func statusOf(stanzas string) string {
	var b strings.Builder
	seen := make(map[string]bool)
	for s := range strings.SplitSeq(stanzas, "\n\n") {
		name, rest, _ := strings.Cut(strings.TrimSpace(s), "\n")
		if name == "" || seen[name] {
			continue
		}
		seen[name] = true
		b.WriteString(name + "\nStatus: install ok installed\n")
		for line := range strings.Lines(rest + "\n") {
			field, _, _ := strings.Cut(line, ":")
			switch field {
			case "Filename", "Size", "MD5sum", "SHA1", "SHA256", "SHA512", "Description-md5", "Phased-Update-Percentage":
			default:
				b.WriteString(line)
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}

// keyringPackages unpacks the keyring packages, of Debian as its newest release has it, and of Ubuntu. What vouches for them
// is the host's own keyring and, for Ubuntu's, Debian's copy of its keys.
func keyringPackages(t *testing.T, proxy string) string {
	t.Helper()
	host, err := os.ReadFile("/" + debianKeys)
	if err != nil {
		t.Skipf("this host has no Debian keys to begin with: %v", err)
	}
	source := "deb [signed-by=/usr/share/keyrings/host.gpg] http://ftp.debian.org/debian trixie main\n"
	m := newMachine(t, proxy, "amd64", map[string]string{"etc/apt/sources.list": source, "usr/share/keyrings/host.gpg": string(host)})
	m.apt(t, "apt-get", "-q", "--error-on=any", "update")
	m.apt(t, "apt-get", "-q", "download", "debian-archive-keyring", "ubuntu-keyring")
	first := filepath.Join(m.dir, "first")
	m.extract(t, first)
	ubuntu, err := os.ReadFile(filepath.Join(first, ubuntuKeys))
	if err != nil {
		t.Fatal(err)
	}
	source = "deb [signed-by=/usr/share/keyrings/ubuntu.gpg] http://archive.ubuntu.com/ubuntu noble main\n"
	m2 := newMachine(t, proxy, "amd64", map[string]string{"etc/apt/sources.list": source, "usr/share/keyrings/ubuntu.gpg": string(ubuntu)})
	m2.apt(t, "apt-get", "-q", "--error-on=any", "update")
	m2.apt(t, "apt-get", "-q", "download", "ubuntu-keyring")
	m2.extract(t, first)
	return first
}

// extract unpacks the packages that lie in the machine's directory.
func (m *machine) extract(t *testing.T, into string) {
	t.Helper()
	debs, err := filepath.Glob(filepath.Join(m.dir, "*.deb"))
	if err != nil || len(debs) == 0 {
		t.Fatalf("no package was downloaded: %v", err)
	}
	for _, deb := range debs {
		runHost(t, m.dir, nil, "dpkg-deb", "--extract", deb, into)
	}
}
