package main

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"io/fs"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/nanopatch/nanopatch/cmd/nanopatch/internal/cli"
	"github.com/nanopatch/nanopatch/rebuild/image/imagetest"
	"github.com/nanopatch/nanopatch/testdata/fixture"
)

// run runs the program in this process.
func run(ctx context.Context, t *testing.T, cache string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	return runAt(ctx, t, time.Now, cache, append(args, "-q")...)
}

// runAt is run by a clock, and with messages.
func runAt(ctx context.Context, t *testing.T, now func() time.Time, cache string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	env := cli.Env{
		Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs, Now: now,
		LookupEnv: func(key string) (string, bool) {
			v, ok := map[string]string{"NANOPATCH_CACHE_DIR": cache, "COSIGN_PASSWORD": "test"}[key]
			return v, ok
		},
	}
	code = cli.Main(ctx, args, env)
	return out.String(), errs.String(), code
}

// image adds a layer of the given files to a base.
func image(t *testing.T, base v1.Image, files map[string]string) v1.Image {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for path, content := range files {
		err := w.WriteHeader(&tar.Header{Name: path, Mode: 0o644, Size: int64(len(content)), Typeflag: tar.TypeReg})
		if err == nil {
			_, err = io.WriteString(w, content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil }
	l, err := tarball.LayerFromOpener(open, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		t.Fatal(err)
	}
	out, err := mutate.Append(base, mutate.Addendum{Layer: l, History: v1.History{CreatedBy: "test"}})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// encrypted gives an image's last layer the media type of an encrypted one.
func encrypted(t *testing.T, base v1.Image) v1.Image {
	t.Helper()
	layer := static.NewLayer([]byte("whatever"), types.OCILayer+"+encrypted")
	out, err := mutate.Append(base, mutate.Addendum{Layer: layer, MediaType: types.OCILayer + "+encrypted"})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestSchema1: an image in Docker's first schema is refused from a registry, however it is served, and nothing is written.
func TestSchema1(t *testing.T) {
	const manifest = `{"schemaVersion":1,"name":"base","tag":"old","fsLayers":[],"history":[]}`
	for _, contentType := range []string{"application/vnd.docker.distribution.manifest.v1+prettyjws", "application/vnd.docker.distribution.manifest.v1+json", "application/json"} {
		reg := imagetest.NewRegistry(t, true)
		reg.Answer(func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasSuffix(r.URL.Path, "/manifests/old") {
				return false
			}
			w.Header().Set("Content-Type", contentType)
			_, _ = w.Write([]byte(manifest))
			return true
		})
		for _, args := range [][]string{{"plan"}, {"rebuild", "-t", reg.Host + "/out:new", "--no-sign"}, {"sbom"}} {
			stdout, stderr, code := run(t.Context(), t, t.TempDir(), append(args, reg.Host+"/base:old")...)
			if code != 1 || stdout != "" || !strings.Contains(stderr, "schema 1") || strings.Count(stderr, "\n") != 1 {
				t.Errorf("%s, %s: exit code %d, %q, %q", contentType, args[0], code, stdout, stderr)
			}
		}
		for _, asked := range reg.Requests() {
			if !strings.HasPrefix(asked, "GET ") && !strings.HasPrefix(asked, "HEAD ") {
				t.Errorf("%s was asked", asked)
			}
		}
	}
}

func fewerDiffIDs(t *testing.T, base v1.Image) v1.Image {
	t.Helper()
	c, err := base.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	c = c.DeepCopy()
	c.RootFS.DiffIDs = c.RootFS.DiffIDs[1:]
	out, err := mutate.ConfigFile(base, c)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestBadImages: an image that cannot be used gives one line that says why, the right code, and no result.
func TestBadImages(t *testing.T) {
	twin, err := fixture.NewTwin(t.Context(), t.TempDir(), fixture.TwinOptions{})
	if err != nil {
		t.Fatal(err)
	}
	good := twin.Images[0]
	scratch := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	for _, c := range []struct {
		name string
		img  v1.Image
		code int
		want string
	}{
		{"no package database", image(t, scratch, map[string]string{"etc/os-release": "ID=debian\n"}), 1, "no package database"},
		{"truncated status", image(t, good, map[string]string{"var/lib/dpkg/status": "Package: np-base\nStatus: install ok inst"}), 1, "var/lib/dpkg/status"},
		{"path traversal", image(t, good, map[string]string{"../../etc/passwd": "root::0:0::/:/bin/sh\n"}), 1, "../../etc/passwd"},
		{"an encrypted layer", encrypted(t, good), 1, "is encrypted; decrypt the image first"},
		{"fewer diffIDs than layers", fewerDiffIDs(t, good), 1, "diffID"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "image")
			if err := fixture.WriteLayout(dir, "old", c.img); err != nil {
				t.Fatal(err)
			}
			rejected(t, twin, "oci:"+dir, c.code, c.want)
		})
	}
	t.Run("corrupt layer", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "image")
		if err := fixture.WriteLayout(dir, "old", good); err != nil {
			t.Fatal(err)
		}
		layers, err := good.Layers()
		if err != nil {
			t.Fatal(err)
		}
		digest, err := layers[1].Digest()
		if err != nil {
			t.Fatal(err)
		}
		flip(t, filepath.Join(dir, "blobs", "sha256", digest.Hex))
		rejected(t, twin, "oci:"+dir, 4, digest.Hex)
	})
}

// rejected rebuilds and expects a refusal: nothing on standard output, one line of error, and no new tag.
func rejected(t *testing.T, twin *fixture.Twin, layout string, code int, want string) {
	t.Helper()
	stdout, stderr, got := run(t.Context(), t, t.TempDir(), "rebuild", layout+":old", "-t", layout+":new", "--no-sign",
		"--repo-override", twin.Repository, "--repo-override", fixture.SecurityMirror(twin.Repository), "--keyring", twin.Keyring)
	if got != code || stdout != "" {
		t.Errorf("exit code %d, want %d; printed %q; %s", got, code, stdout, stderr)
	}
	if strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, want) {
		t.Errorf("want one line with %q, got:\n%s", want, stderr)
	}
	if _, _, found := run(t.Context(), t, t.TempDir(), "plan", layout+":new"); found != 3 {
		t.Errorf("looking for what must not be there gave code %d, want 3", found)
	}
}

func flip(t *testing.T, file string) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestBadRepositories: what is not signed, has expired or is not what was signed stops the run with code 4.
func TestBadRepositories(t *testing.T) {
	for _, c := range []struct {
		name string
		opts fixture.TwinOptions
		harm func(*testing.T, *fixture.Twin)
		code int
		want string
	}{
		{"expired", fixture.TwinOptions{ValidUntil: time.Now().Add(-24 * time.Hour)}, nil, 4, "expired"},
		{"unsigned", fixture.TwinOptions{}, func(t *testing.T, w *fixture.Twin) {
			removeAll(t, w.Repository, "InRelease")
			removeAll(t, w.Repository, "Release.gpg")
		}, 4, "sign"},
		{"package file changed", fixture.TwinOptions{}, func(t *testing.T, w *fixture.Twin) {
			eachFile(t, w.Repository, func(path string) {
				if strings.HasSuffix(path, ".deb") && strings.Contains(path, "np-openssl_3.0.22") {
					flip(t, path)
				}
			})
		}, 4, "np-openssl"},
	} {
		t.Run(c.name, func(t *testing.T) {
			twin, err := fixture.NewTwin(t.Context(), t.TempDir(), c.opts)
			if err != nil {
				t.Fatal(err)
			}
			if c.harm != nil {
				c.harm(t, twin)
			}
			dir := filepath.Join(t.TempDir(), "image")
			if err := fixture.WriteLayout(dir, "old", twin.Images[0]); err != nil {
				t.Fatal(err)
			}
			rejected(t, twin, "oci:"+dir, c.code, c.want)
		})
	}
}

func removeAll(t *testing.T, dir, name string) {
	t.Helper()
	eachFile(t, dir, func(path string) {
		if filepath.Base(path) == name {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func eachFile(t *testing.T, dir string, f func(path string)) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			f(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestUnusableCache: a cache that cannot be written is a clear error.
func TestUnusableCache(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, stderr, code := run(t.Context(), t, file, "plan", "oci:nowhere:old")
	if code != 1 || !strings.Contains(stderr, file) || strings.Count(stderr, "\n") != 1 {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}

// TestLyingRegistry: a registry that says that it has a layer, takes the image without it and is believed once. The run ends
// with code 4 and no tag, and the next one mends it.
func TestLyingRegistry(t *testing.T) {
	twin, err := fixture.NewTwin(t.Context(), t.TempDir(), fixture.TwinOptions{})
	if err != nil {
		t.Fatal(err)
	}
	registry := imagetest.NewRegistry(t, true)
	if err := push(registry.Host+"/base:old", twin.Images[0]); err != nil {
		t.Fatal(err)
	}
	var lied atomic.Bool
	registry.Answer(func(w http.ResponseWriter, req *http.Request) bool {
		lie := req.Method == http.MethodHead && strings.HasPrefix(req.URL.Path, "/v2/out/blobs/") && !lied.Swap(true)
		if lie {
			w.WriteHeader(http.StatusOK)
		}
		return lie
	})
	args := []string{
		"rebuild", registry.Host + "/base:old", "-t", registry.Host + "/out:new", "--no-sign",
		"--repo-override", twin.Repository, "--repo-override", fixture.SecurityMirror(twin.Repository), "--keyring", twin.Keyring,
	}
	// Whichever blob the registry is asked for first: the configuration is missed when it is read back, a layer when it is asked for.
	missed := regexp.MustCompile(`^nanopatch: verification failed: .*(which is not there|BLOB_UNKNOWN).*no tag was moved\n$`)
	for _, want := range []int{4, 0} {
		_, stderr, code := run(t.Context(), t, t.TempDir(), args...)
		if code != want || want != 0 && !missed.MatchString(stderr) {
			t.Errorf("exit code %d, want %d: %s", code, want, stderr)
		}
		tag, err := name.NewTag(registry.Host + "/out:new")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := remote.Head(tag); (err == nil) != (want == 0) {
			t.Errorf("exit code %d, and reading the tag gives %v", code, err)
		}
	}
}

// TestInterrupted stops a rebuild at every request that it makes of the registry, by an interrupt and by the registry's
// death. Each time the tag must be missing, or name an image that verifies.
func TestInterrupted(t *testing.T) {
	twin, err := fixture.NewTwin(t.Context(), t.TempDir(), fixture.TwinOptions{})
	if err != nil {
		t.Fatal(err)
	}
	prefix, cache := filepath.Join(t.TempDir(), "cosign"), t.TempDir()
	if _, stderr, code := run(t.Context(), t, cache, "keygen", "--output-prefix", prefix); code != 0 {
		t.Fatal(stderr)
	}
	for _, kind := range []string{"interrupt", "registry dies"} {
		t.Run(kind, func(t *testing.T) {
			finished := false
			for n := int64(1); n < 500 && !finished; n += 7 {
				finished = stopAt(t, twin, kind, n, prefix, cache)
			}
			if !finished {
				t.Error("no run finished")
			}
		})
	}
}

// stopAt rebuilds with the n-th request of the rebuild stopped, and tells whether the rebuild finished before.
func stopAt(t *testing.T, twin *fixture.Twin, kind string, n int64, prefix, cache string) bool {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var count atomic.Int64
	var armed atomic.Bool
	var listener net.Listener
	inner := registry.New(registry.WithReferrersSupport(true), registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if armed.Load() && count.Add(1) >= n {
			if kind == "interrupt" {
				cancel()
			} else {
				_ = listener.Close()
				panic(http.ErrAbortHandler)
			}
		}
		inner.ServeHTTP(w, r)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	listener = server.Listener
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	if err := push(host+"/base:old", twin.Images[0]); err != nil {
		t.Fatal(err)
	}
	armed.Store(true)
	_, stderr, code := run(ctx, t, cache, "rebuild", host+"/base:old", "-t", host+"/base:new", "--key", prefix+".key",
		"--repo-override", twin.Repository, "--repo-override", fixture.SecurityMirror(twin.Repository), "--keyring", twin.Keyring)
	if code == 0 && count.Load() < n {
		return true
	}
	if code != 0 && strings.Count(stderr, "\n") != 1 {
		t.Errorf("request %d: want one line, got:\n%s", n, stderr)
	}
	after := httptest.NewServer(inner)
	defer after.Close()
	checkTag(t, strings.TrimPrefix(after.URL, "http://"), n, prefix, cache)
	return false
}

// checkTag fails the test if the new tag names something that is not complete and signed.
func checkTag(t *testing.T, host string, n int64, prefix, cache string) {
	t.Helper()
	tag, err := name.NewTag(host + "/base:new")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := remote.Head(tag, remote.WithContext(t.Context())); err != nil {
		return // not there: nothing was published
	}
	if _, stderr, code := run(t.Context(), t, cache, "verify", host+"/base:new", "--key", prefix+".pub", "--require", "https://spdx.dev/Document"); code != 0 {
		t.Errorf("request %d: the tag names an image that does not verify: %s", n, stderr)
	}
}
