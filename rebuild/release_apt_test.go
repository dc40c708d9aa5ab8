//go:build e2e

package rebuild

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/layer"
	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
	"github.com/nanopatch/nanopatch/rebuild/policy"
	"github.com/nanopatch/nanopatch/rebuild/version"
)

// seeds are what the machines of the test are made to do: the packages that people put into images, and what these need.
var seeds = []string{
	"apt", "base-files", "bash", "coreutils", "dash", "dpkg", "gzip", "hostname", "libc-bin", "login", "ncurses-base", "perl-base",
	"sed", "tar", "util-linux", "apache2", "build-essential", "ca-certificates", "curl", "default-jre-headless", "git", "nginx",
	"openssh-server", "php", "postgresql", "python3", "redis-server", "sudo", "systemd", "tzdata", "vim",
}

// distribution is a release as its own images configure it. The hosts are official ones.
type distribution struct {
	codename, arch, osRelease string
	// keyrings are those of the keyring package's files that its apt looks at.
	keyrings []string
	// file is where the sources are.
	file, sources string
}

const (
	debianKeys = "usr/share/keyrings/debian-archive-keyring.gpg"
	ubuntuKeys = "usr/share/keyrings/ubuntu-archive-keyring.gpg"
)

var distributions = []distribution{
	{
		codename: "bullseye", arch: "amd64", osRelease: "ID=debian\nVERSION_ID=\"11\"\nVERSION_CODENAME=bullseye\n",
		keyrings: []string{
			"etc/apt/trusted.gpg.d/debian-archive-bullseye-automatic.asc", "etc/apt/trusted.gpg.d/debian-archive-bullseye-security-automatic.asc",
			"etc/apt/trusted.gpg.d/debian-archive-bullseye-stable.asc",
		},
		file: "etc/apt/sources.list", sources: `
# deb http://snapshot.debian.org/archive/debian/20240812T000000Z bullseye main
deb http://ftp.debian.org/debian bullseye main
deb http://security.debian.org/debian-security bullseye-security main
deb http://ftp.debian.org/debian bullseye-updates main
`,
	},
	{
		codename: "bookworm", arch: "amd64", osRelease: "ID=debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\n",
		keyrings: []string{debianKeys}, file: "etc/apt/sources.list.d/debian.sources", sources: `
Types: deb
URIs: http://ftp.debian.org/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://security.debian.org/debian-security
Suites: bookworm-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
`,
	},
	{
		codename: "trixie", arch: "arm64", osRelease: "ID=debian\nVERSION_ID=\"13\"\nVERSION_CODENAME=trixie\n",
		keyrings: []string{"usr/share/keyrings/debian-archive-keyring.pgp"}, file: "etc/apt/sources.list.d/debian.sources", sources: `
Types: deb
URIs: http://ftp.debian.org/debian
Suites: trixie trixie-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.pgp

Types: deb
URIs: http://security.debian.org/debian-security
Suites: trixie-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.pgp
`,
	},
	{
		codename: "jammy", arch: "amd64", osRelease: "ID=ubuntu\nVERSION_ID=\"22.04\"\nVERSION_CODENAME=jammy\n",
		keyrings: []string{"etc/apt/trusted.gpg.d/ubuntu-keyring-2018-archive.gpg"}, file: "etc/apt/sources.list", sources: `
# See http://help.ubuntu.com/community/UpgradeNotes for how to upgrade to newer versions of the distribution.
deb http://archive.ubuntu.com/ubuntu/ jammy main restricted
# deb-src http://archive.ubuntu.com/ubuntu/ jammy main restricted
deb http://archive.ubuntu.com/ubuntu/ jammy-updates main restricted
deb http://archive.ubuntu.com/ubuntu/ jammy universe
deb http://archive.ubuntu.com/ubuntu/ jammy-updates universe
deb http://archive.ubuntu.com/ubuntu/ jammy multiverse
deb http://archive.ubuntu.com/ubuntu/ jammy-updates multiverse
deb http://archive.ubuntu.com/ubuntu/ jammy-backports main restricted universe multiverse
deb http://security.ubuntu.com/ubuntu/ jammy-security main restricted
deb http://security.ubuntu.com/ubuntu/ jammy-security universe
deb http://security.ubuntu.com/ubuntu/ jammy-security multiverse
`,
	},
	{
		codename: "noble", arch: "amd64", osRelease: "ID=ubuntu\nVERSION_ID=\"24.04\"\nVERSION_CODENAME=noble\n",
		keyrings: []string{ubuntuKeys}, file: "etc/apt/sources.list.d/ubuntu.sources", sources: `
Types: deb
URIs: http://archive.ubuntu.com/ubuntu/
Suites: noble noble-updates noble-backports
Components: main universe restricted multiverse
Signed-By: /usr/share/keyrings/ubuntu-archive-keyring.gpg

## Ubuntu security updates.
Types: deb
URIs: http://security.ubuntu.com/ubuntu/
Suites: noble-security
Components: main universe restricted multiverse
Signed-By: /usr/share/keyrings/ubuntu-archive-keyring.gpg
`,
	},
}

// TestReleasesAgainstApt puts every supported release, configured as its own images are, to the real apt: the candidate of
// every package of a machine with hundreds, and what apt-get upgrade would take of them. Then the same image without any
// configuration or key is served from the same archives: the default ones, by the keys that this program knows.
func TestReleasesAgainstApt(t *testing.T) {
	proxy := mirrorProxy(t)
	keys := keyringPackages(t, proxy)
	for _, d := range distributions {
		t.Run(d.codename, func(t *testing.T) {
			t.Parallel()
			files := map[string]string{"etc/os-release": d.osRelease, d.file: d.sources}
			m := newMachine(t, proxy, d.arch, map[string]string{d.file: d.sources})
			for _, k := range d.keyrings {
				key, err := os.ReadFile(filepath.Join(keys, k))
				if err != nil {
					t.Fatal(err)
				}
				m.write(t, k, string(key))
				files[k] = string(key)
			}
			m.installed(t, seeds...)
			status, err := os.ReadFile(filepath.Join(m.dir, "var/lib/dpkg/status"))
			if err != nil {
				t.Fatal(err)
			}
			files["var/lib/dpkg/status"] = string(status)
			in := offered(t, proxy, files)
			if len(in.Installed) < 200 {
				t.Errorf("only %d packages are installed", len(in.Installed))
			}
			sameCandidates(t, m, in)
			sameUpgrade(t, m, in, policy.Rules{Level: version.Major}, "-o", "APT::Get::Always-Include-Phased-Updates=true")
			sameUpgrade(t, m, in, policy.Rules{Level: version.Major, Phased: policy.PhasedRespect, MachineID: "nanopatch"},
				"-o", "APT::Machine-ID=nanopatch")
			for _, k := range append(d.keyrings, d.file) {
				delete(files, k)
			}
			sameOffers(t, in, offered(t, proxy, files))
		})
	}
}

// TestKnownKeys holds the keys that this program knows against the keyring packages: each must be there, with the same subkeys
// and dates. A package may have more: Ubuntu's key for CD images, and one day those of a release that is not supported yet.
func TestKnownKeys(t *testing.T) {
	keys := keyringPackages(t, mirrorProxy(t))
	for known, file := range map[string]string{"debian.asc": debianKeys, "ubuntu.asc": ubuntuKeys} {
		got, want := keyDates(t, filepath.Join("pkgrepo/apt/keys", known)), keyDates(t, filepath.Join(keys, file))
		maps.DeleteFunc(want, func(fingerprint, _ string) bool {
			if got[fingerprint] == "" {
				t.Logf("%s: the package has %s as well", known, fingerprint)
			}
			return got[fingerprint] == ""
		})
		if diff := cmp.Diff(want, got); diff != "" || len(got) < 2 {
			t.Errorf("%s: - the package, + this program:\n%s", known, diff)
		}
	}
}

// keyDates are a keyring's keys and subkeys by fingerprint: when they were made, and for how long.
func keyDates(t *testing.T, file string) map[string]string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	read := openpgp.ReadKeyRing
	if strings.HasSuffix(file, ".asc") {
		read = openpgp.ReadArmoredKeyRing
	}
	keys, err := read(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]string)
	for _, k := range keys {
		self, err := k.PrimarySelfSignature(time.Time{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		spell := func(key *packet.PublicKey, self *packet.Signature) {
			var life uint32
			if self.KeyLifetimeSecs != nil {
				life = *self.KeyLifetimeSecs
			}
			all[fmt.Sprintf("%X", key.Fingerprint)] = fmt.Sprintf("%s for %d s", key.CreationTime.UTC(), life)
		}
		spell(k.PrimaryKey, self)
		for _, sub := range k.Subkeys {
			latest, err := sub.LatestValidBindingSignature(time.Time{}, nil)
			if err != nil {
				t.Fatal(err)
			}
			spell(sub.PublicKey, latest)
		}
	}
	return all
}

// offered reads an image of one layer with the given files, and what its repositories offer for it.
func offered(t *testing.T, proxy string, files map[string]string) policy.Input {
	t.Helper()
	store, err := layer.OpenStore(filepath.Join(t.TempDir(), "layers"), layer.StoreOptions{
		Keep: func(e *layer.Entry, _ []byte) bool { return Wants(e.Path) }, KeepID: "test", KeepBlobs: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	transport := pkgrepo.NewTransport(nil)
	transport.Proxy = nil
	if proxy != "" {
		transport.Proxy = func(*http.Request) (*url.URL, error) { return url.Parse(proxy) }
	}
	client, err := pkgrepo.New(pkgrepo.Options{Dir: filepath.Join(t.TempDir(), "packages"), Now: time.Now, Transport: transport})
	if err != nil {
		t.Fatal(err)
	}
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return tarOf(files) })
	if err != nil {
		t.Fatal(err)
	}
	img, err := mutate.AppendLayers(empty.Image, l)
	if err != nil {
		t.Fatal(err)
	}
	opts := Options{Store: store, Client: client, Now: time.Now}
	tree, _, err := Read(t.Context(), img, opts)
	if err != nil {
		t.Fatal(err)
	}
	b := backends()[0]
	db, err := b.ecosystem.Open(tree.Top())
	if err != nil {
		t.Fatal(err)
	}
	repos, err := b.open(t.Context(), tree.Top(), db, &opts)
	if err != nil {
		t.Fatal(err)
	}
	in := policy.Input{Scheme: b.scheme, Installed: db.Packages(), Candidates: map[ecosystem.Key][]pkgrepo.Candidate{}}
	for _, p := range in.Installed {
		in.Candidates[p.Key] = repos.Candidates(p.Key)
	}
	return in
}

func tarOf(files map[string]string) (io.ReadCloser, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		err := w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(files[name]))})
		if err == nil {
			_, err = io.WriteString(w, files[name])
		}
		if err != nil {
			return nil, err
		}
	}
	return io.NopCloser(&b), w.Close()
}

// sameCandidates compares the version that apt would choose of each installed package.
func sameCandidates(t *testing.T, m *machine, in policy.Input) {
	t.Helper()
	var names []string
	for _, p := range in.Installed {
		names = append(names, p.Name)
	}
	want, name := make(map[string]string), ""
	for line := range strings.Lines(m.apt(t, "apt-cache", append([]string{"policy"}, names...)...)) {
		if line[0] != ' ' {
			name = strings.TrimSuffix(strings.TrimSpace(line), ":")
		} else if v, ok := strings.CutPrefix(strings.TrimSpace(line), "Candidate: "); ok {
			want[name] = v
		}
	}
	in.Rules = policy.Rules{Level: version.Major}
	updates := 0
	for _, p := range in.Installed {
		got := candidate(t, in, p)
		if got != want[p.Name] {
			t.Errorf("%s %s: candidate %q, apt says %q", p.Name, p.Version, got, want[p.Name])
		}
		if got != p.Version {
			updates++
		}
	}
	t.Logf("%d packages have apt's candidate, %d of them an update", len(in.Installed), updates)
	if updates == 0 {
		t.Error("that shows nothing")
	}
}

// candidate is the version that the policy would have of one package, were it alone.
func candidate(t *testing.T, in policy.Input, p ecosystem.Package) string {
	t.Helper()
	p.Requires, p.Conflicts = nil, nil
	alone := in
	alone.Installed = []ecosystem.Package{p}
	offers := slices.Clone(in.Candidates[p.Key])
	for i := range offers {
		offers[i].Requires, offers[i].Conflicts = nil, nil
	}
	alone.Candidates = map[ecosystem.Key][]pkgrepo.Candidate{p.Key: offers}
	d, err := policy.Decide(alone)
	switch {
	case err != nil:
		t.Fatal(err)
	case len(d.Updates) == 1:
		return d.Updates[0].To.Version
	case len(d.Held) > 0:
		t.Errorf("%s: held %+v", p.Key, d.Held)
	}
	return p.Version
}

// sameUpgrade compares what apt-get upgrade would do.
func sameUpgrade(t *testing.T, m *machine, in policy.Input, rules policy.Rules, options ...string) {
	t.Helper()
	in.Rules = rules
	d, err := policy.Decide(in)
	if err != nil {
		t.Fatal(err)
	}
	var got, want []string
	phased := 0
	for _, u := range d.Updates {
		got = append(got, u.From.Name+" "+u.To.Version)
	}
	for _, h := range d.Held {
		if strings.HasPrefix(h.Detail, "phased") {
			phased++
		}
	}
	for _, f := range instLine.FindAllStringSubmatch(m.apt(t, "apt-get", append(options, "-s", "upgrade")...), -1) {
		want = append(want, f[1]+" "+f[3])
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" || len(want) == 0 {
		t.Errorf("with %s, - apt-get upgrade, + policy:\n%s", strings.Join(options, " "), diff)
	}
	t.Logf("with %s: %d updates as apt-get has them, %d held, %d of these by their phase",
		strings.Join(options, " "), len(want), len(d.Held), phased)
}

// sameOffers compares the versions that two configurations offer.
func sameOffers(t *testing.T, want, got policy.Input) {
	t.Helper()
	for _, p := range want.Installed {
		w, g := versions(want.Candidates[p.Key]), versions(got.Candidates[p.Key])
		if !slices.Equal(w, g) {
			t.Errorf("%s: by default %q, as configured %q", p.Key, g, w)
		}
	}
}

func versions(offers []pkgrepo.Candidate) []string {
	var all []string
	for _, c := range offers {
		if !strings.Contains(c.Origin.Suite, "backports") {
			all = append(all, c.Version)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
