package image_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/nanopatch/nanopatch/rebuild/image"
	"github.com/nanopatch/nanopatch/rebuild/image/imagetest"
)

// newest changes the top layer of an image, as a rebuild does.
func newest(t *testing.T, base v1.Image, content string) v1.Image {
	t.Helper()
	layers, err := base.Layers()
	if err != nil {
		t.Fatal(err)
	}
	mediaType, err := layers[0].MediaType()
	if err != nil {
		t.Fatal(err)
	}
	img, _, err := image.Rebuild(base, []image.LayerChange{
		{Index: len(layers) - 1, New: imagetest.Layer(t, mediaType, map[string]string{"app": content})},
	}, image.RebuildOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func rawConfig(t *testing.T, img v1.Image) string {
	t.Helper()
	raw, err := img.RawConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// What docker save wrote, here by another library, is opened as schema 2 with the config as it is; written again it is
// the same image, and the other images of the archive stay.
func TestDockerArchive(t *testing.T) {
	file := filepath.Join(t.TempDir(), "saved.tar")
	one, two := linux(t, "amd64", "one"), linux(t, "arm64", "two")
	saved := map[name.Reference]v1.Image{name.MustParseReference("a/one:1"): one, name.MustParseReference("library/two:2"): two}
	if err := tarball.MultiRefWriteToFile(file, saved); err != nil {
		t.Fatal(err)
	}
	c := client(t)
	src := open(t, c, ref(t, "docker-archive:"+file+":a/one:1"))
	if src.Descriptor.MediaType != types.DockerManifestSchema2 || rawConfig(t, src.Images[0].Image) != rawConfig(t, one) {
		t.Errorf("opened as %s with config\n%s", src.Descriptor.MediaType, rawConfig(t, src.Images[0].Image))
	}
	if _, err := c.Open(t.Context(), ref(t, "docker-archive:"+file)); !errors.Is(err, image.ErrUsage) {
		t.Errorf("one of two images without saying which: %v", err)
	}
	rebuilt := newest(t, src.Images[0].Image, "newer")
	to := ref(t, "docker-archive:"+file+":a/one:3")
	push(t, c, to, rebuilt)
	again := client(t)
	for name, want := range map[string]v1.Image{"a/one:1": one, "two:2": two, "a/one:3": rebuilt} {
		got := open(t, again, ref(t, "docker-archive:"+file+":"+name)).Images[0].Image
		if rawConfig(t, got) != rawConfig(t, want) {
			t.Errorf("%s has config\n%s", name, rawConfig(t, got))
		}
		layers, err := got.Layers()
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range layers {
			readAll(t, l) // checks the digest
		}
	}
	// The library reads what was written.
	tag := name.MustParseReference("a/one:3").(name.Tag)
	read, err := tarball.ImageFromPath(file, &tag)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(read); err != nil || rawConfig(t, read) != rawConfig(t, rebuilt) {
		t.Errorf("the library reads %v and config\n%s", err, rawConfig(t, read))
	}
}

// An archive may be compressed, and its image without a name; written in place, only the new one is there.
func TestArchiveInPlace(t *testing.T) {
	for transport, tag := range map[string]string{"oci-archive:": "latest", "docker-archive:": ""} {
		file := filepath.Join(t.TempDir(), "saved.tar")
		r := ref(t, transport+file)
		base := linux(t, "amd64", "old")
		push(t, client(t), r.WithTag(tag), base)
		compress(t, file)
		c := client(t)
		src := open(t, c, r)
		rebuilt := newest(t, src.Images[0].Image, "new")
		push(t, c, r.WithTag(tag), rebuilt)
		got := open(t, client(t), r)
		if rawConfig(t, got.Images[0].Image) != rawConfig(t, rebuilt) {
			t.Errorf("%s: the config is\n%s", r, rawConfig(t, got.Images[0].Image))
		}
		if left, err := filepath.Glob(filepath.Join(filepath.Dir(file), ".*")); err != nil || len(left) > 0 {
			t.Errorf("%s: left behind: %v, %v", r, left, err)
		}
	}
}

func compress(t *testing.T, file string) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(raw); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

// The same content is the same archive, byte for byte; and what is attached later goes into it.
func TestLayoutArchive(t *testing.T) {
	dir := t.TempDir()
	img, idx := linux(t, "amd64", "alone"), twoPlatforms(t)
	var archives [2][]byte
	for i := range archives {
		file := filepath.Join(dir, fmt.Sprint(i))
		c, r := client(t), ref(t, "oci-archive:"+file+":1")
		repo, err := c.Repository(r)
		if err != nil {
			t.Fatal(err)
		}
		desc, err := repo.Push(t.Context(), img)
		if err != nil {
			t.Fatal(err)
		}
		if err := repo.Attach(t.Context(), desc, imagetest.Artifact(t, "application/vnd.example", "before")); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
			t.Fatalf("before a tag: %v", err)
		}
		if err := repo.Tag(t.Context(), desc.Digest, "1"); err != nil {
			t.Fatal(err)
		}
		pushIndex(t, c, r.WithTag("2"), idx)
		later, err := client(t).Repository(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := later.Attach(t.Context(), desc, imagetest.Artifact(t, "application/vnd.example", "after")); err != nil {
			t.Fatal(err)
		}
		found, err := later.Referrers(t.Context(), desc.Digest)
		if err != nil || len(found) != 2 {
			t.Fatalf("%d referrers, %v", len(found), err)
		}
		if archives[i], err = os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
		// Another image takes the tag: what was attached to the old one goes with it.
		push(t, client(t), r, newest(t, img, "other"))
		if found, err = repositoryOf(t, client(t), r).Referrers(t.Context(), desc.Digest); err != nil || len(found) != 0 {
			t.Errorf("%d referrers of nothing, %v", len(found), err)
		}
		open(t, client(t), r.WithTag("2"))
	}
	if !bytes.Equal(archives[0], archives[1]) {
		t.Error("the archives differ")
	}
}

func repositoryOf(t *testing.T, c *image.Client, r image.Ref) image.Repository {
	t.Helper()
	repo, err := c.Repository(r)
	if err != nil {
		t.Fatal(err)
	}
	return repo
}

func TestArchiveRefusals(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, members ...tar.Header) string {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for _, h := range members {
			content := h.Linkname
			if h.Typeflag == tar.TypeReg {
				h.Linkname, h.Size = "", int64(len(content))
			}
			if err := w.WriteHeader(&h); err != nil {
				t.Fatal(err)
			}
			if h.Typeflag == tar.TypeReg {
				if _, err := io.WriteString(w, content); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	regular := func(name, content string) tar.Header {
		return tar.Header{Typeflag: tar.TypeReg, Name: name, Linkname: content}
	}
	cut := file("cut", regular("manifest.json", "[]"), regular("layer", string(make([]byte, 4096))))
	if err := os.Truncate(cut, 3000); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		ref  string
		want error
	}{
		{"docker-archive:" + filepath.Join(dir, "missing"), image.ErrNotFound},
		{"oci-archive:" + filepath.Join(dir, "missing"), image.ErrNotFound},
		{"docker-archive:" + dir, image.ErrInvalid},
		{"docker-archive:" + cut, image.ErrInvalid},
		{"docker-archive:" + file("empty"), image.ErrInvalid},
		{"oci-archive:" + file("no-layout", regular("x", "y")), image.ErrNotFound},
		{"docker-archive:" + file("nothing", regular("manifest.json", "[]")), image.ErrNotFound},
		{"docker-archive:" + file("loop", tar.Header{Typeflag: tar.TypeSymlink, Name: "manifest.json", Linkname: "manifest.json"}), image.ErrInvalid},
		{"docker-archive:" + file("outside", tar.Header{Typeflag: tar.TypeSymlink, Name: "manifest.json", Linkname: "../../../etc/hostname"}), image.ErrInvalid},
		{"docker-archive:" + file("layers", regular("c", `{"rootfs":{"type":"layers","diff_ids":[]}}`),
			regular("manifest.json", `[{"Config":"c","Layers":["c"]}]`)), image.ErrInvalid},
	} {
		if _, err := client(t).Open(t.Context(), ref(t, tc.ref)); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", tc.ref, err, tc.want)
		}
	}
	c := client(t)
	repo, err := c.Repository(ref(t, "docker-archive:"+filepath.Join(dir, "new")))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := repo.PushIndex(t.Context(), twoPlatforms(t)); !errors.Is(err, image.ErrUsage) {
		t.Errorf("an index into docker's archive: %v", err)
	}
	desc, err := repo.Push(t.Context(), linux(t, "amd64", "x"))
	if err != nil {
		t.Fatal(err)
	}
	if err := repo.Attach(t.Context(), desc, imagetest.Artifact(t, "application/vnd.example", "x")); !errors.Is(err, image.ErrUnsupported) {
		t.Errorf("a signature into docker's archive: %v", err)
	}
	// A layer that is not what the config says fails the run, and no file appears.
	good := linux(t, "amd64", "x")
	layers, err := good.Layers()
	if err != nil {
		t.Fatal(err)
	}
	broken := rebuildUnread(t, good, image.LayerChange{Index: 0, New: badLayer{layers[0], io.ErrNoProgress}})
	bad, err := c.Repository(ref(t, "oci-archive:"+filepath.Join(dir, "bad")))
	if err != nil {
		t.Fatal(err)
	}
	if desc, err = bad.Push(t.Context(), broken); err != nil {
		t.Fatal(err)
	}
	if err := bad.Tag(t.Context(), desc.Digest, "1"); err == nil {
		t.Error("a broken layer was written")
	}
	if _, err := os.Stat(filepath.Join(dir, "bad")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after a failure: %v", err)
	}
}
