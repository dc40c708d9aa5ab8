package rebuild_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/nanopatch/nanopatch/rebuild"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/layer"
	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
	"github.com/nanopatch/nanopatch/rebuild/plan"
	"github.com/nanopatch/nanopatch/testdata/fixture"
)

// day is when these tests take place: after the twin's repository was made, before it expires.
var day = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

func newTwin(t testing.TB) *fixture.Twin {
	t.Helper()
	twin, err := fixture.NewTwin(t.Context(), t.TempDir(), fixture.TwinOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return twin
}

// options are those of a run with a cache of its own.
func options(t testing.TB, twin *fixture.Twin) rebuild.Options {
	t.Helper()
	cache := t.TempDir()
	store, err := layer.OpenStore(filepath.Join(cache, "layers"), layer.StoreOptions{
		Keep: rebuild.Keep, KeepID: "test", KeepBlobs: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	now := func() time.Time { return day }
	client, err := pkgrepo.New(pkgrepo.Options{Dir: filepath.Join(cache, "packages"), Now: now, Transport: noNetwork{t}})
	if err != nil {
		t.Fatal(err)
	}
	return rebuild.Options{
		Store: store, Client: client, Now: now, Keyrings: []string{twin.Keyring},
		Repositories: []string{twin.Repository, twin.Second},
	}
}

// noNetwork fails a test that asks the network for anything.
type noNetwork struct{ t testing.TB }

func (n noNetwork) RoundTrip(req *http.Request) (*http.Response, error) {
	n.t.Errorf("asked the network for %s", req.URL)
	return nil, http.ErrNotSupported
}

func planTwin(t testing.TB, twin *fixture.Twin, opts rebuild.Options) *rebuild.Job {
	t.Helper()
	digest, err := twin.Images[0].Digest()
	if err != nil {
		t.Fatal(err)
	}
	name := plan.Image{Ref: "twin:old", Digest: digest, Platform: "linux/amd64"}
	job, err := rebuild.Plan(t.Context(), twin.Images[0], name, opts)
	if err != nil {
		t.Fatal(err)
	}
	return job
}

// twins are the images that the main job is tested on, a package manager each.
var twins = map[string]func(context.Context, string, fixture.TwinOptions) (*fixture.Twin, error){
	"debian": fixture.NewTwin, "alpine": fixture.NewAlpineTwin,
}

// eachTwin runs a test on each.
func eachTwin(t *testing.T, test func(t *testing.T, name string, twin *fixture.Twin)) {
	t.Helper()
	for name, build := range twins {
		t.Run(name, func(t *testing.T) {
			twin, err := build(t.Context(), t.TempDir(), fixture.TwinOptions{})
			if err != nil {
				t.Fatal(err)
			}
			test(t, name, twin)
		})
	}
}

// TestPlanTwin holds a plan against what the fixture knows to be there.
func TestPlanTwin(t *testing.T) {
	eachTwin(t, func(t *testing.T, _ string, twin *fixture.Twin) {
		checkPlan(t, twin, planTwin(t, twin, options(t, twin)).Plan)
	})
}

func checkPlan(t *testing.T, twin *fixture.Twin, p *plan.Plan) {
	t.Helper()
	if len(p.Updates) != len(twin.Updates) {
		t.Errorf("%d updates, want %d", len(p.Updates), len(twin.Updates))
	}
	for _, u := range p.Updates {
		want, ok := twin.Updates[u.Name]
		if !ok || want.From != u.From || want.To != u.To || want.Layer != u.Layer {
			t.Errorf("update %s %s → %s at home in layer %d, want %+v", u.Name, u.From, u.To, u.Layer, want)
		}
	}
	held := make(map[string]string)
	for _, h := range p.Held {
		held[h.Name] = string(h.Reason)
	}
	for name, reason := range twin.Held {
		if held[name] != reason {
			t.Errorf("%s is held because of %q, want %q", name, held[name], reason)
		}
	}
	if len(p.Held) != len(twin.Held) {
		t.Errorf("held %v, want %v", held, twin.Held)
	}
	for i, u := range p.Unmanaged {
		if i >= len(twin.Unmanaged) || u.Name != twin.Unmanaged[i] {
			t.Errorf("unmanaged %v, want %v", p.Unmanaged, twin.Unmanaged)
		}
	}
}

// golden are the digests of the rebuilt twins. They change only with a stated reason: with compression, with the order or the
// headers of what is written, or with the twin itself.
var golden = map[string]string{
	"debian": "sha256:163608ca26f708f02e0daae32df9503d6956bc2baecdac6b0d9abcda6604064c",
	"alpine": "sha256:c018f1b93d973f95428b6006a2147d90c5860f26f117f27390e059fe2b875efe",
}

// TestApplyTwin: exactly the layers that the plan rewrites are others afterwards, the new layers are what the plan's
// edits promised, and nothing is left to do.
func TestApplyTwin(t *testing.T) { eachTwin(t, checkApply) }

func checkApply(t *testing.T, name string, twin *fixture.Twin) {
	opts := options(t, twin)
	job := planTwin(t, twin, opts)
	applied, err := job.Apply(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	before, after := layerDigests(t, twin.Images[0]), layerDigests(t, applied.Image)
	if len(before) != len(after) {
		t.Fatalf("%d layers became %d", len(before), len(after))
	}
	for i, l := range job.Plan.Layers {
		if changed := before[i] != after[i]; changed != (l.Action == plan.Rewrite) {
			t.Errorf("layer %d: %s, but %s became %s", i, l.Action, before[i], after[i])
		}
	}
	digest, err := applied.Image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	if digest.String() != golden[name] {
		t.Errorf("the rebuilt twin is %s, not %s", digest, golden[name])
	}
	again, err := rebuild.Plan(t.Context(), applied.Image, plan.Image{Ref: "twin:new", Digest: digest}, opts)
	if err != nil {
		t.Fatal(err)
	}
	if len(again.Plan.Updates) > 0 {
		t.Errorf("%d updates are left after the rebuild: %+v", len(again.Plan.Updates), again.Plan.Updates)
	}
	if unchanged, err := again.Apply(t.Context()); err != nil || unchanged.Image != applied.Image {
		t.Errorf("an empty plan made another image (%v)", err)
	}
}

// serving answers by URL, and 404 for all else.
type serving map[string]string

func (s serving) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	if text, ok := s[r.URL.String()]; ok {
		_, _ = w.WriteString(text)
	} else {
		w.WriteHeader(http.StatusNotFound)
	}
	return w.Result(), nil
}

// TestSecDB: what Alpine's own database says of the updates is in the plan, under the database's name, from a file or fetched
// from where Alpine publishes it.
func TestSecDB(t *testing.T) {
	twin, err := fixture.NewAlpineTwin(t.Context(), t.TempDir(), fixture.TwinOptions{})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "main.json")
	const database = `{"distroversion": "v3.23", "reponame": "main", "apkurl": "", "packages": [
		{"pkg": {"name": "np-openssl", "secfixes": {"3.1.4-r6": ["CVE-2026-2001"], "3.1.6-r0": ["CVE-2026-2002"], "3.1.7-r0": ["CVE-2026-2003"]}}},
		{"pkg": {"name": "np-perl", "secfixes": {"0": ["CVE-2026-2004"]}}}]}`
	if err := os.WriteFile(file, []byte(database), 0o600); err != nil {
		t.Fatal(err)
	}
	opts := options(t, twin)
	plain, err := planTwin(t, twin, opts).Plan.Digest()
	if err != nil {
		t.Fatal(err)
	}
	const base = "https://secdb.alpinelinux.org/v3.23/"
	opts.Client, err = pkgrepo.New(pkgrepo.Options{
		Dir: t.TempDir(), Now: opts.Now, Tries: 1, Transport: serving{
			base + "main.json": database, base + "community.json": `{"distroversion": "v3.23", "reponame": "community", "packages": []}`,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	for from, name := range map[string]string{file: "main.json", rebuild.PublishedAdvisories: base + "main.json"} {
		opts.Advisories = []string{from}
		p := planTwin(t, twin, opts).Plan
		if digest, err := p.Digest(); err != nil || digest != plain {
			t.Errorf("the plan's digest is %s with advisories, %s without (%v)", digest, plain, err)
		}
		for _, u := range p.Updates {
			want, ok := map[string]string{"np-openssl": "CVE-2026-2001 CVE-2026-2002", "np-perl": ""}[u.Name]
			if got := strings.Join(u.CVEs, " "); got != want || ok != (len(u.Advisories) == 1 && u.Advisories[0].Name == name) {
				t.Errorf("%s: got %q out of %+v, want %q", u.Name, got, u.Advisories, want)
			}
		}
	}
	// One that is not there is an error.
	opts.Advisories = []string{"https://secdb.alpinelinux.org/none.json"}
	digest, err := twin.Images[0].Digest()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rebuild.Plan(t.Context(), twin.Images[0], plan.Image{Ref: "twin:old", Digest: digest}, opts); !errors.Is(err, pkgrepo.ErrNotFound) {
		t.Errorf("a document that is not there: got %v", err)
	}
}

func layerDigests(t *testing.T, img v1.Image) []v1.Hash {
	t.Helper()
	m, err := img.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	var digests []v1.Hash
	for _, l := range m.Layers {
		digests = append(digests, l.Digest)
	}
	return digests
}

// TestMinAge: how old a package is shows only in its file, so the plan is made again once the files are at hand.
func TestMinAge(t *testing.T) {
	twin := newTwin(t)
	opts := options(t, twin)
	opts.Rules.Now, opts.Rules.MinAge = day, 100*365*24*time.Hour
	p := planTwin(t, twin, opts).Plan
	if !p.Empty() {
		t.Errorf("%d updates younger than a hundred years", len(p.Updates))
	}
	young := 0
	for _, h := range p.Held {
		if h.Reason == ecosystem.ReasonMinAge {
			young++
		}
	}
	if young == 0 {
		t.Errorf("nothing is held for its age: %+v", p.Held)
	}
}

// TestNoArtifact: an update whose package file is gone is held, what needs it too, and the rest ships.
func TestNoArtifact(t *testing.T) {
	twin := newTwin(t)
	files, err := filepath.Glob(filepath.Join(twin.Repository, "pool", "*", "*", "*", "np-libssl3_3.0.22*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no np-libssl3 in the pool: %v", err)
	}
	for _, f := range files {
		if err := os.Remove(f); err != nil {
			t.Fatal(err)
		}
	}
	p := planTwin(t, twin, options(t, twin)).Plan
	reasons := map[string]ecosystem.Reason{}
	for _, h := range p.Held {
		reasons[h.Name] = h.Reason
	}
	if reasons["np-libssl3"] != ecosystem.ReasonNoArtifact || reasons["np-openssl"] != ecosystem.ReasonDependency {
		t.Errorf("held: %v", reasons)
	}
	if p.Empty() {
		t.Error("the rest does not ship")
	}
}

// TestHoldEverything: nothing selected is nothing to do, and every hold says so.
func TestHoldEverything(t *testing.T) {
	twin := newTwin(t)
	opts := options(t, twin)
	opts.Rules.Only = []string{"no-such-package"}
	p := planTwin(t, twin, opts).Plan
	if !p.Empty() || p.Rewritten() != 0 {
		t.Errorf("%d updates, %d layers to rewrite", len(p.Updates), p.Rewritten())
	}
	for _, h := range p.Held {
		if h.Reason != ecosystem.ReasonRule && h.Reason != ecosystem.ReasonDistroHold {
			t.Errorf("%s is held because of %s: %s", h.Name, h.Reason, h.Detail)
		}
	}
}
