package image_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/nanopatch/nanopatch/rebuild/image"
	"github.com/nanopatch/nanopatch/rebuild/image/imagetest"
)

func count(requests []string, prefix string) int {
	return len(slices.DeleteFunc(slices.Clone(requests), func(r string) bool { return !strings.HasPrefix(r, prefix) }))
}

func sizeOf(t *testing.T, l v1.Layer) int64 {
	t.Helper()
	size, err := l.Size()
	if err != nil {
		t.Fatal(err)
	}
	return size
}

// What a rebuild did not touch is mounted from the source's repository: neither pulled nor pushed. What was is counted
// to the byte.
func TestMount(t *testing.T) {
	reg := imagetest.NewRegistry(t, true)
	from, to := ref(t, reg.Host+"/team/base:old"), ref(t, reg.Host+"/other/base:new")
	push(t, client(t), from, imagetest.Image(t, types.OCIManifestSchema1, "linux/amd64",
		map[string]string{"a": "1"}, map[string]string{"b": "2"}, map[string]string{"c": "3"}))

	c := client(t)
	src := open(t, c, from)
	pulled := c.Traffic().Pulled
	base := src.Images[0].Image
	layers, err := base.Layers()
	if err != nil {
		t.Fatal(err)
	}
	fresh := imagetest.Layer(t, types.OCILayer, map[string]string{"b": "new"})
	rebuilt, _, err := image.Rebuild(base, []image.LayerChange{{Index: 1, New: fresh, HistoryComment: "b 1 -> 2"}}, image.RebuildOptions{})
	if err != nil {
		t.Fatal(err)
	}
	reg.Requests()
	push(t, c, to, rebuilt)
	requests := reg.Requests()
	for _, i := range []int{0, 2} {
		want := "POST /v2/other/base/blobs/uploads/?from=team%2Fbase&mount=" + strings.Replace(digestOf(t, layers[i]).String(), ":", "%3A", 1)
		if count(requests, want) != 1 {
			t.Errorf("layer %d was not mounted:\n%s", i, strings.Join(requests, "\n"))
		}
	}
	if n := count(requests, "PATCH "); n != 2 {
		t.Errorf("%d uploads, want the new layer and the config", n)
	}
	if n := count(requests, "GET /v2/team/base/blobs/"); n != 0 {
		t.Errorf("%d blobs fetched to push", n)
	}
	manifest, config := rawOf(t, rebuilt)
	got, want := c.Traffic(), image.Traffic{
		Pulled:  pulled,
		Pushed:  sizeOf(t, fresh) + int64(len(config)) + 2*int64(len(manifest)),
		Mounted: sizeOf(t, layers[0]) + sizeOf(t, layers[2]),
	}
	if got != want {
		t.Errorf("traffic %+v, want %+v", got, want)
	}
	baseManifest, baseConfig := rawOf(t, base)
	if pulled != int64(len(baseManifest)+len(baseConfig)) {
		t.Errorf("%d bytes pulled to open", pulled)
	}
}

// Where mounting is refused, the layer goes through us.
func TestMountRefused(t *testing.T) {
	reg := imagetest.NewRegistry(t, true)
	from, to := ref(t, reg.Host+"/base:old"), ref(t, reg.Host+"/copy:new")
	img := linux(t, "amd64", "x")
	push(t, client(t), from, img)
	reg.Answer(func(w http.ResponseWriter, r *http.Request) bool {
		if !r.URL.Query().Has("mount") {
			return false
		}
		http.Error(w, "", http.StatusMethodNotAllowed)
		return true
	})
	c := client(t)
	push(t, c, to, open(t, c, from).Images[0].Image)
	if c.Traffic().Mounted != 0 {
		t.Error("nothing was mounted, but it is counted")
	}
	layers, err := open(t, c, to).Images[0].Image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range layers {
		readAll(t, l)
	}
}

func TestNothingPushedTwice(t *testing.T) {
	reg := imagetest.NewRegistry(t, true)
	r := ref(t, reg.Host+"/app:1")
	idx := imagetest.Index(t, types.OCIImageIndex,
		imagetest.Entry{Image: linux(t, "amd64", "x"), Platform: "linux/amd64"},
		imagetest.Entry{Image: linux(t, "arm64", "x"), Platform: "linux/arm64"})
	pushIndex(t, client(t), r, idx)
	reg.Requests()
	c := client(t)
	pushIndex(t, c, r, idx)
	for _, req := range reg.Requests() {
		if !strings.HasPrefix(req, "HEAD ") {
			t.Errorf("%s", req)
		}
	}
	if c.Traffic() != (image.Traffic{}) {
		t.Errorf("%+v", c.Traffic())
	}
}

// With one platform of an index rebuilt, in the same repository, the others are not even fetched.
func TestPushOfOnePlatform(t *testing.T) {
	reg := imagetest.NewRegistry(t, true)
	r := ref(t, reg.Host+"/app:1")
	arm64 := linux(t, "arm64", "x")
	pushIndex(t, client(t), r, imagetest.Index(t, types.OCIImageIndex,
		imagetest.Entry{Image: linux(t, "amd64", "x"), Platform: "linux/amd64"},
		imagetest.Entry{Image: arm64, Platform: "linux/arm64"}))
	c := client(t)
	src := open(t, c, r, "linux/amd64")
	img := src.Images[0]
	rebuilt, _, err := image.Rebuild(img.Image, []image.LayerChange{{Index: 0, New: imagetest.Layer(t, types.OCILayer, map[string]string{"n": "n"})}}, image.RebuildOptions{})
	if err != nil {
		t.Fatal(err)
	}
	idx, _, err := image.RebuildIndex(src.Index, map[v1.Hash]v1.Image{img.Descriptor.Digest: rebuilt}, nil)
	if err != nil {
		t.Fatal(err)
	}
	pushIndex(t, c, ref(t, reg.Host+"/app:2"), idx)
	if n := count(reg.Requests(), "GET /v2/app/manifests/"+digestOf(t, arm64).String()); n != 0 {
		t.Errorf("the other platform's manifest was fetched %d times", n)
	}
	// Elsewhere they are copied.
	pushIndex(t, c, ref(t, reg.Host+"/elsewhere:2"), idx)
	if got := len(open(t, c, ref(t, reg.Host+"/elsewhere:2")).Images); got != 2 {
		t.Errorf("%d images", got)
	}
}

// Whatever request is the last one before a kill, no tag points at something missing.
func TestKilledWhilePushing(t *testing.T) {
	img := linux(t, "amd64", "x")
	idx := imagetest.Index(t, types.OCIImageIndex,
		imagetest.Entry{Image: img, Platform: "linux/amd64"}, imagetest.Entry{Image: linux(t, "arm64", "x"), Platform: "linux/arm64"})
	for last := 1; ; last++ {
		reg := imagetest.NewRegistry(t, false)
		r := ref(t, reg.Host+"/app:1")
		var n atomic.Int64
		reg.Answer(func(w http.ResponseWriter, req *http.Request) bool {
			if n.Add(1) <= int64(last) {
				return false
			}
			reset(w, req)
			return true
		})
		c := client(t, func(o *image.Options) { o.Jobs = 1; o.Retry.Tries = 1 })
		repo, err := c.Repository(r)
		if err != nil {
			t.Fatal(err)
		}
		desc, err := repo.PushIndex(t.Context(), idx)
		if err == nil {
			err = repo.Attach(t.Context(), desc, imagetest.Artifact(t, "application/vnd.example", "x"))
		}
		if err == nil {
			err = repo.Tag(t.Context(), desc.Digest, "1")
		}
		reg.Answer(nil)
		_, openErr := client(t).Open(t.Context(), r)
		if err == nil {
			if openErr != nil {
				t.Fatal(openErr)
			}
			if last < 20 {
				t.Errorf("only %d requests were ever made", last)
			}
			return
		}
		requireError(t, err, image.ErrUnreachable)
		if openErr == nil {
			t.Fatalf("after %d requests the tag is there already", last)
		}
		if !errors.Is(openErr, image.ErrNotFound) {
			t.Fatalf("after %d requests: %v", last, openErr)
		}
		// The same run again ends well.
		again, err := client(t).Repository(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := again.PushIndex(t.Context(), idx); err != nil {
			t.Fatalf("again, after %d requests: %v", last, err)
		}
		if err := again.Attach(t.Context(), descriptor(t, idx), imagetest.Artifact(t, "application/vnd.example", "x")); err != nil {
			t.Fatalf("again, after %d requests: %v", last, err)
		}
		if found, err := again.Referrers(t.Context(), digestOf(t, idx)); err != nil || len(found) != 1 {
			t.Fatalf("after %d requests and again: %d referrers, %v", last, len(found), err)
		}
	}
}

func descriptor(t *testing.T, idx v1.ImageIndex) v1.Descriptor {
	t.Helper()
	size, err := idx.Size()
	if err != nil {
		t.Fatal(err)
	}
	return v1.Descriptor{MediaType: types.OCIImageIndex, Digest: digestOf(t, idx), Size: size}
}

func TestImmutableTag(t *testing.T) {
	for _, code := range []int{400, 403, 405, 409, 412} {
		reg := imagetest.NewRegistry(t, true)
		c, r := client(t), ref(t, reg.Host+"/app:1")
		old := push(t, c, r, linux(t, "amd64", "old"))
		reg.Answer(func(w http.ResponseWriter, req *http.Request) bool {
			if req.Method != http.MethodPut || !strings.HasSuffix(req.URL.Path, "/manifests/1") {
				return false
			}
			http.Error(w, `{"errors":[{"code":"TAG_INVALID","message":"the tag is immutable"}]}`, code)
			return true
		})
		repo, err := c.Repository(r)
		if err != nil {
			t.Fatal(err)
		}
		desc, err := repo.Push(t.Context(), linux(t, "amd64", "new"))
		if err != nil {
			t.Fatal(err)
		}
		requireError(t, repo.Tag(t.Context(), desc.Digest, "1"), image.ErrImmutableTag, reg.Host+"/app:1", old.Digest.String(), "another tag")
		if err := repo.Tag(t.Context(), old.Digest, "1"); err != nil {
			t.Errorf("a tag that is right already: %v", err)
		}
		requireError(t, repo.Tag(t.Context(), desc.Digest, "a b"), image.ErrUsage, "a b")
	}
}

func TestPushUnauthorized(t *testing.T) {
	reg := imagetest.NewRegistry(t, true)
	reg.Answer(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/v2/" {
			return false
		}
		http.Error(w, `{"errors":[{"code":"DENIED","message":"no"}]}`, http.StatusForbidden)
		return true
	})
	repo, err := client(t).Repository(ref(t, reg.Host+"/app:1"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = repo.Push(t.Context(), linux(t, "amd64", "x"))
	requireError(t, err, image.ErrUnauthorized, "403", reg.Host+"/app", "docker login "+reg.Host)
}

// A layer that cannot be read is not the destination's fault, and reading it again is no use.
func TestPushOfBadLayer(t *testing.T) {
	reason := errors.New("disk on fire")
	good := linux(t, "amd64", "x")
	layers, err := good.Layers()
	if err != nil {
		t.Fatal(err)
	}
	bad, _, err := image.Rebuild(good, []image.LayerChange{{Index: 0, New: badLayer{layers[0], reason}}}, image.RebuildOptions{})
	if err != nil {
		t.Fatal(err)
	}
	reg := imagetest.NewRegistry(t, true)
	for _, r := range []image.Ref{ref(t, reg.Host+"/app:1"), ref(t, "oci:"+t.TempDir()+":1")} {
		repo, err := client(t).Repository(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := repo.Push(t.Context(), bad); !errors.Is(err, reason) || errors.Is(err, image.ErrUnreachable) {
			t.Errorf("%s: %v", r, err)
		}
	}
	if n := count(reg.Requests(), "PATCH "); n > 3 {
		t.Errorf("%d uploads were tried", n)
	}
}

// A layer that its registry no longer serves right is told from a failing destination.
func TestPushOfChangedLayer(t *testing.T) {
	source, dest := imagetest.NewRegistry(t, true), imagetest.NewRegistry(t, true)
	from := ref(t, source.Host+"/app:1")
	push(t, client(t), from, linux(t, "amd64", "x"))
	for _, to := range []image.Ref{ref(t, dest.Host+"/app:1"), ref(t, "oci:"+t.TempDir()+":1")} {
		source.Answer(nil)
		c := client(t)
		img := open(t, c, from).Images[0].Image
		repo, err := c.Repository(to)
		if err != nil {
			t.Fatal(err)
		}
		answer := func(f http.HandlerFunc) {
			source.Answer(func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.Contains(r.URL.Path, "/blobs/") {
					return false
				}
				f(w, r)
				return true
			})
		}
		answer(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("something else")) })
		_, err = repo.Push(t.Context(), img)
		requireError(t, err, image.ErrVerification, source.Host)
		answer(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
		_, err = repo.Push(t.Context(), img)
		requireError(t, err, image.ErrUnauthorized, source.Host)
	}
}

// Layers that must not be distributed stay away from registries; once rewritten they are others, and are pushed. A layout
// that lies beside the image gets all.
func TestForeignLayers(t *testing.T) {
	base := imagetest.Image(t, types.DockerManifestSchema2, "linux/amd64", map[string]string{"a": "b"})
	foreign := imagetest.Layer(t, types.DockerForeignLayer, map[string]string{"w": "w"})
	img, err := mutate.Append(base, mutate.Addendum{Layer: foreign, URLs: []string{"https://example.com/w"}, History: v1.History{CreatedBy: "w"}})
	if err != nil {
		t.Fatal(err)
	}
	fresh := imagetest.Layer(t, types.DockerForeignLayer, map[string]string{"w": "new"})
	rewritten, _, err := image.Rebuild(img, []image.LayerChange{{Index: 1, New: fresh}}, image.RebuildOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, pushed := range []struct {
		img   v1.Image
		blobs int
	}{{img, 2}, {rewritten, 3}} {
		reg := imagetest.NewRegistry(t, true)
		for _, r := range []image.Ref{ref(t, reg.Host+"/app:1"), ref(t, "oci:"+t.TempDir()+":1")} {
			c := client(t)
			push(t, c, r, pushed.img)
			src := open(t, c, r)
			if src.Descriptor.Digest != digestOf(t, pushed.img) {
				t.Error("another image came back")
			}
			if err := c.Complete(t.Context(), src); err != nil {
				t.Error(err)
			}
			if r.Transport == image.Layout {
				layers, err := src.Images[0].Image.Layers()
				if err != nil {
					t.Fatal(err)
				}
				readAll(t, layers[1])
			}
		}
		if n := count(reg.Requests(), "PATCH "); n != pushed.blobs {
			t.Errorf("%d blobs sent, want %d", n, pushed.blobs)
		}
	}
}

// A registry that says once that it has a blob, and has not, is found out; the next push mends it.
func TestCompleteAfterALie(t *testing.T) {
	reg := imagetest.NewRegistry(t, true)
	img := linux(t, "amd64", "x")
	missing := lieOnce(t, reg, img)
	r := ref(t, reg.Host+"/app:1")
	c := client(t)
	push(t, c, r, img)
	err := c.Complete(t.Context(), open(t, c, r))
	if !errors.Is(err, image.ErrNotFound) || !strings.Contains(err.Error(), missing.String()) {
		t.Errorf("a layer that is missing gives %v", err)
	}
	again := client(t)
	push(t, again, r, img)
	if err := again.Complete(t.Context(), open(t, again, r)); err != nil {
		t.Error(err)
	}
}

// So are the images of an index, and of indexes within it.
func TestCompleteIndexAfterALie(t *testing.T) {
	for name, idx := range map[string]v1.ImageIndex{"flat": twoPlatforms(t), "nested": nestedIndex(t)} {
		t.Run(name, func(t *testing.T) {
			reg := imagetest.NewRegistry(t, true)
			missing := lieOnce(t, reg, linux(t, "arm64", "x"))
			r := ref(t, reg.Host+"/app:1")
			c := client(t)
			pushIndex(t, c, r, idx)
			err := c.Complete(t.Context(), open(t, c, r))
			requireError(t, err, image.ErrNotFound, missing.String())
			again := client(t)
			pushIndex(t, again, r, idx)
			if err := again.Complete(t.Context(), open(t, again, r)); err != nil {
				t.Error(err)
			}
		})
	}
}

// lieOnce lets a registry say once that it holds a layer of an image, and returns that.
func lieOnce(t *testing.T, reg *imagetest.Registry, img v1.Image) v1.Hash {
	t.Helper()
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	missing := digestOf(t, layers[len(layers)-1])
	var told atomic.Bool
	reg.Answer(func(w http.ResponseWriter, req *http.Request) bool {
		lie := req.Method == http.MethodHead && strings.HasSuffix(req.URL.Path, "/blobs/"+missing.String()) && !told.Swap(true)
		if lie {
			w.WriteHeader(http.StatusOK)
		}
		return lie
	})
	return missing
}
