package image_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/nanopatch/nanopatch/rebuild/image"
	"github.com/nanopatch/nanopatch/rebuild/image/imagetest"
)

type index = v1.ImageIndex

// parent is an index that names another many times. It counts how often that one is asked for.
type parent struct {
	index
	child v1.ImageIndex
	asked *atomic.Int64
}

func (p *parent) ImageIndex(v1.Hash) (v1.ImageIndex, error) {
	p.asked.Add(1)
	return p.child, nil
}

// parentOf names an index times over.
func parentOf(t *testing.T, child v1.ImageIndex, times int, asked *atomic.Int64) v1.ImageIndex {
	t.Helper()
	// An entry looks the same whether it names an image or an index.
	var entries []imagetest.Entry
	for range times {
		entries = append(entries, imagetest.Entry{Image: asImage{child}})
	}
	return &parent{imagetest.Index(t, types.OCIImageIndex, entries...), child, asked}
}

type asImage struct{ index }

var errNoImage = errors.New("not an image")

func (asImage) Layers() ([]v1.Layer, error)             { return nil, errNoImage }
func (asImage) ConfigName() (v1.Hash, error)            { return v1.Hash{}, errNoImage }
func (asImage) ConfigFile() (*v1.ConfigFile, error)     { return nil, errNoImage }
func (asImage) RawConfigFile() ([]byte, error)          { return nil, errNoImage }
func (asImage) Manifest() (*v1.Manifest, error)         { return nil, errNoImage }
func (asImage) LayerByDigest(v1.Hash) (v1.Layer, error) { return nil, errNoImage }
func (asImage) LayerByDiffID(v1.Hash) (v1.Layer, error) { return nil, errNoImage }

// Four levels of an index that names the next one 150 times are half a billion paths, and five manifests.
func TestManyPathsToOneIndex(t *testing.T) {
	amd64 := linux(t, "amd64", "x")
	var asked atomic.Int64
	idx := imagetest.Index(t, types.OCIImageIndex, imagetest.Entry{Image: amd64, Platform: "linux/amd64"})
	for range 4 {
		idx = parentOf(t, idx, 150, &asked)
	}
	c, r := client(t), ref(t, "oci:"+t.TempDir()+":1")
	pushIndex(t, c, r, idx)
	if n := asked.Swap(0); n != 4 {
		t.Errorf("pushing asked for indexes %d times, want 4", n)
	}
	if n := len(open(t, c, r).Images); n != 1 {
		t.Errorf("%d images, want one", n)
	}
	rebuilt := changed(t, amd64)
	made, _, err := image.RebuildIndex(idx, map[v1.Hash]v1.Image{digestOf(t, amd64): rebuilt}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n := asked.Load(); n != 4 {
		t.Errorf("rebuilding asked for indexes %d times, want 4", n)
	}
	to := ref(t, "oci:"+t.TempDir()+":2")
	pushIndex(t, c, to, made)
	if images := open(t, c, to).Images; len(images) != 1 || images[0].Descriptor.Digest != digestOf(t, rebuilt) {
		t.Errorf("images %v", images)
	}
}

// The bound on entries is one for the whole tree.
func TestTooManyEntries(t *testing.T) {
	amd64 := linux(t, "amd64", "x")
	var asked atomic.Int64
	idx := imagetest.Index(t, types.OCIImageIndex, imagetest.Entry{Image: amd64, Platform: "linux/amd64"})
	for range 2 {
		idx = parentOf(t, idx, 600, &asked)
	}
	c, r := client(t), ref(t, "oci:"+t.TempDir()+":1")
	pushIndex(t, c, r, idx)
	_, err := c.Open(t.Context(), r)
	requireError(t, err, image.ErrInvalid, "too many entries")
	_, _, err = image.RebuildIndex(idx, map[v1.Hash]v1.Image{digestOf(t, amd64): changed(t, amd64)}, nil)
	requireError(t, err, image.ErrInvalid, "too many entries")
}

// Images that name no platform have to be opened to learn it: not more of them than are opened at all.
func TestTooManyImages(t *testing.T) {
	img := linux(t, "amd64", "x")
	for platform, kind := range map[string]error{"": image.ErrInvalid, "linux/amd64": image.ErrUsage} {
		entries := make([]imagetest.Entry, 65)
		for i := range entries {
			entries[i] = imagetest.Entry{Image: img, Platform: platform}
		}
		c, r := client(t), ref(t, "oci:"+t.TempDir()+":1")
		pushIndex(t, c, r, imagetest.Index(t, types.OCIImageIndex, entries...))
		_, err := c.Open(t.Context(), r)
		requireError(t, err, kind, "more than 64")
		pushIndex(t, c, r, imagetest.Index(t, types.OCIImageIndex, entries[:64]...))
		if n := len(open(t, c, r).Images); n != 64 {
			t.Errorf("%d images, want 64", n)
		}
	}
}

// A file under a blob's name is believed only if it is one and holds the blob, be it that of a layer, a config or a
// manifest, and whoever changed it when.
func TestLayoutDoesNotBelieveNames(t *testing.T) {
	img := linux(t, "amd64", "x")
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	idx := imagetest.Index(t, types.OCIImageIndex, imagetest.Entry{Image: img, Platform: "linux/amd64"})
	blobs := map[string]v1.Hash{
		"layer": digestOf(t, layers[0]), "config": config, "manifest": digestOf(t, img), "index": digestOf(t, idx),
	}
	elsewhere := t.TempDir()
	damages := map[string]func(path string) error{
		"other bytes": func(path string) error {
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			b[len(b)/2] ^= 1
			return os.WriteFile(path, b, 0o600)
		},
		"symbolic link": func(path string) error {
			to := filepath.Join(elsewhere, filepath.Base(path))
			if err := os.Rename(path, to); err != nil {
				return err
			}
			return os.Symlink(to, path)
		},
	}
	for what, digest := range blobs {
		for how, damage := range damages {
			for _, same := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s, %s, same client %t", what, how, same), func(t *testing.T) {
					dir := t.TempDir()
					c, r := client(t), ref(t, "oci:"+dir+":1")
					pushIndex(t, c, r, idx)
					path := blobFile(dir, digest)
					want, err := os.ReadFile(path)
					if err != nil {
						t.Fatal(err)
					}
					if err := damage(path); err != nil {
						t.Fatal(err)
					}
					if !same {
						c = client(t)
					}
					pushIndex(t, c, r, idx)
					if info, err := os.Lstat(path); err != nil || !info.Mode().IsRegular() {
						t.Errorf("%v, %v", info.Mode(), err)
					}
					if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
						t.Errorf("not repaired: %v", err)
					}
				})
			}
		}
	}
}

// Checking what is there ends with the context, and is no reason to write.
func TestLayoutChecksWithContext(t *testing.T) {
	c, r := client(t), ref(t, "oci:"+t.TempDir()+":1")
	img := linux(t, "amd64", strings.Repeat("x", 1000))
	push(t, c, r, img)
	repo, err := client(t).Repository(r)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := repo.Push(ctx, img); err == nil {
		t.Error("pushed after the end")
	}
}
