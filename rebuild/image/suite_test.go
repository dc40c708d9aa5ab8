package image_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/nanopatch/nanopatch/rebuild/image"
	"github.com/nanopatch/nanopatch/rebuild/image/imagetest"
)

// impatient makes failing tests quick.
var impatient = image.Retry{Tries: 4, First: time.Millisecond, Longest: 5 * time.Millisecond, LongestAsked: 2 * time.Second}

// client has no credentials, whatever the machine's user is logged in to.
func client(t *testing.T, change ...func(*image.Options)) *image.Client {
	t.Helper()
	opts := image.Options{Keychain: authn.NewMultiKeychain(), Retry: impatient}
	for _, f := range change {
		f(&opts)
	}
	c, err := image.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func ref(t *testing.T, s string) image.Ref {
	t.Helper()
	r, err := image.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRepositories(t *testing.T) {
	t.Run("registry", func(t *testing.T) {
		imagetest.Run(t, func(t *testing.T) imagetest.Fixture {
			return imagetest.Fixture{Client: client(t), Ref: ref(t, imagetest.NewRegistry(t, true).Host+"/team/app:new")}
		})
	})
	t.Run("registry without referrers", func(t *testing.T) {
		imagetest.Run(t, func(t *testing.T) imagetest.Fixture {
			return imagetest.Fixture{Client: client(t), Ref: ref(t, imagetest.NewRegistry(t, false).Host+"/team/app:new")}
		})
	})
	t.Run("layout", func(t *testing.T) {
		imagetest.Run(t, func(t *testing.T) imagetest.Fixture {
			return imagetest.Fixture{Client: client(t), Ref: ref(t, "oci:"+filepath.Join(t.TempDir(), "layout")+":new")}
		})
	})
	t.Run("archive of a layout", func(t *testing.T) {
		imagetest.Run(t, func(t *testing.T) imagetest.Fixture {
			return imagetest.Fixture{Client: client(t), Ref: ref(t, "oci-archive:"+filepath.Join(t.TempDir(), "archive.tar")+":new")}
		})
	})
}
