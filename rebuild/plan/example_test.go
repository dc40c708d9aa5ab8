package plan_test

import (
	"fmt"
	"log"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/plan"
)

// A lockfile names, for each platform's image, what to install.
func ExampleReadLock() {
	lock, err := plan.ReadLock(strings.NewReader(`{
  "apiVersion": "nanopatch/v1", "kind": "Lock", "tool": "1.0.0",
  "source": "sha256:10f69f25e5c0c2000470f0d2ce3c4dbe49708108a99992b464504a30029ad29c",
  "platforms": [{
    "platform": "linux/amd64",
    "image": "sha256:10f69f25e5c0c2000470f0d2ce3c4dbe49708108a99992b464504a30029ad29c",
    "updates": [{"name": "openssl", "type": "deb", "arch": "amd64", "from": "3.0.20-1~deb12u2", "to": "3.0.22-1~deb12u2"}]
  }]
}`))
	if err != nil {
		log.Fatal(err)
	}
	for _, p := range lock.Platforms {
		for _, u := range p.Updates {
			fmt.Println(p.Platform, u.Key(), u.From, "→", u.To)
		}
	}
	// Output: linux/amd64 openssl:amd64 3.0.20-1~deb12u2 → 3.0.22-1~deb12u2
}
