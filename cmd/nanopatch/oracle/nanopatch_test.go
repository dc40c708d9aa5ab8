//go:build e2e

package oracle

import (
	"path/filepath"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"

	"github.com/nanopatch/nanopatch/rebuild"
	"github.com/nanopatch/nanopatch/rebuild/layer"
	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
	"github.com/nanopatch/nanopatch/rebuild/plan"
	"github.com/nanopatch/nanopatch/testdata/fixture"
)

// open reads the image of a layout.
func open(t *testing.T, dir string) (v1.Image, v1.Hash) {
	t.Helper()
	index, err := layout.Path(dir).ImageIndex()
	if err != nil {
		t.Fatal(err)
	}
	m, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Manifests) != 1 {
		t.Fatalf("%s holds %d images, want one", dir, len(m.Manifests))
	}
	image, err := index.Image(m.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	return image, m.Manifests[0].Digest
}

// rebuilt rebuilds the image of a layout. It returns the plan and a layout with the result.
func rebuilt(t *testing.T, source string, change func(*rebuild.Options), row *row) (*plan.Plan, string) {
	t.Helper()
	image, digest := open(t, source)
	store, err := layer.OpenStore(filepath.Join(t.TempDir(), "layers"), layer.StoreOptions{
		Keep: rebuild.Keep, KeepID: "oracle",
	})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	client, err := pkgrepo.New(pkgrepo.Options{Dir: filepath.Join(cacheDir(), "packages"), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	opts := rebuild.Options{Store: store, Client: client, Now: time.Now}
	if change != nil {
		change(&opts)
	}
	start := time.Now()
	job, err := rebuild.Plan(t.Context(), image, plan.Image{Ref: "oracle", Digest: digest}, opts)
	if err != nil {
		t.Fatalf("planning: %v", err)
	}
	row.planning, start = time.Since(start), time.Now()
	applied, err := job.Apply(t.Context())
	if err != nil {
		t.Fatalf("rebuilding: %v", err)
	}
	row.applying = time.Since(start)
	result := filepath.Join(t.TempDir(), "result")
	if err := fixture.WriteLayout(result, tag, applied.Image); err != nil {
		t.Fatal(err)
	}
	return job.Plan, result
}
