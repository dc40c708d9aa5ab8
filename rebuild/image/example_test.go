package image_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/nanopatch/nanopatch/rebuild/image"
	"github.com/nanopatch/nanopatch/rebuild/image/imagetest"
)

// Replace the top layer of an image and publish the result: content first, the tag last.
func ExampleClient() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	source, dest := "oci:"+dir+"/old:1.0", "oci:"+dir+"/new:1.0"
	put(ctx, source)

	client, err := image.New(image.Options{UserAgent: "example/1"})
	if err != nil {
		log.Fatal(err)
	}
	from, err := image.Parse(source)
	if err != nil {
		log.Fatal(err)
	}
	src, err := client.Open(ctx, from, v1.Platform{OS: "linux", Architecture: "amd64"})
	if err != nil {
		log.Fatal(err)
	}
	img := src.Images[0]
	layers, err := img.Image.Layers()
	if err != nil {
		log.Fatal(err)
	}
	rebuilt, _, err := image.Rebuild(img.Image, []image.LayerChange{{
		Index: len(layers) - 1, New: newLayer(), HistoryComment: "nanopatch: openssl 3.0.15 -> 3.0.16",
	}}, image.RebuildOptions{})
	if err != nil {
		log.Fatal(err)
	}

	to, err := image.Parse(dest)
	if err != nil {
		log.Fatal(err)
	}
	repo, err := client.Repository(to)
	if err != nil {
		log.Fatal(err)
	}
	desc, err := repo.Push(ctx, rebuilt)
	if err != nil {
		log.Fatal(err)
	}
	// Here the image is signed and what was written is verified; nobody sees it yet.
	if err := repo.Tag(ctx, desc.Digest, to.Tag); err != nil {
		log.Fatal(err)
	}
	back, err := client.Open(ctx, to)
	if err != nil {
		log.Fatal(err)
	}
	history, err := back.Images[0].Image.ConfigFile()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(back.Images[0].Platform, history.History[3].Comment)
	// Output: linux/amd64 buildkit.dockerfile.v0; nanopatch: openssl 3.0.15 -> 3.0.16
}

// put writes a sample image.
func put(ctx context.Context, where string) {
	ref, err := image.Parse(where)
	if err != nil {
		log.Fatal(err)
	}
	client, err := image.New(image.Options{})
	if err != nil {
		log.Fatal(err)
	}
	repo, err := client.Repository(ref)
	if err != nil {
		log.Fatal(err)
	}
	img := imagetest.Image(&testing.T{}, types.OCIManifestSchema1, "linux/amd64",
		map[string]string{"etc/os-release": "ID=debian\n"}, map[string]string{"usr/bin/openssl": "old"})
	desc, err := repo.Push(ctx, img)
	if err != nil {
		log.Fatal(err)
	}
	if err := repo.Tag(ctx, desc.Digest, ref.Tag); err != nil {
		log.Fatal(err)
	}
}

func newLayer() v1.Layer {
	return imagetest.Layer(&testing.T{}, types.OCILayer, map[string]string{"usr/bin/openssl": "new"})
}
