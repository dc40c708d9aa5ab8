//go:build e2e

package advisory_test

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nanopatch/nanopatch/rebuild/advisory"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem/dpkg"
	"github.com/nanopatch/nanopatch/rebuild/layer"
)

// namedCVEs lists the CVEs that a .deb's changelog names above the entry of a version, without an order of versions: what is newer
// stands above. It fails where that entry is not there.
const namedCVEs = `set -e
dpkg-deb --fsys-tarfile "$1" | tar -xOf - "./usr/share/doc/$2/changelog.Debian.gz" | zcat > "$1.txt"
awk -v v="($3)" '$2 == v { found = 1; exit } { print } END { exit !found }' "$1.txt" > "$1.new"
grep -oE 'CVE-[0-9]{4}-[0-9]{4,}' "$1.new" | sort -u || true`

// TestRealChangelogs holds the CVEs of real updates, from the oldest version that the host's archive has to the newest, against
// what dpkg-deb, tar, zcat, awk and grep find in the new package.
func TestRealChangelogs(t *testing.T) {
	found := 0
	for _, name := range []string{"openssl", "nginx-common", "perl-base", "curl", "tzdata"} {
		t.Run(name, func(t *testing.T) { found += checkRealChangelog(t, name) })
	}
	if found == 0 {
		t.Error("no update names a CVE: the test shows nothing")
	}
}

func checkRealChangelog(t *testing.T, name string) int {
	t.Helper()
	dir := t.TempDir()
	var versions []string
	for line := range strings.Lines(sh(t, dir, `apt-cache madison "$1"`, name)) {
		versions = append(versions, strings.TrimSpace(strings.Split(line, "|")[1]))
	}
	if len(versions) < 2 {
		t.Skipf("the host's archive has %d versions of %s: no update", len(versions), name)
	}
	from, to := versions[len(versions)-1], versions[0]
	sh(t, dir, `apt-get download -q "$1=$2"`, name, to)
	files, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil || len(files) != 1 {
		t.Fatalf("downloaded %v, %v", files, err)
	}
	store, err := layer.OpenStore(filepath.Join(dir, "layers"), layer.StoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	payload, err := dpkg.Ecosystem{}.Unpack(t.Context(), files[0], store)
	if err != nil {
		t.Fatal(err)
	}
	p := payload.Package()
	got := find(t, debian, []advisory.Update{{
		Type: "deb", Name: name, Source: p.Source, From: from, To: to, SourceFrom: from, SourceTo: p.SourceVersion, Files: payload.Files(),
	}})[0]
	want := strings.Fields(sh(t, dir, namedCVEs, files[0], name, from))
	if len(got) != 1 || got[0].Incomplete || !slices.Equal(slices.Sorted(slices.Values(got[0].CVEs)), want) {
		t.Errorf("%s %s → %s: got %+v, the changelog names %v", name, from, to, got, want)
	}
	t.Logf("%s %s → %s: %s", name, from, to, strings.Join(want, " "))
	return len(want)
}

func sh(t *testing.T, dir, script string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", append([]string{"-c", script, "sh"}, args...)...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", script, err, out)
	}
	return string(out)
}
