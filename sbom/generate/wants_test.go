package generate

import (
	"context"
	"io"
	"io/fs"
	"slices"
	"sync"
	"testing"

	"github.com/anchore/syft/syft"
	"github.com/anchore/syft/syft/artifact"
	"github.com/anchore/syft/syft/file"
	"github.com/anchore/syft/syft/source"
	"github.com/google/go-cmp/cmp"
)

// questions is a source of an empty image that records what it is searched for.
type questions struct {
	mu           sync.Mutex
	paths, types map[string]bool
}

func (q *questions) ask(set map[string]bool, what ...string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, w := range what {
		set[w] = true
	}
}

func (q *questions) FilesByPath(p ...string) ([]file.Location, error) {
	q.ask(q.paths, p...)
	return nil, nil
}

func (q *questions) FilesByGlob(p ...string) ([]file.Location, error) {
	q.ask(q.paths, p...)
	return nil, nil
}

func (q *questions) FilesByMIMEType(t ...string) ([]file.Location, error) {
	q.ask(q.types, t...)
	return nil, nil
}

func (q *questions) HasPath(string) bool { return false }

func (q *questions) RelativeFileByPath(file.Location, string) *file.Location { return nil }

func (q *questions) FileContentsByLocation(file.Location) (io.ReadCloser, error) {
	return nil, fs.ErrNotExist
}

func (q *questions) FileMetadataByLocation(file.Location) (file.Metadata, error) {
	return file.Metadata{}, fs.ErrNotExist
}

func (q *questions) AllLocations(context.Context) <-chan file.Location {
	none := make(chan file.Location)
	close(none)
	return none
}

func (q *questions) ID() artifact.ID { return "empty" }

func (q *questions) FileResolver(source.Scope) (file.Resolver, error) { return q, nil }

func (q *questions) Describe() source.Description {
	return source.Description{Metadata: source.ImageMetadata{}}
}

func (q *questions) Close() error { return nil }

func keys(set map[string]bool) []string {
	var out []string
	for k := range set {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// TestCatalogerGlobs asks the catalogers what they search images for, and wants the list in globs.go to be just that.
func TestCatalogerGlobs(t *testing.T) {
	q := &questions{paths: map[string]bool{}, types: map[string]bool{}}
	if _, err := syft.CreateSBOM(t.Context(), q, generator().config(Squashed)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(keys(q.paths), slices.Sorted(slices.Values(catalogerGlobs))); diff != "" {
		t.Errorf("catalogerGlobs (-asked +listed):\n%s", diff)
	}
	if diff := cmp.Diff(keys(q.types), keys(executableTypes)); diff != "" {
		t.Errorf("executableTypes (-asked +listed):\n%s", diff)
	}
}

func TestWants(t *testing.T) {
	elf := []byte("\x7fELF\x02\x01\x01")
	for _, c := range []struct {
		path string
		head []byte
		size int64
		want bool
	}{
		{"var/lib/dpkg/status", nil, 10, true},
		{"var/lib/dpkg/status-old", nil, 10, false},
		{"var/lib/dpkg/status.d/base-files", nil, 10, true},
		{"var/lib/dpkg/status.d/base-files.md5sums", nil, 10, true},
		{"var/lib/dpkg/info/libc6:amd64.md5sums", nil, 10, true},
		{"var/lib/dpkg/info/libc6:amd64.list", nil, 10, false},
		{"usr/share/doc/libc6/copyright", nil, 10, true},
		{"usr/share/doc/libc6/changelog.gz", nil, 10, false},
		{"lib/apk/db/installed", nil, 10, true},
		{"usr/lib/sysimage/rpm/rpmdb.sqlite", nil, 10, true},
		{"usr/share/rpm/Packages", nil, 10, true},
		{"usr/lib/os-release", nil, 10, true},
		{"etc/debian_version", nil, 10, true},
		{"usr/lib/python3/dist-packages/six-1.16.0.egg-info/PKG-INFO", nil, 10, true},
		{"a/b-1.dist-info/RECORD", nil, 10, true},
		{"a/b-1.dist-info/licenses/LICENSE.apache", nil, 10, true},
		{"a/RECORD", nil, 10, false},
		{"srv/node_modules/a/package.json", nil, 10, true},
		{"srv/node_modules/a/index.js", nil, 10, false},
		{"srv/node_modules/a/LICENSE", nil, 10, true},
		{"app/x.jar", nil, 10, true},
		{"app/x.ko.gz", nil, 10, false},
		{"usr/lib/modules/6.1/kernel/x.ko.gz", nil, 10, true},
		{"models/x.gguf", nil, 10, false},
		{"usr/bin/true", elf, 10, true},
		{"usr/bin/python3.11", []byte("#!/bin/sh"), 10, true},
		{"usr/bin/script", []byte("#!/bin/sh"), 10, false},
		{"app/x.dll", []byte("MZ"), 10, true},
		{"var/lib/dpkg/status", nil, 0, false},
		{"usr/bin/true", elf, 0, false},
	} {
		if got := Wants(c.path, 0o644, c.size, c.head); got != c.want {
			t.Errorf("Wants(%q, %d bytes, %q) = %t", c.path, c.size, c.head, got)
		}
	}
	if id := WantsID(); len(id) != 16 || id != WantsID() {
		t.Errorf("WantsID is %q", id)
	}
}

func BenchmarkWants(b *testing.B) {
	paths := []string{"usr/share/zoneinfo/Europe/Berlin", "usr/lib/x86_64-linux-gnu/perl-base/IO/File.pm", "var/lib/dpkg/info/libc6:amd64.list", "usr/bin/env"}
	for b.Loop() {
		for _, p := range paths {
			Wants(p, 0o644, 1000, []byte("#!/bin/sh"))
		}
	}
}
