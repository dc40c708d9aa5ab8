package pipeline_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/nanopatch/nanopatch/cmd/nanopatch/internal/pipeline"
	"github.com/nanopatch/nanopatch/cmd/nanopatch/internal/term"
	"github.com/nanopatch/nanopatch/rebuild"
	"github.com/nanopatch/nanopatch/rebuild/image"
	"github.com/nanopatch/nanopatch/rebuild/policy"
	"github.com/nanopatch/nanopatch/testdata/fixture"
)

// day is when these tests take place: after the twin's repository was made, before it expires.
func day() time.Time { return time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC) }

func open(t *testing.T) *pipeline.Session {
	t.Helper()
	s, err := pipeline.Open(pipeline.Config{CacheDir: t.TempDir(), Version: "test", Now: day, Progress: term.Silent{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func newTwin(t *testing.T) *fixture.Twin {
	t.Helper()
	twin, err := fixture.NewTwin(t.Context(), t.TempDir(), fixture.TwinOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return twin
}

// nothing plans with the twin's repositories and selects no package, so that no SBOM is made.
func nothing(twin *fixture.Twin) pipeline.Updates {
	return pipeline.Updates{
		Rules: policy.Rules{Only: []string{"no-such-package"}}, Keyrings: []string{twin.Keyring},
		Repositories: []string{twin.Repository, fixture.SecurityMirror(twin.Repository)},
	}
}

func parse(t *testing.T, name string) image.Ref {
	t.Helper()
	ref, err := image.Parse(name)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

// bare is an image without a package database.
func bare(t *testing.T, os, arch string) v1.Image {
	t.Helper()
	img, err := mutate.ConfigFile(mutate.MediaType(empty.Image, types.OCIManifestSchema1), &v1.ConfigFile{
		OS: os, Architecture: arch, RootFS: v1.RootFS{Type: "layers", DiffIDs: []v1.Hash{}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return mutate.ConfigMediaType(img, types.OCIConfigJSON)
}

// TestForeignPlatforms: the images of an index that cannot be rebuilt stay as they are, unless somebody asked for them.
func TestForeignPlatforms(t *testing.T) {
	twin, dir := newTwin(t), filepath.Join(t.TempDir(), "layout")
	err := fixture.WriteLayoutIndex(dir, "old", twin.Images[0], bare(t, "windows", "amd64"), bare(t, "linux", "s390x"))
	if err == nil {
		err = fixture.WriteLayoutIndex(dir, "bare", bare(t, "windows", "amd64"), bare(t, "linux", "s390x"))
	}
	if err != nil {
		t.Fatal(err)
	}
	s, source := open(t), parse(t, "oci:"+dir+":old")
	planned, err := s.Plan(t.Context(), source, nil, nothing(twin))
	if err != nil {
		t.Fatal(err)
	}
	if len(planned.Jobs) != 1 || planned.Jobs[0].Plan.Image.Platform != "linux/amd64" {
		t.Errorf("%d plans", len(planned.Jobs))
	}
	notes := strings.Join(planned.Notes, "\n")
	for _, platform := range []string{"windows/amd64", "linux/s390x"} {
		if !strings.Contains(notes, platform+" stays as it is") {
			t.Errorf("nothing is said of %s:\n%s", platform, notes)
		}
		p, err := v1.ParsePlatform(platform)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Plan(t.Context(), source, []v1.Platform{*p}, nothing(twin)); !errors.Is(err, rebuild.ErrNoPackages) {
			t.Errorf("--platform %s: %v", platform, err)
		}
	}
	if _, err := s.Plan(t.Context(), parse(t, "oci:"+dir+":bare"), nil, nothing(twin)); !errors.Is(err, rebuild.ErrNoPackages) {
		t.Errorf("an index without any packages: %v", err)
	}
}

// TestTagMovedMeanwhile: what somebody pushed to the source's tag during the run is not overwritten. Another tag is the
// user's to move.
func TestTagMovedMeanwhile(t *testing.T) {
	twin, dir := newTwin(t), filepath.Join(t.TempDir(), "layout")
	if err := fixture.WriteLayout(dir, "old", twin.Images[0]); err != nil {
		t.Fatal(err)
	}
	s, source := open(t), parse(t, "oci:"+dir+":old")
	planned, err := s.Plan(t.Context(), source, nil, nothing(twin))
	if err != nil {
		t.Fatal(err)
	}
	publish := func(tags ...string) error {
		var refs []image.Ref
		for _, tag := range tags {
			refs = append(refs, parse(t, "oci:"+dir+":"+tag))
		}
		destinations, err := image.Destinations(refs)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Rebuild(t.Context(), planned, pipeline.Request{Destinations: destinations})
		return err
	}
	if err := publish("old"); err != nil {
		t.Errorf("the tag still names the source: %v", err)
	}
	if err := fixture.WriteLayout(dir, "old", bare(t, "linux", "amd64")); err != nil {
		t.Fatal(err)
	}
	err = publish("new", "old")
	if !errors.Is(err, pipeline.ErrTagMoved) || !strings.Contains(err.Error(), "moved by then: oci:"+dir+":new") {
		t.Errorf("the tag was moved meanwhile: %v", err)
	}
	if err := publish("new"); err != nil {
		t.Errorf("another tag: %v", err)
	}
}
