//go:build e2e

package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestAttachedSBOMs looks for the SBOMs of a rebuilt image as oras does, in a registry without referrers and in one with, and as
// docker does where its buildx is at hand.
func TestAttachedSBOMs(t *testing.T) {
	for kind, start := range map[string]func(*testing.T) string{"docker-registry": debianRegistry, "referrers": referrersRegistry} {
		t.Run(kind, func(t *testing.T) {
			host := start(t)
			dest := host + "/base:new"
			push(t, host+"/base:old", debian)
			private, public := keys(t)
			r := decode[result](t, nanopatch(t, "rebuild", host+"/base:old", "-t", dest, "--key", private, "-o", "json",
				"--attach-sbom", "oci,docker", "--sbom-format", "spdx-json,cyclonedx-json").must(t, 0))
			want := r.Platforms[0].Updates[0]
			t.Run("oras", func(t *testing.T) {
				of := host + "/base@" + r.Platforms[0].NewDigest
				hasPackage(t, orasPull(t, of, "application/spdx+json", "sbom.spdx.json"), want, "packages", "versionInfo")
				hasPackage(t, orasPull(t, of, "application/vnd.cyclonedx+json", "sbom.cdx.json"), want, "components", "version")
			})
			t.Run("docker", func(t *testing.T) {
				if _, err := exec.LookPath("buildx"); err != nil {
					t.Skipf("docker's buildx is not built, make sbom-oracle does it: %v", err)
				}
				var shown struct{ SPDX json.RawMessage }
				decodeJSON(t, run(t, "buildx", "imagetools", "inspect", dest, "--format", "{{json .SBOM}}"), &shown)
				hasPackage(t, shown.SPDX, want, "packages", "versionInfo")
			})
			nanopatch(t, "verify", dest, "--key", public).must(t, 0)
		})
	}
}

// orasPull finds the one referrer of an artifact type as the stock oras does, and returns the file that it pulls.
//
// It asks for all and then for the type of each: a registry in this process is go-containerregistry's, which lists the type of
// the config in place of the artifact's. Debian's is asked for the type as well.
func orasPull(t *testing.T, of, artifactType, file string) []byte {
	t.Helper()
	repository, _, _ := strings.Cut(of, "@")
	var matching []string
	for _, digest := range orasDiscover(t, of) {
		var manifest struct{ ArtifactType string }
		decodeJSON(t, run(t, "oras", "manifest", "fetch", "--plain-http", repository+"@"+digest), &manifest)
		if manifest.ArtifactType == artifactType {
			matching = append(matching, digest)
		}
	}
	if len(matching) != 1 {
		t.Fatalf("%d referrers of %s, want one", len(matching), artifactType)
	}
	if strings.Contains(t.Name(), "/docker-registry/") {
		if found := orasDiscover(t, of, "--artifact-type", artifactType); !slices.Equal(found, matching) {
			t.Errorf("asked for %s: %q, want %q", artifactType, found, matching)
		}
	}
	dir := t.TempDir()
	run(t, "oras", "pull", "--plain-http", "-o", dir, repository+"@"+matching[0])
	content, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// orasDiscover lists the digests of what refers to an image.
func orasDiscover(t *testing.T, of string, args ...string) []string {
	t.Helper()
	var found struct{ Referrers []struct{ Digest string } }
	decodeJSON(t, run(t, "oras", append([]string{"discover", "--plain-http", "--format", "json", of}, args...)...), &found)
	var digests []string
	for _, r := range found.Referrers {
		digests = append(digests, r.Digest)
	}
	return digests
}

func decodeJSON(t *testing.T, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
}

// hasPackage wants an update's new version in a document, whose list of packages and field of versions are named.
func hasPackage(t *testing.T, document []byte, want update, list, version string) {
	t.Helper()
	var doc map[string]json.RawMessage
	var packages []map[string]any
	decodeJSON(t, string(document), &doc)
	decodeJSON(t, string(doc[list]), &packages)
	for _, p := range packages {
		if p["name"] == want.Name && p[version] == want.To {
			return
		}
	}
	t.Errorf("%s %s is not among %d %s", want.Name, want.To, len(packages), list)
}
