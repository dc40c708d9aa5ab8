//go:build e2e

package e2e

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// changelogCVEs lists the CVEs that a .deb's changelog names above the entry of a version, a line each. It knows no order of
// versions: what is newer stands above.
const changelogCVEs = `set -e
doc=usr/share/doc/$2
dpkg-deb --fsys-tarfile "$1" > "$1.tar"
tar -xOf "$1.tar" "./$doc/changelog.Debian.gz" > "$1.gz"
zcat "$1.gz" | awk -v v="($3)" '$2 == v { found = 1; exit } { print } END { exit !found }' > "$1.txt"
grep -oE 'CVE-[0-9]{4}-[0-9]{4,}' "$1.txt" | sort -u || true`

// TestCVEs holds the CVEs that a plan gives for the real updates against what the packages' changelogs name, read with dpkg-deb,
// tar, zcat, awk and grep.
func TestCVEs(t *testing.T) {
	host := referrersRegistry(t)
	push(t, host+"/base:old", debian)
	type advised struct {
		Name, Source, From, To string
		CVEs                   []string
		Advisories             []struct {
			Kind, Name string
			CVEs       []string
			Incomplete bool
		}
		Artifact struct{ URL string }
	}
	p := decode[struct {
		Updates []advised
		Held    []struct{ Name, Reason, Detail string }
	}](t, nanopatch(t, "plan", host+"/base:old", "-o", "json").must(t, 0))
	named := map[string]int{}
	for _, u := range p.Updates {
		if len(u.Advisories) != 1 || u.Advisories[0].Kind != "changelog" || u.Advisories[0].Incomplete {
			t.Errorf("%s: advisories %+v", u.Name, u.Advisories)
		}
		if !slices.Contains([]string{"openssl", "nginx", "perl"}, u.Source) {
			continue
		}
		deb := filepath.Join(t.TempDir(), "package.deb")
		download(t, u.Artifact.URL, deb)
		want := strings.Fields(run(t, "sh", "-c", changelogCVEs, "sh", deb, u.Name, u.From))
		got := slices.Sorted(slices.Values(u.CVEs))
		if !slices.Equal(got, want) {
			t.Errorf("%s %s → %s: got %v, its changelog names %v", u.Name, u.From, u.To, got, want)
		}
		named[u.Source] += len(want)
		t.Logf("%s %s → %s fixes %s", u.Name, u.From, u.To, strings.Join(u.CVEs, " "))
	}
	// nginx is held while its service is not set up in the image; its changelog is read in the tests of package advisory.
	for _, source := range []string{"openssl", "perl"} {
		if named[source] == 0 {
			t.Errorf("no update of %s names a CVE: the test shows nothing; held: %v", source, p.Held)
		}
	}
}

// download fetches a file from the package mirror.
func download(t *testing.T, url, file string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("fetching %s: %s, %v", url, resp.Status, err)
	}
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
}
