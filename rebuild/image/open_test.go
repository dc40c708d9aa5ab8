package image_test

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/nanopatch/nanopatch/rebuild/image"
	"github.com/nanopatch/nanopatch/rebuild/image/imagetest"
)

// push puts an image under a reference.
func push(t *testing.T, c *image.Client, r image.Ref, img v1.Image) v1.Descriptor {
	t.Helper()
	repo, err := c.Repository(r)
	if err != nil {
		t.Fatal(err)
	}
	desc, err := repo.Push(t.Context(), img)
	if err != nil {
		t.Fatal(err)
	}
	if err := repo.Tag(t.Context(), desc.Digest, r.Tag); err != nil {
		t.Fatal(err)
	}
	return desc
}

func pushIndex(t *testing.T, c *image.Client, r image.Ref, idx v1.ImageIndex) v1.Descriptor {
	t.Helper()
	repo, err := c.Repository(r)
	if err != nil {
		t.Fatal(err)
	}
	desc, err := repo.PushIndex(t.Context(), idx)
	if err != nil {
		t.Fatal(err)
	}
	if err := repo.Tag(t.Context(), desc.Digest, r.Tag); err != nil {
		t.Fatal(err)
	}
	return desc
}

func linux(t *testing.T, arch, content string) v1.Image {
	t.Helper()
	return imagetest.Image(t, types.OCIManifestSchema1, "linux/"+arch, map[string]string{"base": arch}, map[string]string{"app": content})
}

func open(t *testing.T, c *image.Client, r image.Ref, platforms ...string) *image.Source {
	t.Helper()
	ps, err := image.ParsePlatforms(platforms)
	if err != nil {
		t.Fatal(err)
	}
	src, err := c.Open(t.Context(), r, ps...)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func digestOf(t *testing.T, d interface{ Digest() (v1.Hash, error) }) v1.Hash {
	t.Helper()
	h, err := d.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// Opening costs one manifest and one config for each image; no layer.
func TestOpenIsLazy(t *testing.T) {
	reg := imagetest.NewRegistry(t, true)
	r := ref(t, reg.Host+"/app:1")
	idx := imagetest.Index(t, types.OCIImageIndex,
		imagetest.Entry{Image: linux(t, "amd64", "x"), Platform: "linux/amd64"},
		imagetest.Entry{Image: linux(t, "arm64", "x"), Platform: "linux/arm64"},
		imagetest.Entry{Image: linux(t, "s390x", "x"), Platform: "linux/s390x"})
	pushIndex(t, client(t), r, idx)
	reg.Requests()

	open(t, client(t), r, "linux/amd64", "linux/arm64/v8")
	kinds := make(map[string]int)
	for _, req := range reg.Requests() {
		kinds[strings.Join(strings.Split(req, "/")[:4], "/")]++
	}
	if diff := cmp.Diff(map[string]int{"GET /v2/app/manifests": 3, "GET /v2/app/blobs": 2}, kinds); diff != "" {
		t.Error(diff)
	}
}

func TestOpenPlatforms(t *testing.T) {
	reg := imagetest.NewRegistry(t, true)
	c, r := client(t), ref(t, reg.Host+"/app:1")
	amd64 := linux(t, "amd64", "x")
	pushIndex(t, c, r, imagetest.Index(t, types.OCIImageIndex,
		imagetest.Entry{Image: amd64, Platform: "linux/amd64"},
		imagetest.Entry{Image: linux(t, "arm", "7"), Platform: "linux/arm/v7"},
		imagetest.Entry{Image: linux(t, "arm", "6"), Platform: "linux/arm/v6"},
		// No platform in the index: the image's own config has it.
		imagetest.Entry{Image: linux(t, "riscv64", "x")},
		imagetest.Entry{Image: imagetest.Artifact(t, "application/vnd.example", "x")},
		imagetest.Entry{Image: linux(t, "other", "x"), Platform: "unknown/unknown"},
		imagetest.Entry{
			Image: linux(t, "attestation", "x"),
			Extra: `"annotations":{"vnd.docker.reference.type":"attestation-manifest","vnd.docker.reference.digest":"` + digestOf(t, amd64).String() + `"}`,
		}))
	for _, tc := range []struct{ ask, want []string }{
		{nil, []string{"linux/amd64", "linux/arm/v7", "linux/arm/v6", "linux/riscv64"}},
		{[]string{"linux/arm"}, []string{"linux/arm/v7", "linux/arm/v6"}},
		{[]string{"linux/arm/v6"}, []string{"linux/arm/v6"}},
		{[]string{"linux/riscv64", "linux/amd64/v1"}, []string{"linux/amd64", "linux/riscv64"}},
	} {
		var got []string
		for _, p := range open(t, c, r, tc.ask...).Images {
			got = append(got, p.Platform.String())
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%v gives %v, want %v", tc.ask, got, tc.want)
		}
	}
	_, err := c.Open(t.Context(), r, v1.Platform{OS: "linux", Architecture: "mips"})
	requireError(t, err, image.ErrUsage, r.String(), "linux/mips", "linux/riscv64")

	single := ref(t, reg.Host+"/app:single")
	push(t, c, single, amd64)
	open(t, c, single, "linux/amd64")
	_, err = c.Open(t.Context(), single, v1.Platform{OS: "linux", Architecture: "arm64"})
	requireError(t, err, image.ErrUsage, "linux/arm64", "linux/amd64")
}

func TestOpenNestedIndex(t *testing.T) {
	c, r := client(t), ref(t, "oci:"+t.TempDir()+":1")
	idx := nestedIndex(t)
	pushIndex(t, c, r, idx)
	var got []string
	for _, p := range open(t, c, r).Images {
		got = append(got, p.Platform.String())
	}
	if want := []string{"linux/amd64", "linux/arm64"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// requireError wants an error of a kind, on one line, with certain words.
func requireError(t *testing.T, err, kind error, words ...string) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Fatalf("%v, want %v", err, kind)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%v\nlacks %q", err, w)
		}
	}
	if strings.ContainsAny(err.Error(), "\n\x1b") {
		t.Errorf("more than a line: %q", err)
	}
}

func TestRegistryErrors(t *testing.T) {
	for _, tc := range []struct {
		name   string
		status int
		body   string
		kind   error
		words  []string
	}{
		{"401", 401, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`, image.ErrUnauthorized, []string{"UNAUTHORIZED", "docker login"}},
		{"403", 403, `denied`, image.ErrUnauthorized, []string{"403", "docker login"}},
		{"404", 404, `{"errors":[{"code":"MANIFEST_UNKNOWN","message":"a\u001b[31m\nb"}]}`, image.ErrNotFound, []string{"MANIFEST_UNKNOWN", "check"}},
		{"429", 429, ``, image.ErrUnreachable, []string{"limiting requests"}},
		{"500", 500, ``, image.ErrUnreachable, []string{"500", "try again later"}},
		{"418", 418, ``, image.ErrUnreachable, []string{"418"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			reg := imagetest.NewRegistry(t, true)
			reg.Answer(func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path == "/v2/" {
					return false
				}
				http.Error(w, tc.body, tc.status)
				return true
			})
			r := ref(t, reg.Host+"/app:1")
			_, err := client(t).Open(t.Context(), r)
			requireError(t, err, tc.kind, append(tc.words, r.String())...)
		})
	}
}

func TestUnreachable(t *testing.T) {
	dead := httptest.NewServer(http.NotFoundHandler())
	host := strings.TrimPrefix(dead.URL, "http://")
	dead.Close()
	_, err := client(t).Open(t.Context(), ref(t, host+"/app:1"))
	requireError(t, err, image.ErrUnreachable, host+"/app:1", "connection refused", "check the name")

	_, err = client(t).Open(t.Context(), ref(t, "nobody.invalid/app:1"))
	requireError(t, err, image.ErrUnreachable, "nobody.invalid/app:1")
}

// onHost sends what is meant for a host to a server on loopback, for loopback itself may always speak plain HTTP.
func onHost(server *httptest.Server) http.RoundTripper {
	transport := server.Client().Transport.(*http.Transport).Clone()
	dial := (&httpDialer{addr: server.Listener.Addr().String()}).dial
	transport.DialContext = dial
	return transport
}

func TestPlainHTTP(t *testing.T) {
	reg := imagetest.NewRegistry(t, true)
	server := httptest.NewServer(reg)
	defer server.Close()
	push(t, client(t), ref(t, strings.TrimPrefix(server.URL, "http://")+"/app:1"), linux(t, "amd64", "x"))

	for _, host := range []string{"registry.example:5000", "10.1.2.3:5000"} {
		r := ref(t, host+"/app:1")
		own := func(o *image.Options) { o.Transport = onHost(server) }
		_, err := client(t, own).Open(t.Context(), r)
		requireError(t, err, image.ErrUnreachable, "plain HTTP", "--insecure-registry "+host)

		open(t, client(t, own, func(o *image.Options) { o.InsecureRegistries = []string{host} }), r)
		open(t, client(t, own, func(o *image.Options) { o.InsecureRegistries = []string{strings.Split(host, ":")[0]} }), r)
	}
}

// A registry with HTTPS must not lead anywhere without.
func TestPlainHTTPRedirect(t *testing.T) {
	reg := imagetest.NewRegistry(t, true)
	img := linux(t, "amd64", "x")
	push(t, client(t), ref(t, reg.Host+"/app:1"), img)
	server := httptest.NewTLSServer(reg)
	defer server.Close()
	reg.Answer(func(w http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "/blobs/") {
			http.Redirect(w, r, "http://storage.example/blob", http.StatusTemporaryRedirect)
			return true
		}
		return false
	})
	_, err := client(t, func(o *image.Options) { o.Transport = onHost(server) }).Open(t.Context(), ref(t, "example.com/app:1"))
	requireError(t, err, image.ErrUnreachable, "plain HTTP", "storage.example")
}

func TestCACert(t *testing.T) {
	reg := imagetest.NewRegistry(t, true)
	push(t, client(t), ref(t, reg.Host+"/app:1"), linux(t, "amd64", "x"))
	server := httptest.NewUnstartedServer(reg)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	r := ref(t, strings.TrimPrefix(server.URL, "https://")+"/app:1")

	_, err := client(t).Open(t.Context(), r)
	requireError(t, err, image.ErrUnreachable, "unknown authority", "--ca-cert")

	file := filepath.Join(t.TempDir(), "ca.pem")
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(file, cert, 0o600); err != nil {
		t.Fatal(err)
	}
	open(t, client(t, func(o *image.Options) { o.CACert = file }), r)

	for _, bad := range []string{filepath.Join(t.TempDir(), "none.pem"), "open_test.go"} {
		_, err := image.New(image.Options{CACert: bad})
		requireError(t, err, image.ErrUsage, bad)
	}
}

// What contradicts itself, or is no image, is refused from either transport.
func TestRefusedImages(t *testing.T) {
	layer := imagetest.Layer(t, types.OCILayer, map[string]string{"a": "1"})
	good := imagetest.Image(t, types.OCIManifestSchema1, "linux/amd64", map[string]string{"a": "1"})
	manifest, config := rawOf(t, good)
	withConfig := func(config string) string {
		digest, size, err := v1.SHA256(strings.NewReader(config))
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf(`{"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":%q,"size":%d},`+
			`"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":%q,"size":1}]}`, digest, size, digestOf(t, layer))
	}
	replace := func(s []byte, old, with string) string {
		if !bytes.Contains(s, []byte(old)) {
			t.Fatalf("no %s in %s", old, s)
		}
		return strings.Replace(string(s), old, with, 1)
	}
	const schema1 = `{"schemaVersion":1,"name":"a","tag":"b","fsLayers":[],"history":[]}`
	twoDiffIDs := replace(config, `"diff_ids":[`, `"diff_ids":["sha256:`+hex64+`",`)
	noHistory := replace(config, `"created_by":"RUN step 0"`, `"empty_layer":true`)
	for _, tc := range []struct {
		name     string
		manifest string
		config   string
		kind     error
		word     string
	}{
		{"schema 1", schema1, "{}", image.ErrUnsupported, "schema 1"},
		{"encrypted", replace(manifest, "tar+gzip", "tar+gzip+encrypted"), string(config), image.ErrUnsupported, "encrypted"},
		{"an artifact", replace(manifest, "application/vnd.oci.image.config.v1+json", "application/vnd.cncf.helm.config.v1+json"), string(config), image.ErrUnsupported, "helm"},
		{"more diffIDs", withConfig(twoDiffIDs), twoDiffIDs, image.ErrInvalid, "1 layers, the config 2"},
		{"history without the layer", withConfig(noHistory), noHistory, image.ErrInvalid, "its history tells of 0"},
		{"image and index", replace(manifest, `"layers"`, `"manifests":[],"layers"`), string(config), image.ErrInvalid, "neither an image nor an index, or both"},
		{"nothing", `{"schemaVersion":2}`, "{}", image.ErrInvalid, "neither"},
		{"media type of an index", replace(manifest, "image.manifest", "image.index"), string(config), image.ErrInvalid, "index"},
		{"huge config", replace(manifest, `"size": `, `"size": 9999999`), string(config), image.ErrInvalid, "claims"},
		{"negative layer", replace([]byte(withConfig("{}")), `"size":1}`, `"size":-1}`), "{}", image.ErrInvalid, "-1"},
		{"config is no JSON", withConfig("}"), "}", image.ErrInvalid, "config cannot be read"},
	} {
		for _, kind := range []string{"registry", "oci"} {
			t.Run(tc.name+" "+kind, func(t *testing.T) {
				r := place(t, kind, []byte(tc.manifest), []byte(tc.config), layer)
				_, err := client(t).Open(t.Context(), r)
				requireError(t, err, tc.kind, tc.word)
			})
		}
	}
}

func rawOf(t *testing.T, img v1.Image) (manifest, config []byte) {
	t.Helper()
	manifest, err := img.RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	config, err = img.RawConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	return manifest, config
}

// place serves bytes as they are, from a registry that takes anything or from a layout.
func place(t *testing.T, kind string, manifest, config []byte, layers ...v1.Layer) image.Ref {
	t.Helper()
	digest, _, err := v1.SHA256(bytes.NewReader(manifest))
	if err != nil {
		t.Fatal(err)
	}
	blobs := map[string][]byte{digest.String(): manifest}
	for _, l := range append(layers, static.NewLayer(config, "x")) {
		b := readAll(t, l)
		blobs[digestOf(t, l).String()] = b
	}
	if kind == "registry" {
		reg := imagetest.NewRegistry(t, true)
		reg.Answer(func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == "/v2/" {
				return false
			}
			last := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
			if last == "1" {
				last = digest.String()
			}
			if strings.Contains(r.URL.Path, "/manifests/") {
				w.Header().Set("Content-Type", "application/json")
			}
			_, err := w.Write(blobs[last])
			return err == nil
		})
		return ref(t, reg.Host+"/app:1")
	}
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "blobs/sha256"), 0o755); err != nil {
		t.Fatal(err)
	}
	for d, b := range blobs {
		if err := os.WriteFile(filepath.Join(dir, "blobs", strings.Replace(d, ":", "/", 1)), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	index := fmt.Sprintf(`{"schemaVersion":2,"manifests":[{"mediaType":%q,"digest":%q,"size":%d,"annotations":{%q:"1"}}]}`,
		types.OCIManifestSchema1, digest, len(manifest), "org.opencontainers.image.ref.name")
	writeLayout(t, dir, index)
	return ref(t, "oci:"+dir+":1")
}

func writeLayout(t *testing.T, dir, index string) {
	t.Helper()
	for name, content := range map[string]string{"index.json": index, "oci-layout": `{"imageLayoutVersion":"1.0.0"}`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// A registry that serves something else than was asked for by digest is found out.
func TestWrongDigest(t *testing.T) {
	reg := imagetest.NewRegistry(t, true)
	c, r := client(t), ref(t, reg.Host+"/app:1")
	desc := push(t, c, r, linux(t, "amd64", "x"))
	for _, tc := range []struct {
		name, part string
		ref        image.Ref
	}{
		{"manifest", "/manifests/sha256:", r.WithDigest(desc.Digest)},
		{"config", "/blobs/", r},
	} {
		t.Run(tc.name, func(t *testing.T) {
			reg.Answer(func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.Contains(r.URL.Path, tc.part) {
					return false
				}
				_, err := w.Write([]byte(`{"schemaVersion":2,"config":{},"layers":[]}`))
				return err == nil
			})
			_, err := client(t).Open(t.Context(), tc.ref)
			requireError(t, err, image.ErrVerification)
		})
	}
}

func TestOpenEmptyIndex(t *testing.T) {
	c, r := client(t), ref(t, "oci:"+t.TempDir()+":1")
	pushIndex(t, c, r, empty.Index)
	_, err := c.Open(t.Context(), r)
	requireError(t, err, image.ErrUnsupported, "no image")
}

// A manifest of any length costs no memory.
func TestHugeManifest(t *testing.T) {
	reg := imagetest.NewRegistry(t, true)
	reg.Answer(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/v2/" {
			return false
		}
		chunk := bytes.Repeat([]byte(" "), 1<<20)
		for range 1000 {
			if _, err := w.Write(chunk); err != nil {
				return true
			}
		}
		t.Error("a gigabyte was read")
		return true
	})
	_, err := client(t).Open(t.Context(), ref(t, reg.Host+"/app:1"))
	requireError(t, err, image.ErrInvalid, "MiB")
}
