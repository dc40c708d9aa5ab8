package imagetest_test

import (
	"testing"

	"github.com/nanopatch/nanopatch/rebuild/image"
	"github.com/nanopatch/nanopatch/rebuild/image/imagetest"
)

// A repository of another kind is done when the suite passes.
func ExampleRun() {
	_ = func(t *testing.T) {
		imagetest.Run(t, func(t *testing.T) imagetest.Fixture {
			registry := imagetest.NewRegistry(t, true)
			client, err := image.New(image.Options{})
			if err != nil {
				t.Fatal(err)
			}
			ref, err := image.Parse(registry.Host + "/app:new")
			if err != nil {
				t.Fatal(err)
			}
			return imagetest.Fixture{Client: client, Ref: ref}
		})
	}
}
