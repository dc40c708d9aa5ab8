package apk

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem/overlay"
	"github.com/nanopatch/nanopatch/rebuild/layer"
	"github.com/nanopatch/nanopatch/rebuild/rootfs"
)

// memoryIndexer indexes packages without a cache.
type memoryIndexer struct{}

func (memoryIndexer) IndexTar(ctx context.Context, _ string, open layer.Opener) (*layer.Index, error) {
	r, err := open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return layer.Scan(ctx, r, layer.ScanOptions{Keep: layer.KeepAll})
}

func viewOf(t testing.TB, layers ...*layer.Index) *rootfs.View {
	t.Helper()
	s, err := rootfs.New(layers)
	if err != nil {
		t.Fatal(err)
	}
	return s.Top()
}

func scan(t testing.TB, r io.Reader) *layer.Index {
	t.Helper()
	x, err := layer.Scan(context.Background(), r, layer.ScanOptions{Keep: layer.KeepAll})
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func unpackFile(t testing.TB, file string) *payload {
	t.Helper()
	p, err := Ecosystem{}.Unpack(context.Background(), file, memoryIndexer{})
	if err != nil {
		t.Fatal(err)
	}
	return p.(*payload)
}

// stepsFor pairs package files with what is installed.
func stepsFor(t testing.TB, v *rootfs.View, files ...string) []ecosystem.Step {
	t.Helper()
	db, err := Ecosystem{}.Open(v)
	if err != nil {
		t.Fatal(err)
	}
	var steps []ecosystem.Step
	for _, f := range files {
		p := unpackFile(t, f)
		for _, i := range db.Packages() {
			if i.Name == p.pkg.Name {
				steps = append(steps, ecosystem.Step{Installed: i, Payload: p})
			}
		}
	}
	if len(steps) != len(files) {
		t.Fatalf("only %d of %d packages are installed", len(steps), len(files))
	}
	return steps
}

// describe gives a line for each path of a tree, to compare by. Times of directories and of generated files are left out.
func describe(t testing.TB, v *rootfs.View) map[string]string {
	t.Helper()
	all := make(map[string]string)
	err := v.Walk(func(n rootfs.Node) error {
		i := n.Inode()
		if i == nil {
			return fmt.Errorf("%s: a hard link that leads nowhere", n.Path)
		}
		s := fmt.Sprintf("%c %o %d:%d", i.Type, i.Mode, i.UID, i.GID)
		switch i.Type {
		case tar.TypeSymlink:
			s = fmt.Sprintf("%c %d:%d %s", i.Type, i.UID, i.GID, i.Linkname)
		case tar.TypeReg:
			s += fmt.Sprintf(" %d %x %v", i.Size, i.SHA256[:6], overlay.Xattrs(i.PAX))
			if !strings.Contains(n.Path, "lib/apk/db/") {
				s += " " + fmt.Sprint(i.ModTime.Unix())
			}
		}
		all[n.Path] = s
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func compare(t testing.TB, want, got *rootfs.View) {
	t.Helper()
	if diff := cmp.Diff(describe(t, want), describe(t, got)); diff != "" {
		t.Errorf("the tree differs from apk's (-apk +ours):\n%s", diff)
	}
}

// sharedData finds third-party test data that is no part of the project.
func sharedData(t testing.TB, name string) string {
	t.Helper()
	dir := os.Getenv("NANOPATCH_SHARED_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "..", "shared", "data")
	}
	dir, err := filepath.Abs(filepath.Join(dir, name))
	if err == nil {
		_, err = os.Stat(dir)
	}
	if err != nil {
		t.Skipf("no shared test data: %v (NANOPATCH_SHARED_DATA names its directory)", err)
	}
	return dir
}

// minirootfs indexes one of Alpine's root file systems.
func minirootfs(t testing.TB, version string) *layer.Index {
	t.Helper()
	data, err := os.ReadFile(sharedData(t, "apk/minirootfs/alpine-minirootfs-"+version+"-x86_64.tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return scan(t, z)
}
