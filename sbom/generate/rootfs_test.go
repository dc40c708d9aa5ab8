package generate

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestSameAsStockRootfs does what TestSameAsStock does with whole root file systems: the tar files, plain or gzip, that
// NANOPATCH_TEST_ROOTFS lists as a path list.
func TestSameAsStockRootfs(t *testing.T) {
	list := filepath.SplitList(os.Getenv("NANOPATCH_TEST_ROOTFS"))
	if len(list) == 0 {
		t.Skip("NANOPATCH_TEST_ROOTFS names no root file system")
	}
	for _, file := range list {
		t.Run(filepath.Base(file), func(t *testing.T) {
			layers := [][]member{readRootfs(t, file)}
			tree := newTree(layers)
			img := describe(t, layers)
			start := time.Now()
			d, err := generator().Generate(t.Context(), img, tree, created)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d packages in %v", len(d.Packages), time.Since(start))
			start = time.Now()
			want := stock(t, newImage(t, layers), Squashed)
			t.Logf("stock in %v, packing and reading included", time.Since(start))
			if diff := cmp.Diff(describeAll(want), describeAll(d.sbom)); diff != "" {
				t.Errorf("packages (-stock +ours):\n%s", diff)
			}
			if len(tree.unwanted) > 0 {
				t.Errorf("opened although Wants does not want them: %q", tree.unwanted)
			}
			kept, total := 0, 0
			for p, c := range tree.content {
				total += len(c)
				if tree.wanted(p) {
					kept += len(c)
				}
			}
			t.Logf("Wants keeps %d of %d MB", kept>>20, total>>20)
		})
	}
}

// readRootfs reads a tar's files and links; what else it holds has no packages.
func readRootfs(t *testing.T, file string) []member {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var r io.Reader = bufio.NewReader(f)
	if magic, err := r.(*bufio.Reader).Peek(2); err == nil && string(magic) == "\x1f\x8b" {
		if r, err = gzip.NewReader(r); err != nil {
			t.Fatal(err)
		}
	}
	return readTar(t, r)
}

func readTar(t *testing.T, r io.Reader) []member {
	t.Helper()
	var out []member
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		m := member{path: path.Clean("/" + h.Name)[1:], exec: h.Mode&0o111 != 0}
		switch h.Typeflag {
		case tar.TypeReg:
			b, err := io.ReadAll(tr)
			if err != nil {
				t.Fatal(err)
			}
			m.content = string(b)
			if strings.HasPrefix(m.content, "-> ") || strings.HasPrefix(m.content, "=> ") {
				t.Fatal(fmt.Errorf("%s reads like a fixture's link", m.path))
			}
		case tar.TypeSymlink:
			m.content = "-> " + h.Linkname
		case tar.TypeLink:
			m.content = "=> " + path.Clean("/" + h.Linkname)[1:]
		default:
			continue
		}
		out = append(out, m)
	}
}
