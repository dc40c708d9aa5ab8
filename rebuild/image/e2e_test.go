//go:build e2e

package image_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/nanopatch/nanopatch/rebuild/image"
	"github.com/nanopatch/nanopatch/rebuild/image/imagetest"
)

// run runs another tool and returns what it prints; without the tool the test is skipped.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	program, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	cmd := exec.CommandContext(t.Context(), program, args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, stderr.String())
	}
	return string(out)
}

// distributions are the servers of the distribution project: Debian's version, and the current one. Neither knows referrers.
var distributions = map[string]func(testing.TB) string{"2": imagetest.StartDistribution, "3": imagetest.StartDistribution3}

// onDistributions runs a test on each.
func onDistributions(t *testing.T, test func(t *testing.T, host string)) {
	t.Helper()
	for version, start := range distributions {
		t.Run(version, func(t *testing.T) { test(t, start(t)) })
	}
}

func TestDistribution(t *testing.T) { onDistributions(t, testDistribution) }

func testDistribution(t *testing.T, host string) {
	imagetest.Run(t, func(t *testing.T) imagetest.Fixture {
		name := strings.ToLower(strings.NewReplacer("/", "-", "_", "-").Replace(t.Name()))
		return imagetest.Fixture{Client: client(t), Ref: ref(t, host+"/"+name+":new")}
	})
}

func TestDistributionMounts(t *testing.T) { onDistributions(t, testDistributionMounts) }

func testDistributionMounts(t *testing.T, host string) {
	from, to := ref(t, host+"/from:1"), ref(t, host+"/to:1")
	push(t, client(t), from, threeLayers(t, types.DockerManifestSchema2))
	c := client(t)
	img := open(t, c, from).Images[0].Image
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	pulled := c.Traffic().Pulled
	rebuilt := rebuildUnread(t, img, image.LayerChange{Index: 2, New: imagetest.Layer(t, types.DockerLayer, map[string]string{"c": "new"})})
	push(t, c, to, rebuilt)
	traffic := c.Traffic()
	if want := sizeOf(t, layers[0]) + sizeOf(t, layers[1]); traffic.Mounted != want || traffic.Pulled != pulled {
		t.Errorf("%+v, want %d mounted and nothing pulled", traffic, want)
	}
}

func TestSkopeoReadsRegistry(t *testing.T) {
	host := imagetest.StartDistribution(t)
	for name, mediaType := range map[string]types.MediaType{"oci": types.OCIManifestSchema1, "docker": types.DockerManifestSchema2} {
		img := threeLayers(t, mediaType)
		c, r := client(t), ref(t, host+"/"+name+":old")
		push(t, c, r, img)
		layerType := types.OCILayer
		if name == "docker" {
			layerType = types.DockerLayer
		}
		rebuilt := rebuildUnread(t, open(t, c, r).Images[0].Image, image.LayerChange{Index: 1, New: imagetest.Layer(t, layerType, map[string]string{"b": "new"})})
		desc := push(t, c, r.WithTag("new"), rebuilt)
		raw := run(t, "skopeo", "inspect", "--tls-verify=false", "--raw", "docker://"+host+"/"+name+":new")
		if want, _ := rawOf(t, rebuilt); raw != string(want) {
			t.Errorf("skopeo reads\n%s\nnot\n%s", raw, want)
		}
		copied := filepath.Join(t.TempDir(), "copy")
		run(t, "skopeo", "--insecure-policy", "--override-arch", "arm64", "copy", "--src-tls-verify=false", "docker://"+host+"/"+name+":new", "dir:"+copied)
		crane(t, host+"/"+name+":new", desc.Digest)
	}
	desc := pushIndex(t, client(t), ref(t, host+"/index:1"), twoPlatforms(t))
	run(t, "skopeo", "--insecure-policy", "copy", "--all", "--src-tls-verify=false", "docker://"+host+"/index:1", "oci:"+t.TempDir()+":1")
	crane(t, host+"/index:1", desc.Digest)
}

// crane is checked where it is on the path: it is a pinned tool of the repository, built on demand.
func crane(t *testing.T, name string, digest v1.Hash) {
	t.Helper()
	if _, err := exec.LookPath("crane"); err != nil {
		t.Log("crane is not on the path: not asked")
		return
	}
	if got := strings.TrimSpace(run(t, "crane", "digest", name)); got != digest.String() {
		t.Errorf("crane says %s, want %s", got, digest)
	}
	run(t, "crane", "validate", "--remote", name)
}

// With one image, skopeo needs no tag; with referrers beside it, it does.
func TestSkopeoReadsLayout(t *testing.T) {
	dir := t.TempDir()
	c, r := client(t), ref(t, "oci:"+dir+":new")
	img := linux(t, "amd64", "x")
	desc := push(t, c, r, img)
	check := func(where string) {
		t.Helper()
		var got struct{ Digest string }
		if err := json.Unmarshal([]byte(run(t, "skopeo", "inspect", where)), &got); err != nil {
			t.Fatal(err)
		}
		if got.Digest != desc.Digest.String() {
			t.Errorf("skopeo inspect %s says %s, want %s", where, got.Digest, desc.Digest)
		}
	}
	check("oci:" + dir)
	repo, err := c.Repository(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := repo.Attach(t.Context(), desc, imagetest.Artifact(t, "application/vnd.example", "x")); err != nil {
		t.Fatal(err)
	}
	check("oci:" + dir + ":new")
}

// A layout that skopeo wrote, rebuilt in place, is read by skopeo again.
func TestSkopeoAndBack(t *testing.T) {
	host := imagetest.StartDistribution(t)
	dir := filepath.Join(t.TempDir(), "layout")
	push(t, client(t), ref(t, host+"/app:1"), linux(t, "amd64", "x"))
	run(t, "skopeo", "--insecure-policy", "copy", "--src-tls-verify=false", "docker://"+host+"/app:1", "oci:"+dir+":1")
	c := client(t)
	src := open(t, c, ref(t, "oci:"+dir))
	rebuilt := rebuildUnread(t, src.Images[0].Image, image.LayerChange{Index: 1, New: imagetest.Layer(t, types.OCILayer, map[string]string{"app": "new"})})
	push(t, c, ref(t, "oci:"+dir+":2"), rebuilt)
	run(t, "skopeo", "--insecure-policy", "copy", "--dest-tls-verify=false", "oci:"+dir+":2", "docker://"+host+"/app:2")
	if got := open(t, c, ref(t, host+"/app:2")); got.Descriptor.Digest != digestOf(t, rebuilt) {
		t.Error("skopeo changed the image")
	}
}

func TestUmociUnpacks(t *testing.T) {
	dir := t.TempDir()
	c, r := client(t), ref(t, "oci:"+dir+":new")
	base := imagetest.Image(t, types.OCIManifestSchema1, "linux/amd64", map[string]string{"etc/os-release": "ID=test\n"}, map[string]string{"app": "old"})
	push(t, c, ref(t, "oci:"+dir+":old"), base)
	rebuilt := rebuildUnread(t, base, image.LayerChange{Index: 1, New: imagetest.Layer(t, types.OCILayer, map[string]string{"app": "new"}), HistoryComment: "app"})
	desc := push(t, c, r, rebuilt)
	repo, err := c.Repository(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := repo.Attach(t.Context(), desc, imagetest.Artifact(t, "application/vnd.example", "x")); err != nil {
		t.Fatal(err)
	}
	bundle := filepath.Join(t.TempDir(), "bundle")
	run(t, "umoci", "unpack", "--rootless", "--image", dir+":new", bundle)
	for path, want := range map[string]string{"etc/os-release": "ID=test\n", "app": "new"} {
		got, err := os.ReadFile(filepath.Join(bundle, "rootfs", path))
		if err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", path, got, err)
		}
	}
	if stat := run(t, "umoci", "stat", "--image", dir+":new"); !strings.Contains(stat, "RUN step 1") {
		t.Errorf("umoci stat says\n%s", stat)
	}
}

// The distribution server goes on with downloads that broke off, and takes blobs in parts. Version 3 also goes on with
// uploads. Version 2 cancels one of which more came than its last Location says (404): the blob is sent again.
func TestDistributionResumes(t *testing.T) {
	for version, start := range distributions {
		t.Run(version+" download", func(t *testing.T) { testResumedDownload(t, start(t)) })
		t.Run(version+" upload", func(t *testing.T) {
			if pushed := testCutUpload(t, start(t)); version == "3" && pushed > mostResumed {
				t.Error("what was there already was sent again")
			}
		})
		t.Run(version+" parts", func(t *testing.T) {
			host := start(t)
			img := large(t, 5*mebibyte)
			c := client(t, func(o *image.Options) { o.Hosts = map[string]image.HostOptions{host: {ChunkSize: 2 * mebibyte}} })
			push(t, c, ref(t, host+"/app:1"), img)
			requireSame(t, open(t, client(t), ref(t, host+"/app:1")).Images[0].Image, img)
		})
	}
}
