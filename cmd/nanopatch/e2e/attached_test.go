//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
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

// TestTrivy has the stock trivy look for the SBOM of a rebuilt image: with nothing attached but what is signed, and with the same
// documents unsigned beside it. It asks a registry without referrers, for the other one is go-containerregistry's, which does not
// list the type of an artifact.
func TestTrivy(t *testing.T) {
	if _, err := exec.LookPath("trivy"); err != nil {
		t.Skipf("trivy is not built, make sbom-oracle does it: %v", err)
	}
	for name, attach := range map[string][]string{
		"signed": nil, "oci": {"--attach-sbom", "oci"}, "oci and docker": {"--attach-sbom", "oci,docker"},
	} {
		for _, format := range []string{"spdx-json", "cyclonedx-json"} {
			t.Run(name+"/"+format, func(t *testing.T) {
				host := debianRegistry(t)
				dest := host + "/base:new"
				push(t, host+"/base:old", debian)
				private, _ := keys(t)
				r := decode[result](t, nanopatch(t, append([]string{
					"rebuild", host + "/base:old", "-t", dest, "--key", private, "-o", "json",
					"--sbom-format", format,
				}, attach...)...).must(t, 0))
				want := debPackages(t, []byte(nanopatch(t, "sbom", dest, "-o", "cyclonedx-json").must(t, 0).stdout))
				images := []string{host + "/base@" + r.Platforms[0].NewDigest}
				if !slices.Contains(attach, "oci,docker") { // docker's form makes the tag name an index, and trivy looks for what refers to that
					images = append(images, dest)
				}
				for _, image := range images {
					if diff := cmp.Diff(want, debPackages(t, trivyConvert(t, image))); diff != "" || len(want) < 100 {
						t.Errorf("%s: %d packages (-ours +trivy's):\n%s", image, len(want), diff)
					}
				}
			})
		}
	}
}

// debPackages lists the Debian packages of a CycloneDX document by name and version.
func debPackages(t *testing.T, document []byte) []string {
	t.Helper()
	var doc struct {
		Components []struct{ Name, Version, PURL string }
	}
	decodeJSON(t, string(document), &doc)
	var out []string
	for _, c := range doc.Components {
		if strings.HasPrefix(c.PURL, "pkg:deb/") {
			out = append(out, c.Name+" "+c.Version)
		}
	}
	slices.Sort(out)
	return out
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

// trivyConvert is the stock trivy's own CycloneDX document of an image, made from the SBOM that it found among the referrers and not
// from the image: its log tells.
func trivyConvert(t *testing.T, image string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "trivy", "image", "--image-src", "remote", "--sbom-sources", "oci", "--format", "cyclonedx",
		"--cache-dir", t.TempDir(), "--skip-version-check", "--disable-telemetry", image)
	var log bytes.Buffer
	cmd.Stderr = &log
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("trivy: %v\n%s", err, &log)
	}
	if !strings.Contains(log.String(), "Found SBOM in the OCI referrers") {
		t.Errorf("trivy did not find the SBOM:\n%s", &log)
	}
	return out
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
