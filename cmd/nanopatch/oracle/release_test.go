//go:build e2e

package oracle

import (
	"bufio"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/nanopatch/nanopatch/rebuild/version"
	"github.com/nanopatch/nanopatch/testdata/fixture"
)

// release is one release of a distribution, as its archive serves it.
type release struct {
	codename   string
	ubuntu     bool
	components string
	keyring    string
	// deb822 says that the release's own images configure apt by a .sources file.
	deb822 bool
	// bornMerged says that its base-files brings the merged /usr, so that nobody has to make it.
	bornMerged bool

	once sync.Once
	// dir is apt's own directory for it on this host; pins are preferences for the oldest version of everything.
	dir, pins string
	err       error
}

const (
	debianKeyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
	ubuntuKeyring = "/usr/share/keyrings/ubuntu-archive-keyring.gpg"
)

var (
	bullseye = &release{codename: "bullseye", components: "main", keyring: debianKeyring}
	bookworm = &release{codename: "bookworm", components: "main", keyring: debianKeyring}
	trixie   = &release{codename: "trixie", components: "main", keyring: debianKeyring, deb822: true}
	jammy    = &release{codename: "jammy", ubuntu: true, components: "main universe", keyring: ubuntuKeyring}
	noble    = &release{codename: "noble", ubuntu: true, components: "main universe", keyring: ubuntuKeyring, deb822: true, bornMerged: true}
)

// source is a line of sources.list(5): where a release's pockets are.
type source struct{ uri, suites string }

func (r *release) sources() []source {
	c := r.codename
	if r.ubuntu {
		return []source{{fixture.UbuntuMirror(fixture.Mirror()), c + " " + c + "-updates " + c + "-security"}}
	}
	return []source{
		{fixture.Mirror(), c + " " + c + "-updates"},
		{fixture.SecurityMirror(fixture.Mirror()), c + "-security"},
	}
}

// list is the release's sources in one-line style; options are those of every line.
func (r *release) list(options string) string {
	var b strings.Builder
	for _, s := range r.sources() {
		for suite := range strings.FieldsSeq(s.suites) {
			fmt.Fprintf(&b, "deb %s%s %s %s\n", options, s.uri, suite, r.components)
		}
	}
	return b.String()
}

// configuration is the file that tells an image's apt of the release, and its content.
func (r *release) configuration() (file, content string) {
	if !r.deb822 {
		return "etc/apt/sources.list", r.list("")
	}
	file = "etc/apt/sources.list.d/debian.sources"
	if r.ubuntu {
		file = "etc/apt/sources.list.d/ubuntu.sources"
	}
	var stanzas []string
	for _, s := range r.sources() {
		stanzas = append(stanzas, fmt.Sprintf("Types: deb\nURIs: %s\nSuites: %s\nComponents: %s\nSigned-By: %s\n",
			s.uri, s.suites, r.components, r.keyring))
	}
	return file, strings.Join(stanzas, "\n")
}

// archives is where package files of the release are kept, with what apt is told in a chroot (oracle.conf) and while an
// image is built (oldest).
func (r *release) archives() string { return filepath.Join(r.dir, "var/cache/apt/archives") }
func (r *release) lists() string    { return filepath.Join(r.dir, "var/lib/apt/lists") }

// open lets the host's apt fetch and verify the release's indexes, once a run.
func (r *release) open(t *testing.T) {
	t.Helper()
	r.once.Do(func() { r.err = r.update() })
	if r.err != nil {
		t.Fatalf("reading the indexes of %s: %v", r.codename, r.err)
	}
}

func (r *release) update() error {
	if r.ubuntu {
		if err := haveUbuntuKeyring(); err != nil {
			return err
		}
	}
	var err error
	if r.dir, err = hostApt(r.codename, r.list("[signed-by="+r.hostKeyring()+"] ")); err != nil {
		return err
	}
	targets, err := runApt(r.dir, "apt-get", "indextargets", "--format", "$(FILENAME)", "Created-By: Packages")
	if err != nil {
		return err
	}
	if r.pins, err = oldest(strings.Fields(targets)); err != nil {
		return err
	}
	for name, content := range map[string]string{"oracle.conf": aptConfig, "oldest": r.pins} {
		if err := os.WriteFile(filepath.Join(r.archives(), name), []byte(content), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// hostKeyring is the file that the host's apt trusts for the release.
func (r *release) hostKeyring() string {
	if r.ubuntu {
		return filepath.Join(cacheDir(), "keys", ubuntuKeyring)
	}
	return r.keyring
}

// hostApt makes a directory in which the host's apt serves sources of its own, and updates it.
func hostApt(name, sources string) (string, error) {
	dir := filepath.Join(cacheDir(), "apt", name)
	for _, d := range []string{"var/lib/apt/lists/partial", "var/cache/apt/archives/partial", "etc/apt/preferences.d"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return "", err
		}
	}
	for file, content := range map[string]string{
		"etc/apt/sources.list": sources,
		"status":               "",
		"apt.conf": fmt.Sprintf("Dir \"%s/\";\nDir::State::status \"%[1]s/status\";\nAPT::Architecture \"amd64\";\n"+
			"APT::Architectures { \"amd64\"; };\nAcquire::Languages \"none\";\nAPT::Sandbox::User \"root\";\n", dir),
	} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o644); err != nil {
			return "", err
		}
	}
	_, err := runApt(dir, "apt-get", "-q", "--error-on=any", "update")
	return dir, err
}

func runApt(dir, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "APT_CONFIG="+filepath.Join(dir, "apt.conf"), "LC_ALL=C")
	cmd.Dir = filepath.Join(dir, "var/cache/apt/archives")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s%s", name, strings.Join(args, " "), err, out, stderr.String())
	}
	return string(out), nil
}

// haveUbuntuKeyring gets Ubuntu's keys from Debian's archive, which the host's own keys vouch for.
func haveUbuntuKeyring() error {
	root := filepath.Join(cacheDir(), "keys")
	if _, err := os.Stat(filepath.Join(root, ubuntuKeyring)); err == nil {
		return nil
	}
	dir, err := hostApt("keys", fmt.Sprintf("deb [signed-by=%s] %s %s main\n", debianKeyring, fixture.Mirror(), trixie.codename))
	if err != nil {
		return err
	}
	if _, err := runApt(dir, "apt-get", "-q", "download", "ubuntu-keyring"); err != nil {
		return err
	}
	debs, err := filepath.Glob(filepath.Join(dir, "var/cache/apt/archives/ubuntu-keyring_*.deb"))
	if err != nil || len(debs) == 0 {
		return fmt.Errorf("apt downloaded no ubuntu-keyring: %w", err)
	}
	out, err := exec.Command("dpkg-deb", "--extract", debs[len(debs)-1], root).CombinedOutput()
	if err != nil {
		return fmt.Errorf("dpkg-deb: %w\n%s", err, out)
	}
	return nil
}

// oldest returns preferences (apt_preferences(5)) that choose the oldest version of every package with several.
func oldest(indexes []string) (string, error) {
	versions := make(map[string][]string)
	for _, file := range indexes {
		if err := readVersions(file, versions); err != nil {
			return "", err
		}
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(versions)) {
		all := versions[name]
		oldest, several := all[0], false
		for _, v := range all[1:] {
			order, err := version.Deb.Compare(v, oldest)
			if err != nil {
				return "", err
			}
			several = several || order != 0
			if order < 0 {
				oldest = v
			}
		}
		if several {
			fmt.Fprintf(&b, "Package: %s\nPin: version %s\nPin-Priority: 1001\n\n", name, oldest)
		}
	}
	return b.String(), nil
}

// readVersions adds a Packages file's versions by package name.
func readVersions(file string, versions map[string][]string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	var name string
	for lines.Scan() {
		if n, ok := strings.CutPrefix(lines.Text(), "Package: "); ok {
			name = n
		} else if v, ok := strings.CutPrefix(lines.Text(), "Version: "); ok {
			versions[name] = append(versions[name], v)
		}
	}
	return lines.Err()
}
