package rebuild_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/nanopatch/nanopatch/rebuild"
	"github.com/nanopatch/nanopatch/rebuild/plan"
	"github.com/nanopatch/nanopatch/rebuild/rootfs"
	"github.com/nanopatch/nanopatch/testdata/fixture"
)

// rebuiltTwin is a twin's rebuilt image, read as a stranger reads it, and its lock.
func rebuiltTwin(t *testing.T, twin *fixture.Twin, opts rebuild.Options) (*rootfs.Stack, *plan.PlatformLock) {
	t.Helper()
	job := planTwin(t, twin, opts)
	applied, err := job.Apply(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	lock := plan.NewLock("test", v1.Hash{})
	lock.Add(job.Plan)
	return stackOfImage(t, applied.Image, opts), &lock.Platforms[0]
}

func stackOfImage(t *testing.T, img v1.Image, opts rebuild.Options) *rootfs.Stack {
	t.Helper()
	tree, _, err := rebuild.Read(t.Context(), img, opts)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// TestCheckFiles holds rebuilt images against their package files, and others of which the lock is not true.
func TestCheckFiles(t *testing.T) {
	eachTwin(t, func(t *testing.T, _ string, twin *fixture.Twin) {
		opts := options(t, twin)
		tree, lock := rebuiltTwin(t, twin, opts)
		checked, err := rebuild.CheckFiles(t.Context(), tree, lock, opts)
		if err != nil || checked.Same < len(lock.Updates) || len(checked.Written) > 0 || len(lock.WrittenFiles) > 0 {
			t.Fatalf("%+v, %v", checked, err)
		}
		old := stackOfImage(t, twin.Images[0], opts)
		if _, err := rebuild.CheckFiles(t.Context(), old, lock, opts); !errors.Is(err, rebuild.ErrFiles) {
			t.Errorf("the source passes for the rebuilt image: %v", err)
		}
		for name, change := range map[string]func(*plan.PlatformLock){
			"another package's file": func(l *plan.PlatformLock) { l.Updates[0].Artifact = l.Updates[1].Artifact },
			"another version":        func(l *plan.PlatformLock) { l.Updates[0].To += "x" },
			"another layer":          func(l *plan.PlatformLock) { l.Updates[0].Layer = 99 },
			"another kind":           func(l *plan.PlatformLock) { l.Updates[0].Type = "rpm" },
			"no digest":              func(l *plan.PlatformLock) { l.Updates[0].Artifact.SHA256 = "" },
		} {
			forged := *lock
			forged.Updates = append([]plan.Update(nil), lock.Updates...)
			change(&forged)
			if _, err := rebuild.CheckFiles(t.Context(), tree, &forged, opts); !errors.Is(err, rebuild.ErrFiles) {
				t.Errorf("%s: %v", name, err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := rebuild.CheckFiles(ctx, tree, lock, opts); !errors.Is(err, context.Canceled) {
			t.Errorf("interrupted: %v", err)
		}
	})
}

// TestWrittenFiles: a package's script writes a file of the package anew. The lock says so, with the digest, and no other
// content passes for it.
func TestWrittenFiles(t *testing.T) {
	const page = "usr/share/np-nginx/index.html"
	twin, err := fixture.NewTwin(t.Context(), t.TempDir(), fixture.TwinOptions{Postinsts: map[string]string{
		"np-nginx": "#!/bin/sh\nset -e\nif [ \"$1\" = configure ]; then\n\techo configured > /" + page + "\nfi\n",
	}})
	if err != nil {
		t.Fatal(err)
	}
	opts := options(t, twin)
	tree, lock := rebuiltTwin(t, twin, opts)
	if len(lock.WrittenFiles) != 1 || lock.WrittenFiles[0].Path != page || !strings.HasPrefix(lock.WrittenFiles[0].Package, "np-nginx") {
		t.Fatalf("written %+v", lock.WrittenFiles)
	}
	checked, err := rebuild.CheckFiles(t.Context(), tree, lock, opts)
	if err != nil || len(checked.Written) != 1 {
		t.Fatalf("%+v, %v", checked, err)
	}
	for name, written := range map[string][]plan.WrittenFile{
		"not said":            nil,
		"with another digest": {{Path: page, Package: lock.WrittenFiles[0].Package, SHA256: strings.Repeat("0", 64)}},
		"without a digest":    {{Path: page, Package: lock.WrittenFiles[0].Package}},
		"of another package":  {{Path: page, Package: "np-base:amd64", SHA256: lock.WrittenFiles[0].SHA256}},
	} {
		forged := *lock
		forged.WrittenFiles = written
		if _, err := rebuild.CheckFiles(t.Context(), tree, &forged, opts); !errors.Is(err, rebuild.ErrFiles) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
