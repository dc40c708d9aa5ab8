package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/nanopatch/nanopatch/testdata/fixture"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"nanopatch": main})
}

// TestScripts runs the program as users do. Each script finds, beside its own files:
//
//	oci:image:old   the hermetic twin of the Debian image
//	oci:multi:old   an index of it for amd64 and arm64
//	$REGISTRY       a registry with the referrers API, which holds the first as $REGISTRY/base:old
//	$REPO $SECURITY $KEYRING   the twin's repositories and their key
//	$PRIVATE $PRIVATE-security the same repositories on a server that wants the login "ada" with the password "s3cret"
//	$VENDOR         the first of them on a server
//
// and the commands
//
//	exits CODE nanopatch …   check the exit code
//	layer TAG DIR            make oci:image:TAG of the twin and a layer of the files in DIR, in which %VENDOR% means $VENDOR
func TestScripts(t *testing.T) {
	twin, err := fixture.NewTwin(t.Context(), t.TempDir(), fixture.TwinOptions{Archs: []string{"amd64", "arm64"}})
	if err != nil {
		t.Fatal(err)
	}
	runScripts(t, twin, testscript.Params{Dir: filepath.Join("testdata", "script")})
}

// TestAlpineScripts runs the scripts of the main job on the Alpine twin: as they are, only the fixture is another.
func TestAlpineScripts(t *testing.T) {
	twin, err := fixture.NewAlpineTwin(t.Context(), t.TempDir(), fixture.TwinOptions{Archs: []string{"amd64", "arm64"}})
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, name := range []string{"rebuild", "platform", "locked", "registry", "unmanaged"} {
		files = append(files, filepath.Join("testdata", "script", name+".txtar"))
	}
	runScripts(t, twin, testscript.Params{Files: files})
}

func runScripts(t *testing.T, twin *fixture.Twin, p testscript.Params) {
	t.Helper()
	p.Setup = func(env *testscript.Env) error { return setUp(env, twin) }
	p.Cmds = map[string]func(*testscript.TestScript, bool, []string){
		"exits":  exits,
		"digest": digest,
		"layer":  func(ts *testscript.TestScript, neg bool, args []string) { addLayer(ts, neg, args, twin) },
	}
	testscript.Run(t, p)
}

func setUp(env *testscript.Env, twin *fixture.Twin) error {
	if err := fixture.WriteLayout(filepath.Join(env.WorkDir, "image"), "old", twin.Images[0]); err != nil {
		return err
	}
	if err := fixture.WriteLayoutIndex(filepath.Join(env.WorkDir, "multi"), "old", twin.Images...); err != nil {
		return err
	}
	server := httptest.NewServer(registry.New(registry.WithReferrersSupport(true), registry.Logger(log.New(io.Discard, "", 0))))
	env.Defer(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	if err := push(host+"/base:old", twin.Images[0]); err != nil {
		return err
	}
	env.Setenv("REGISTRY", host)
	env.Setenv("REPO", twin.Repository)
	env.Setenv("SECURITY", twin.Second)
	env.Setenv("KEYRING", twin.Keyring)
	private := httptest.NewServer(guard(http.FileServer(http.Dir(filepath.Dir(twin.Repository)))))
	env.Defer(private.Close)
	vendor := httptest.NewServer(http.FileServer(http.Dir(twin.Repository)))
	env.Defer(vendor.Close)
	env.Setenv("VENDOR", vendor.URL)
	env.Setenv("PRIVATE", private.URL+"/"+filepath.Base(twin.Repository))
	env.Setenv("COSIGN_PASSWORD", "script password")
	env.Setenv("NANOPATCH_CACHE_DIR", filepath.Join(env.WorkDir, ".cache"))
	env.Setenv("HOME", env.WorkDir)
	return nil
}

// guard lets nobody in but ada.
func guard(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "ada" || password != "s3cret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		h.ServeHTTP(w, r)
	})
}

func push(ref string, img v1.Image) error {
	r, err := name.ParseReference(ref)
	if err != nil {
		return err
	}
	return remote.Write(r, img)
}

// digest sets DIGEST to what a tag of a layout names: digest DIR TAG.
func digest(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: digest DIR TAG")
	}
	index, err := layout.ImageIndexFromPath(ts.MkAbs(args[0]))
	ts.Check(err)
	manifest, err := index.IndexManifest()
	ts.Check(err)
	for _, m := range manifest.Manifests {
		if m.Annotations["org.opencontainers.image.ref.name"] == args[1] {
			ts.Setenv("DIGEST", m.Digest.String())
			return
		}
	}
	ts.Fatalf("%s has no tag %s", args[0], args[1])
}

// exits runs a command and checks the code it ends with.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND …")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// addLayer puts a directory's files upon the twin's image.
func addLayer(ts *testscript.TestScript, neg bool, args []string, twin *fixture.Twin) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: layer TAG DIR")
	}
	dir := ts.MkAbs(args[1])
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	ts.Check(filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		data = bytes.ReplaceAll(data, []byte("%VENDOR%"), []byte(ts.Getenv("VENDOR")))
		name, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		h := &tar.Header{Name: filepath.ToSlash(name), Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(data))}
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		_, err = w.Write(data)
		return err
	}))
	ts.Check(w.Close())
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil })
	ts.Check(err)
	img, err := mutate.AppendLayers(twin.Images[0], l)
	ts.Check(err)
	ts.Check(fixture.WriteLayout(ts.MkAbs("image"), args[0], img))
}
