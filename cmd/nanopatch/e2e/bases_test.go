//go:build e2e

package e2e

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// base is an image that the main job's tests start from. One distribution differs from another in nothing else.
type base struct {
	name string
	// kind is the type of its packages' purls.
	kind  string
	image v1.Image
	// from are the flags that name its repositories; none where the image's own are used.
	from []string
}

// eachBase runs a test on Debian's image and on Alpine's.
func eachBase(t *testing.T, test func(t *testing.T, b base)) {
	t.Helper()
	t.Run("debian", func(t *testing.T) { test(t, base{name: "debian", kind: "deb", image: debian}) })
	t.Run("alpine", func(t *testing.T) { test(t, alpineBase(t)) })
}

// alpineOnce is Alpine's image, built for the first test that wants it.
var alpineOnce struct {
	sync.Mutex
	base *base
}

// alpineBase is the official root file system with packages of 3.19.1 added by the real apk, and a repository of the official
// index with the one package that is newer and at hand. A test skips where the real packages are missing.
func alpineBase(t *testing.T) base {
	t.Helper()
	data := alpineData(t)
	alpineOnce.Lock()
	defer alpineOnce.Unlock()
	if alpineOnce.base == nil {
		dir := filepath.Join(suiteDir, "alpine")
		repository := filepath.Join(dir, "repository", "x86_64")
		run(t, "mkdir", "-p", repository)
		for _, f := range []string{"APKINDEX.tar.gz", "libxml2-2.11.8-r0.apk"} {
			run(t, "cp", filepath.Join(data, "v3.19-main", f), repository)
		}
		server := httptest.NewServer(http.FileServer(http.Dir(filepath.Dir(repository))))
		suiteEnd = append(suiteEnd, server.Close)
		alpineOnce.base = &base{
			name: "alpine", kind: "apk", image: alpine(t, data, dir), from: []string{"--repo-override", server.URL},
		}
	}
	return *alpineOnce.base
}

// alpineData is the folder of real Alpine packages, which not every machine has.
func alpineData(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("NANOPATCH_SHARED_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "..", "shared", "data")
	}
	dir, err := filepath.Abs(filepath.Join(dir, "apk"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no real Alpine packages here: %v", err)
	}
	return dir
}
