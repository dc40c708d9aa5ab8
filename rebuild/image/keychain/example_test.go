package keychain_test

import (
	"fmt"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/nanopatch/nanopatch/rebuild/image"
	"github.com/nanopatch/nanopatch/rebuild/image/keychain"
)

// A client that logs in wherever the machine's user can.
func Example() {
	logins := keychain.New(keychain.Options{})
	if _, err := image.New(image.Options{Keychain: logins}); err != nil {
		fmt.Println(err)
		return
	}
	local, err := name.NewRegistry("localhost:5000")
	if err != nil {
		fmt.Println(err)
		return
	}
	auth, err := logins.Resolve(local)
	fmt.Println(auth == authn.Anonymous, err)
	// Output: true <nil>
}
