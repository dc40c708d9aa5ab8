//go:build e2e

package oracle

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"path"
	"strings"
	"testing"

	"github.com/nanopatch/nanopatch/rebuild/plan"
)

// The reasons why a path keeps the state that the image's author gave it, where apt, which knows no layers and no
// author, does not keep it.
const (
	removedByAuthor    = "the author removed it, and what was removed stays removed"
	overriddenByAuthor = "a layer above the package's home layer has its own copy, which the author made"
)

// author knows what an image's author did to the files of packages that are updated.
type author struct {
	source snapshot
	// layers holds for each layer the paths that it carries, with the SHA-256 of regular files; whiteouts count as the
	// paths that they hide.
	layers []map[string]string
	// homes names for the paths of updated packages the home layer.
	homes map[string]int
	// contents lists for updated packages what they shipped before.
	contents map[string][]string
}

// studyAuthor reads what the exceptions are judged by: the layers of a layout, and the flattened image at root, which is
// not upgraded yet, with the snapshot that was taken of it.
func studyAuthor(t *testing.T, layout, root string, original snapshot, p *plan.Plan) *author {
	t.Helper()
	a := &author{source: original, homes: make(map[string]int), contents: make(map[string][]string)}
	image, _ := open(t, layout)
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range layers {
		r, err := l.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		paths, err := carried(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		a.layers = append(a.layers, paths)
	}
	for _, u := range p.Updates {
		name := qualified(u.Name, u.Arch)
		a.contents[name] = contents(t, root, a.source, name)
		for _, p := range a.contents[name] {
			a.homes[p] = u.Layer
		}
	}
	return a
}

// carried lists the paths in a layer's archive, with the digests of regular files.
func carried(r io.Reader) (map[string]string, error) {
	paths := make(map[string]string)
	archive := tar.NewReader(r)
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return paths, nil
		}
		if err != nil {
			return nil, err
		}
		dir, base := path.Split(path.Clean("/" + h.Name))
		content := sha256.New()
		if _, err := io.Copy(content, archive); err != nil {
			return nil, err
		}
		sum := ""
		if h.Typeflag == tar.TypeReg {
			sum = hex.EncodeToString(content.Sum(nil))
		}
		paths[strings.TrimPrefix(path.Join(dir, strings.TrimPrefix(base, ".wh.")), "/")] = sum
	}
}

// except returns why nanopatch's path may be as it is, "" if it may not.
func (a *author) except(p string, our, apt entry, here bool) string {
	before, existed := a.source[p]
	home, packaged := a.homes[p]
	switch {
	case !existed && !here && (packaged || a.carriedAbove(p, -1)):
		return removedByAuthor
	case !existed || !here || !packaged || !a.carriedAbove(p, home):
		return ""
	case our.same(before, true):
		if before.sum != "" && before.sum == a.layers[home][p] {
			return "" // it is the old package's content, which only has another mode or owner above
		}
		return overriddenByAuthor
	}
	our.mode, our.uid, our.gid, our.xattrs = apt.mode, apt.uid, apt.gid, apt.xattrs
	if our.same(apt, true) { // the author's copy for another mode or owner, with the update's content
		return overriddenByAuthor
	}
	return ""
}

// untouched tells whether nanopatch left a path as it was in the image; bytecode may also be gone.
func (a *author) untouched(p string, our entry, here bool) bool {
	before, existed := a.source[p]
	if !here {
		return !existed || path.Ext(p) == ".pyc" || path.Base(p) == "__pycache__"
	}
	return existed && our.same(before, !our.mode.IsDir())
}

// carriedAbove tells whether a layer above the given one carries the path.
func (a *author) carriedAbove(p string, home int) bool {
	for _, paths := range a.layers[home+1:] {
		if _, ok := paths[p]; ok {
			return true
		}
	}
	return false
}
