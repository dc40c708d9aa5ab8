package image_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/nanopatch/nanopatch/rebuild/image"
	"github.com/nanopatch/nanopatch/rebuild/image/imagetest"
)

func readAll(t *testing.T, l v1.Layer) []byte {
	t.Helper()
	rc, err := l.Compressed()
	if err != nil {
		t.Fatal(err)
	}
	defer rc.Close()
	b, err := io.ReadAll(rc)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// httpDialer leads every connection to one place.
type httpDialer struct{ addr string }

func (d *httpDialer) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, network, d.addr)
}

// nestedIndex holds linux/amd64 and an index that holds linux/arm64 with an attestation.
func nestedIndex(t *testing.T) v1.ImageIndex {
	t.Helper()
	arm64 := linux(t, "arm64", "x")
	inner := imagetest.Index(t, types.OCIImageIndex,
		imagetest.Entry{Image: arm64, Platform: "linux/arm64"},
		imagetest.Entry{
			Image: linux(t, "attestation", "x"), Platform: "unknown/unknown",
			Extra: fmt.Sprintf(`"annotations":{"vnd.docker.reference.type":"attestation-manifest","vnd.docker.reference.digest":%q}`, digestOf(t, arm64)),
		})
	return mutate.AppendManifests(empty.Index,
		mutate.IndexAddendum{Add: linux(t, "amd64", "x"), Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}},
		mutate.IndexAddendum{Add: inner})
}

func twoPlatforms(t *testing.T) v1.ImageIndex {
	t.Helper()
	return imagetest.Index(t, types.OCIImageIndex,
		imagetest.Entry{Image: linux(t, "amd64", "x"), Platform: "linux/amd64"},
		imagetest.Entry{Image: linux(t, "arm64", "x"), Platform: "linux/arm64"})
}

func rebuildUnread(t *testing.T, base v1.Image, changes ...image.LayerChange) v1.Image {
	t.Helper()
	img, _, err := image.Rebuild(base, changes, image.RebuildOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// failingReader gives some bytes and then an error.
type failingReader struct {
	io.Reader
	err error
}

func (f *failingReader) Read(p []byte) (int, error) {
	n, err := f.Reader.Read(p)
	if err == io.EOF {
		err = f.err
	}
	return n, err
}

// badLayer cannot be read to its end.
type badLayer struct {
	v1.Layer
	err error
}

func (b badLayer) Compressed() (io.ReadCloser, error) {
	return io.NopCloser(&failingReader{Reader: bytes.NewReader([]byte("some")), err: b.err}), nil
}
