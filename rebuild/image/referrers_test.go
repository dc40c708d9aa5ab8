package image_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/nanopatch/nanopatch/rebuild/image"
	"github.com/nanopatch/nanopatch/rebuild/image/imagetest"
)

// Without the referrers API the list is a tag. Another process that writes it at the same time loses our entry: we see
// that and write again.
func TestAttachSurvivesALostUpdate(t *testing.T) {
	reg := imagetest.NewRegistry(t, false)
	r := ref(t, reg.Host+"/app:1")
	answer, failed := failFirst(2, `^PUT .*/manifests/sha256-`, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusCreated)
	})
	reg.Answer(answer)
	c := client(t)
	desc := push(t, c, r, linux(t, "amd64", "x"))
	repo, err := c.Repository(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := repo.Attach(t.Context(), desc, imagetest.Artifact(t, "application/vnd.example", "x")); err != nil {
		t.Fatal(err)
	}
	if found, err := repo.Referrers(t.Context(), desc.Digest); err != nil || len(found) != 1 || failed.Load() != 2 {
		t.Errorf("%d referrers, %v, after %d lost updates", len(found), err, failed.Load())
	}
	answer, _ = failFirst(1000, `^PUT .*/manifests/sha256-`, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusCreated)
	})
	reg.Answer(answer)
	err = repo.Attach(t.Context(), desc, imagetest.Artifact(t, "application/vnd.example", "y"))
	requireError(t, err, image.ErrUnreachable, "does not list it")
}

// A list of referrers is whatever someone wrote: what is gone, refers elsewhere or is no manifest is passed over.
func TestReferrersListIsNotBelieved(t *testing.T) {
	reg := imagetest.NewRegistry(t, false)
	r := ref(t, reg.Host+"/app:1")
	c := client(t)
	desc := push(t, c, r, linux(t, "amd64", "x"))
	repo, err := c.Repository(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := repo.Attach(t.Context(), desc, imagetest.Artifact(t, "application/vnd.example", "x")); err != nil {
		t.Fatal(err)
	}
	attached, err := repo.Referrers(t.Context(), desc.Digest)
	if err != nil || len(attached) != 1 {
		t.Fatal(len(attached), err)
	}
	entry := func(mediaType types.MediaType, h v1.Hash) string {
		return fmt.Sprintf(`{"mediaType":%q,"size":1,"digest":%q}`, mediaType, h)
	}
	list := []string{
		entry(types.OCIManifestSchema1, someDigest),
		entry(types.OCIManifestSchema1, desc.Digest),
		entry("application/octet-stream", someDigest),
		entry(types.OCIManifestSchema1, digestOf(t, attached[0])),
		entry(types.OCIManifestSchema1, digestOf(t, attached[0])),
	}
	serve := func(list []string) {
		reg.Answer(func(w http.ResponseWriter, req *http.Request) bool {
			if req.Method != http.MethodGet || !strings.Contains(req.URL.Path, "/manifests/sha256-") {
				return false
			}
			w.Header().Set("Content-Type", string(types.OCIImageIndex))
			fmt.Fprintf(w, `{"schemaVersion":2,"mediaType":%q,"manifests":[%s]}`, types.OCIImageIndex, strings.Join(list, ","))
			return true
		})
	}
	serve(list)
	found, err := repo.Referrers(t.Context(), desc.Digest)
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != 1 || digestOf(t, found[0]) != digestOf(t, attached[0]) {
		t.Errorf("%d referrers", len(found))
	}
	var many []string
	for i := range 1001 {
		many = append(many, entry(types.OCIManifestSchema1, v1.Hash{Algorithm: "sha256", Hex: fmt.Sprintf("%064x", i)}))
	}
	serve(many)
	_, err = repo.Referrers(t.Context(), desc.Digest)
	requireError(t, err, image.ErrInvalid, "1001")
}

// What is attached to an image that has the same subject already, or that lies in another repository, is copied whole.
func TestAttachCopiesFromElsewhere(t *testing.T) {
	reg := imagetest.NewRegistry(t, true)
	c := client(t)
	from, to := ref(t, reg.Host+"/from:1"), ref(t, "oci:"+t.TempDir()+":1")
	img := linux(t, "amd64", "x")
	desc := push(t, c, from, img)
	source, err := c.Repository(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := source.Attach(t.Context(), desc, imagetest.Artifact(t, "application/vnd.example", "payload")); err != nil {
		t.Fatal(err)
	}
	push(t, c, to, open(t, c, from).Images[0].Image)
	dest, err := c.Repository(to)
	if err != nil {
		t.Fatal(err)
	}
	artifacts, err := source.Referrers(t.Context(), desc.Digest)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range artifacts {
		if err := dest.Attach(t.Context(), desc, a); err != nil {
			t.Fatal(err)
		}
	}
	copied, err := dest.Referrers(t.Context(), desc.Digest)
	if err != nil || len(copied) != 1 {
		t.Fatal(len(copied), err)
	}
	if digestOf(t, copied[0]) != digestOf(t, artifacts[0]) {
		t.Error("the copy has another digest")
	}
	layers, err := copied[0].Layers()
	if err != nil {
		t.Fatal(err)
	}
	if got := string(readAll(t, layers[0])); got != "payload" {
		t.Errorf("%q", got)
	}
}
