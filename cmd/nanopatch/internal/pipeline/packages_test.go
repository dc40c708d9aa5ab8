package pipeline

import (
	"bytes"
	"crypto/sha256"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/nanopatch/nanopatch/rebuild/image"
	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
)

// TestPackagesBeside: anybody may attach package files to an image. Only one whose content has the lockfile's digest is
// taken, whatever its manifest says.
func TestPackagesBeside(t *testing.T) {
	images, err := image.New(image.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := &Session{images: images, cfg: Config{Now: time.Now}}
	ref, err := image.Parse("oci:" + t.TempDir() + "/layout")
	if err != nil {
		t.Fatal(err)
	}
	repo, err := s.place(ref)
	if err != nil {
		t.Fatal(err)
	}
	subject := v1.Descriptor{MediaType: types.OCIManifestSchema1, Digest: hash("a"), Size: 7}
	good, bad := []byte("the package"), []byte("another one")
	attach := func(kind string, content []byte) {
		t.Helper()
		artifact, err := image.NewArtifact(kind, subject, nil, image.Blob{MediaType: "application/octet-stream", Content: content})
		if err == nil {
			err = repo.Attach(t.Context(), subject, artifact)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	attach("application/x-other", good)
	attach(packagesType, bad)
	wanted := func(content []byte) pkgrepo.Artifact {
		return pkgrepo.Artifact{URL: "http://gone.example/a.deb", Size: int64(len(content)), SHA256: sha256.Sum256(content)}
	}
	client, err := pkgrepo.New(pkgrepo.Options{Dir: t.TempDir(), Now: time.Now, Transport: nowhere{}})
	if err != nil {
		t.Fatal(err)
	}
	keep := func(a pkgrepo.Artifact) bool {
		t.Helper()
		ok, err := (&packagesBeside{repo: repo, subject: subject.Digest}).keep(t.Context(), client, a)
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	if keep(wanted(good)) {
		t.Error("a file of another kind of artifact is taken")
	}
	longer := wanted(bad)
	longer.Size++
	if keep(longer) {
		t.Error("a file of another size is taken")
	}
	attach(packagesType, good)
	if !keep(wanted(good)) {
		t.Fatal("the right file is not found")
	}
	files, err := client.Fetch(t.Context(), []pkgrepo.Artifact{wanted(good)}, 1)
	if err != nil || len(files) != 1 {
		t.Error(files, err)
	}
	if err := client.Keep(t.Context(), wanted([]byte("x")), bytes.NewReader([]byte("y"))); err == nil {
		t.Error("content of another digest is kept")
	}
}
