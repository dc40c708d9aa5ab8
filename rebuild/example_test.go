package rebuild_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/nanopatch/nanopatch/rebuild"
	"github.com/nanopatch/nanopatch/rebuild/layer"
	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
	"github.com/nanopatch/nanopatch/rebuild/plan"
	"github.com/nanopatch/nanopatch/testdata/fixture"
)

// Plan an image's rebuild, look at it, and apply it. Nothing is written to a registry.
func Example() {
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	// An image and a repository that has updates for it; image.Client opens real ones.
	twin, err := fixture.NewTwin(context.Background(), dir, fixture.TwinOptions{})
	if err != nil {
		log.Fatal(err)
	}
	store, err := layer.OpenStore(filepath.Join(dir, "layers"), layer.StoreOptions{
		Keep: rebuild.Keep, KeepID: "example",
	})
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	now := func() time.Time { return day }
	client, err := pkgrepo.New(pkgrepo.Options{Dir: filepath.Join(dir, "packages"), Now: now})
	if err != nil {
		log.Fatal(err)
	}

	job, err := rebuild.Plan(context.Background(), twin.Images[0], plan.Image{Ref: "example"}, rebuild.Options{
		Store: store, Client: client, Now: now, Keyrings: []string{twin.Keyring},
		Repositories: []string{twin.Repository, fixture.SecurityMirror(twin.Repository)},
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, u := range job.Plan.Updates[:2] {
		fmt.Println(u.Name, u.From, "→", u.To, "in layer", u.Layer)
	}
	applied, err := job.Apply(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	for _, l := range applied.Layers {
		fmt.Println("layer", l.Index, l.Action)
	}
	// Output:
	// np-base 12.4+deb12u1 → 12.4+deb12u2 in layer 0
	// np-libssl3 3.0.20-1~deb12u1 → 3.0.22-1~deb12u1 in layer 1
	// layer 0 rewrite
	// layer 1 rewrite
	// layer 2 keep
}
