package rebuild_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/nanopatch/nanopatch/rebuild"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/image"
	"github.com/nanopatch/nanopatch/rebuild/layer"
	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
	"github.com/nanopatch/nanopatch/rebuild/plan"
	"github.com/nanopatch/nanopatch/testdata/fixture"
)

// program is the file that the tests change; its package is one of the twin's updates.
const program, programPackage = "usr/bin/np-openssl", "np-openssl"

// edited is the twin's image with its program changed in the layer that installed it; without content it is removed.
func edited(t *testing.T, twin *fixture.Twin, store *layer.Store, content []byte) v1.Image {
	t.Helper()
	home := twin.Updates[programPackage].Layer
	layers, err := twin.Images[0].Layers()
	if err != nil {
		t.Fatal(err)
	}
	x, err := store.Index(t.Context(), layers[home])
	if err != nil {
		t.Fatal(err)
	}
	e, ok := x.Lookup(program)
	if !ok {
		t.Fatalf("no %s in layer %d", program, home)
	}
	edits := layer.Edits{program: nil}
	if content != nil {
		if edits[program], err = layer.NewFile(*e, layer.Bytes(content)); err != nil {
			t.Fatal(err)
		}
	}
	changed, _, err := store.Rewrite(t.Context(), layers[home], x, edits)
	if err != nil {
		t.Fatal(err)
	}
	img, _, err := image.Rebuild(twin.Images[0], []image.LayerChange{{Index: home, New: changed}}, image.RebuildOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// programAfter is the program in the rebuilt image, nil where it is not there.
func programAfter(t *testing.T, job *rebuild.Job) []byte {
	t.Helper()
	applied, err := job.Apply(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b, err := applied.Tree.Top().ReadFile(program)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return b
}

func TestOnModified(t *testing.T) {
	twin := newTwin(t)
	opts := options(t, twin)
	img := edited(t, twin, opts.Store, []byte("patched by hand"))
	digests := make(map[v1.Hash]ecosystem.OnModified)
	for _, choice := range []ecosystem.OnModified{ecosystem.HoldModified, ecosystem.OverwriteModified, ecosystem.KeepModified} {
		opts.Edits.OnModified = choice
		job := planImage(t, img, opts)
		held := slices.ContainsFunc(job.Plan.Held, func(h plan.Hold) bool {
			return h.Name == programPackage && h.Reason == ecosystem.ReasonModifiedFile
		})
		if held != (choice == ecosystem.HoldModified) {
			t.Errorf("%s: held for its file: %t", choice, held)
		}
		if kept := string(programAfter(t, job)) == "patched by hand"; kept != (choice != ecosystem.OverwriteModified) {
			t.Errorf("%s: the file is kept: %t", choice, kept)
		}
		digest, err := job.Plan.Digest()
		if err != nil {
			t.Fatal(err)
		}
		if other, ok := digests[digest]; ok {
			t.Errorf("plans of %s and %s have the same digest", choice, other)
		}
		digests[digest] = choice
	}
}

func TestRestoreMissing(t *testing.T) {
	twin := newTwin(t)
	opts := options(t, twin)
	img := edited(t, twin, opts.Store, nil)
	for _, restore := range []bool{false, true} {
		opts.Edits.RestoreMissing = restore
		if back := programAfter(t, planImage(t, img, opts)) != nil; back != restore {
			t.Errorf("restore %t: the deleted file is back: %t", restore, back)
		}
	}
}

// TestSourceDateEpoch: an epoch before everything is the time of everything generated, the image's own included.
func TestSourceDateEpoch(t *testing.T) {
	twin := newTwin(t)
	opts := options(t, twin)
	plain, err := planTwin(t, twin, opts).Plan.Digest()
	if err != nil {
		t.Fatal(err)
	}
	epoch := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	opts.Edits.SourceDateEpoch = epoch
	job := planTwin(t, twin, opts)
	applied, err := job.Apply(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	config, err := applied.Image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if !config.Created.Equal(epoch) {
		t.Errorf("created %s, want %s", config.Created, epoch)
	}
	status, ok := applied.Tree.Top().Lookup("var/lib/dpkg/status")
	if !ok || !status.ModTime.Equal(epoch) {
		t.Errorf("the package database is of %s, want %s", status.ModTime, epoch)
	}
	if digest, err := job.Plan.Digest(); err != nil || digest == plain {
		t.Errorf("the plan's digest does not show the epoch (%v)", err)
	}
}

// TestLocked: a lock made with unusual choices gives the same image from the package files alone.
func TestLocked(t *testing.T) {
	twin := newTwin(t)
	opts := options(t, twin)
	opts.Edits = plan.Options{OnModified: ecosystem.OverwriteModified, SourceDateEpoch: day}
	job := planTwin(t, twin, opts)
	lock := plan.NewLock("test", v1.Hash{})
	lock.Add(job.Plan)

	locked := options(t, twin)
	locked.Repositories, locked.Keyrings, locked.Lock = nil, nil, &lock.Platforms[0]
	again := planTwin(t, twin, locked)
	if diff := cmp.Diff(job.Plan.Updates, again.Plan.Updates); diff != "" {
		t.Errorf("updates (-free +locked):\n%s", diff)
	}
	if again.Plan.Distro != job.Plan.Distro || again.Plan.Distro.ID == "" {
		t.Errorf("distribution %+v, want %+v", again.Plan.Distro, job.Plan.Distro)
	}
	if a, b := imageDigest(t, job), imageDigest(t, again); a != b {
		t.Errorf("digest %s, locked %s", a, b)
	}

	// What the lock claims of an update is not believed.
	lied := lock.Platforms[0]
	lied.Updates = slices.Clone(lied.Updates)
	lied.Updates[0].PURL, lied.Updates[0].Source = "pkg:deb/debian/innocent@1", "innocent"
	locked.Lock = &lied
	if u := planTwin(t, twin, locked).Plan.Updates[0]; u.PURL != job.Plan.Updates[0].PURL || u.Source != job.Plan.Updates[0].Source {
		t.Errorf("the lockfile's word is taken for %s of %s", u.PURL, u.Source)
	}
}

func imageDigest(t *testing.T, job *rebuild.Job) v1.Hash {
	t.Helper()
	applied, err := job.Apply(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	digest, err := applied.Image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return digest
}

// TestLockedArtifactGone: a package file that is no longer served is the server's fault, not the lockfile's.
func TestLockedArtifactGone(t *testing.T) {
	twin := newTwin(t)
	lock := plan.NewLock("test", v1.Hash{})
	lock.Add(planTwin(t, twin, options(t, twin)).Plan)
	if err := os.RemoveAll(filepath.Join(twin.Repository, "pool")); err != nil {
		t.Fatal(err)
	}
	opts := options(t, twin)
	opts.Lock = &lock.Platforms[0]
	_, err := rebuild.Plan(t.Context(), twin.Images[0], plan.Image{}, opts)
	if !errors.Is(err, pkgrepo.ErrNotFound) || errors.Is(err, plan.ErrLock) {
		t.Errorf("%v", err)
	}
}
