package rootfs

import (
	"archive/tar"
	"fmt"
	"testing"

	"github.com/nanopatch/nanopatch/rebuild/layer"
)

// bigLayers makes layers of n entries in all, shaped as a distribution's: a few dozen files a directory, five deep;
// the upper layer replaces a tenth of the lower one's files.
func bigLayers(n int) []*layer.Index {
	low, high := &layer.Index{}, &layer.Index{}
	add := func(x *layer.Index, path string, typ byte) {
		x.Entries = append(x.Entries, layer.Entry{Path: path, Type: typ, Mode: 0o755})
	}
	for _, d := range []string{"usr", "usr/share", "usr/share/doc"} {
		add(low, d, tar.TypeDir)
	}
	for i := 0; len(low.Entries)+len(high.Entries) < n; i++ {
		dir := fmt.Sprintf("usr/share/doc/package-%d", i)
		add(low, dir, tar.TypeDir)
		add(low, dir+"/examples", tar.TypeDir)
		for j := range 20 {
			path := fmt.Sprintf("%s/examples/file-%d", dir, j)
			add(low, path, tar.TypeReg)
			if j%10 == 0 {
				add(high, path, tar.TypeReg)
			}
		}
	}
	return []*layer.Index{low, high}
}

func BenchmarkNew50k(b *testing.B) {
	layers := bigLayers(50_000)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := New(layers); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLookup(b *testing.B) {
	s, err := New(bigLayers(50_000))
	if err != nil {
		b.Fatal(err)
	}
	v := s.Top()
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := v.Lookup("usr/share/doc/package-7/examples/file-7"); !ok {
			b.Fatal("not found")
		}
	}
}

func BenchmarkWalk50k(b *testing.B) {
	s, err := New(bigLayers(50_000))
	if err != nil {
		b.Fatal(err)
	}
	v := s.Top()
	b.ReportAllocs()
	for b.Loop() {
		if err := v.Walk(func(Node) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}
