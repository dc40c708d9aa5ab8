//go:build e2e

package apt_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pault.ag/go/debian/version"

	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
	"github.com/nanopatch/nanopatch/rebuild/pkgrepo/apt"
)

// TestHostCandidates compares the candidate of every package that is installed on this host with the one that
// apt itself chooses, from the host's own sources, keyrings and preferences.
func TestHostCandidates(t *testing.T) {
	if _, err := exec.LookPath("apt-cache"); err != nil {
		t.Skip("no apt on this host")
	}
	native := strings.TrimSpace(run(t, "dpkg", "--print-architecture"))
	type key struct{ name, arch string }
	installed := make(map[key]string)
	var names []string
	for line := range strings.Lines(run(t, "dpkg-query", "-W", "-f", "${db:Status-Status} ${Package} ${Architecture} ${Version}\n")) {
		f := strings.Fields(line)
		if len(f) == 4 && f[0] == "installed" && (f[2] == native || f[2] == "all") {
			installed[key{f[1], f[2]}] = f[3]
			names = append(names, f[1])
		}
	}
	root := os.DirFS("/")
	conf, err := apt.Sources(root, native)
	if err != nil {
		t.Fatal(err)
	}
	client, err := pkgrepo.New(pkgrepo.Options{Dir: filepath.Join(t.TempDir(), "cache"), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	archive, err := apt.Open(t.Context(), apt.Options{
		Client: client, Root: root, Sources: conf.Sources, Architectures: []string{native}, Names: names, Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("opened %d indexes in %v, %d bytes", len(archive.Origins()), time.Since(start), client.Bytes().Repository)

	wanted := policyCandidates(run(t, "apt-cache", append([]string{"policy"}, names...)...))
	agree, updates := 0, 0
	for k, have := range installed {
		want := wanted[k.name]
		got := choose(t, have, archive.Candidates(k.name, k.arch))
		if got != want {
			t.Errorf("%s %s: candidate %q, apt says %q", k.name, have, got, want)
			continue
		}
		agree++
		if got != have {
			updates++
		}
	}
	t.Logf("%d of %d installed packages have apt's candidate, %d of them an update", agree, len(installed), updates)
	if len(installed) < 50 {
		t.Errorf("only %d packages are installed: the comparison shows nothing", len(installed))
	}
}

// choose picks a candidate as pkgPolicy::GetCandidateVer does: the installed version counts with priority 100,
// or more where a repository has it.
func choose(t *testing.T, have string, candidates []pkgrepo.Candidate) string {
	best, priority := have, 100
	for _, c := range candidates {
		if c.Version == have {
			priority = max(priority, c.Priority)
		}
	}
	for _, c := range candidates {
		newer := compare(t, c.Version, best)
		if c.Priority < 1000 && compare(t, c.Version, have) < 0 {
			continue
		}
		if c.Priority > priority || (c.Priority == priority && newer > 0) {
			best, priority = c.Version, c.Priority
		}
	}
	return best
}

func compare(t *testing.T, a, b string) int {
	t.Helper()
	va, err := version.Parse(a)
	if err != nil {
		t.Fatal(err)
	}
	vb, err := version.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return version.Compare(va, vb)
}

// policyCandidates reads the output of apt-cache policy for packages of the native architecture.
func policyCandidates(out string) map[string]string {
	candidates := make(map[string]string)
	name := ""
	for line := range strings.Lines(out) {
		if line[0] != ' ' {
			name = strings.TrimSuffix(strings.TrimSpace(line), ":")
		} else if v, ok := strings.CutPrefix(strings.TrimSpace(line), "Candidate: "); ok {
			candidates[name] = v
		}
	}
	return candidates
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v: %s", name, err, stderr.Bytes())
	}
	return string(out)
}
