package signtest_test

import (
	"context"
	"fmt"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/nanopatch/nanopatch/sign/signtest"
)

// What a test gives to code that attaches things to images, to see what it attached.
func Example() {
	image := v1.Descriptor{
		MediaType: types.OCIManifestSchema1,
		Digest:    v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("c", 64)},
		Size:      1234,
	}
	repo := &signtest.Memory{}
	if err := repo.Attach(context.Background(), image, empty.Image); err != nil {
		fmt.Println(err)
		return
	}
	referrers, err := repo.Referrers(context.Background(), image.Digest)
	fmt.Println(len(referrers), repo.Attached(), err)
	// Output: 1 1 <nil>
}
