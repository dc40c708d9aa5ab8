package rebuild_test

import (
	"archive/tar"
	"bytes"
	"io"
	"path"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/nanopatch/nanopatch/rebuild"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/plan"
	"github.com/nanopatch/nanopatch/rebuild/rootfs"
)

// entry is one entry of a test's layer.
type entry struct {
	tar.Header
	content string
}

// withLayer puts a layer on top of an image.
func withLayer(t *testing.T, img v1.Image, entries ...entry) v1.Image {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		e.Size = int64(len(e.content))
		err := w.WriteHeader(&e.Header)
		if err == nil {
			_, err = io.WriteString(w, e.content)
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
	out, err := mutate.Append(img, mutate.Addendum{Layer: l, History: v1.History{CreatedBy: "RUN test"}})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// chowned copies everything below a directory of a tree, as `RUN chown -R 1000 DIR` does.
func chowned(t *testing.T, v *rootfs.View, dir string) []entry {
	t.Helper()
	var entries []entry
	err := v.Walk(func(n rootfs.Node) error {
		if n.Path != dir && !strings.HasPrefix(n.Path, dir+"/") {
			return nil
		}
		e := entry{Header: tar.Header{
			Name: n.Path, Typeflag: n.Type, Mode: n.Mode, Uid: 1000, Gid: 1000, ModTime: n.ModTime, Linkname: n.Linkname,
		}}
		if n.IsRegular() {
			f, err := v.OpenNode(n)
			if err != nil {
				return err
			}
			content, err := io.ReadAll(f)
			if err != nil {
				return err
			}
			e.content = string(content)
		}
		entries = append(entries, e)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

func planImage(t *testing.T, img v1.Image, opts rebuild.Options) *rebuild.Job {
	t.Helper()
	digest, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	job, err := rebuild.Plan(t.Context(), img, plan.Image{Ref: "test:old", Digest: digest}, opts)
	if err != nil {
		t.Fatal(err)
	}
	return job
}

// TestChownedCopiesFollow: a layer that changed the owner of a directory of libraries holds copies of files and links.
// They follow the update, keep that layer's owner, and no link is left dangling.
func TestChownedCopiesFollow(t *testing.T) {
	const dir = "usr/lib/x86_64-linux-gnu"
	twin := newTwin(t)
	opts := options(t, twin)
	stack, _, err := rebuild.Read(t.Context(), twin.Images[0], opts)
	if err != nil {
		t.Fatal(err)
	}
	img := withLayer(t, twin.Images[0], chowned(t, stack.Top(), dir)...)
	applied, err := planImage(t, img, opts).Apply(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	top, links := applied.Tree.Top(), 0
	for _, n := range top.Children(dir) {
		if n.Layer == 3 && n.UID != 1000 {
			t.Errorf("%s belongs to %d in the layer that chowned it", n.Path, n.UID)
		}
		if n.Type != tar.TypeSymlink {
			continue
		}
		links++
		if _, err := top.Resolve(n.Path); err != nil {
			t.Errorf("%s → %s: %v", n.Path, n.Linkname, err)
		}
	}
	if links == 0 {
		t.Error("no links: the test shows nothing")
	}
	if again := planImage(t, applied.Image, opts); !again.Plan.Empty() {
		t.Errorf("updates are left: %+v", again.Plan.Updates)
	}
}

// TestUntouchedDatabaseCopy: a layer that carries a copy of a database in which nothing changes is kept.
func TestUntouchedDatabaseCopy(t *testing.T) {
	twin := newTwin(t)
	img := withLayer(t, twin.Images[0], entry{
		Header: tar.Header{Name: "var/lib/dpkg/triggers/File", Mode: 0o644, Typeflag: tar.TypeReg}, content: "/usr/share/nothing np-local\n",
	})
	p := planImage(t, img, options(t, twin)).Plan
	if p.Empty() || p.Layers[3].Action != plan.Keep || len(p.Layers[3].Because) > 0 {
		t.Errorf("layer 3: %s because of %v", p.Layers[3].Action, p.Layers[3].Because)
	}
}

// TestOwnFileList: a layer above whose package manager wrote another file list for a package cannot follow its update;
// the update is held, the rest ships.
func TestOwnFileList(t *testing.T) {
	twin := newTwin(t)
	img := withLayer(t, twin.Images[0], entry{
		Header: tar.Header{Name: "var/lib/dpkg/info/np-tzdata.list", Mode: 0o644, Typeflag: tar.TypeReg}, content: "/.\n/usr\n",
	}, entry{
		Header: tar.Header{Name: "var/lib/dpkg/info/np-tzdata.md5sums", Mode: 0o644, Typeflag: tar.TypeReg}, content: "",
	})
	held(t, planImage(t, img, options(t, twin)).Plan, "np-tzdata", ecosystem.ReasonModifiedFile)
}

// TestTriggerAbove: a package of a layer above has a trigger on what an update changes below, and nobody knows what its
// script would do: the update is held.
func TestTriggerAbove(t *testing.T) {
	twin := newTwin(t)
	opts := options(t, twin)
	p := planTwin(t, twin, opts).Plan
	if !slices.ContainsFunc(p.Updates, func(u plan.Update) bool { return u.Name == "np-tzdata" }) {
		t.Fatal("np-tzdata is not updated anyway: the test shows nothing")
	}
	stack, _, err := rebuild.Read(t.Context(), twin.Images[0], opts)
	if err != nil {
		t.Fatal(err)
	}
	changed := ""
	for _, n := range stack.Top().Children("usr/share/np-zoneinfo") {
		changed = path.Dir(n.Path)
	}
	img := withLayer(t, twin.Images[0], entry{
		Header: tar.Header{Name: "var/lib/dpkg/triggers/File", Mode: 0o644, Typeflag: tar.TypeReg}, content: "/" + changed + " np-local\n",
	}, entry{
		Header:  tar.Header{Name: "var/lib/dpkg/info/np-local.postinst", Mode: 0o755, Typeflag: tar.TypeReg},
		content: "#!/bin/sh\nnp-compile-zones\n",
	})
	held(t, planImage(t, img, opts).Plan, "np-tzdata", ecosystem.ReasonMaintainerScript)
}

func held(t *testing.T, p *plan.Plan, name string, reason ecosystem.Reason) {
	t.Helper()
	if p.Empty() {
		t.Error("nothing else is updated either")
	}
	for _, h := range p.Held {
		if h.Name == name {
			if h.Reason != reason {
				t.Errorf("%s is held because of %s (%s), want %s", name, h.Reason, h.Detail, reason)
			}
			return
		}
	}
	t.Errorf("%s is not held; held are %+v", name, p.Held)
}
