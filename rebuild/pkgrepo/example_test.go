package pkgrepo_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
)

func ExampleClient_Fetch() {
	// A mirror, which has one of two files.
	mirror := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/pool/hello.deb" {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, "hello")
	}))
	defer mirror.Close()
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	client, err := pkgrepo.New(pkgrepo.Options{Dir: dir, Now: time.Now})
	if err != nil {
		fmt.Println(err)
		return
	}
	// Size and digest come from a signed index.
	sum := sha256.Sum256([]byte("hello"))
	paths, err := client.Fetch(context.Background(), []pkgrepo.Artifact{
		{URL: mirror.URL + "/pool/hello.deb", Size: 5, SHA256: sum},
		{URL: mirror.URL + "/pool/gone.deb", Size: 4, SHA256: sha256.Sum256([]byte("gone"))},
	}, 4)
	var missing *pkgrepo.MissingError
	if errors.As(err, &missing) {
		fmt.Println(len(missing.Artifacts), "file is missing")
	}
	data, _ := os.ReadFile(paths[0])
	fmt.Printf("%s, %d bytes\n", data, client.Bytes().Artifacts)
	// Output:
	// 1 file is missing
	// hello, 5 bytes
}
