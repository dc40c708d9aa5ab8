package layer_test

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"log"

	"github.com/nanopatch/nanopatch/rebuild/layer"
)

// A layer's archive is indexed, edited and indexed again.
func Example() {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, h := range []tar.Header{
		{Name: "etc/", Typeflag: tar.TypeDir, Mode: 0o755},
		{Name: "etc/motd", Typeflag: tar.TypeReg, Mode: 0o644, Size: 6},
		{Name: "etc/.wh.issue", Typeflag: tar.TypeReg},
		{Name: "usr/", Typeflag: tar.TypeDir, Mode: 0o755},
	} {
		if err := w.WriteHeader(&h); err != nil {
			log.Fatal(err)
		}
		if h.Size > 0 {
			fmt.Fprint(w, "hello\n")
		}
	}
	if err := w.Close(); err != nil {
		log.Fatal(err)
	}

	ctx := context.Background()
	x, err := layer.Scan(ctx, bytes.NewReader(archive.Bytes()), layer.ScanOptions{Keep: layer.KeepAll})
	if err != nil {
		log.Fatal(err)
	}
	motd, _ := x.Lookup("etc/motd")
	changed, err := layer.NewFile(*motd, layer.Bytes([]byte("hello, world\n")))
	if err != nil {
		log.Fatal(err)
	}
	added, err := layer.NewFile(layer.Entry{Path: "etc/hostname", Mode: 0o644}, layer.Bytes([]byte("box\n")))
	if err != nil {
		log.Fatal(err)
	}

	var rewritten bytes.Buffer
	edits := layer.Edits{"etc/motd": changed, "etc/hostname": added, "usr": nil}
	if err := layer.Rewrite(ctx, x, &archive, &rewritten, edits); err != nil {
		log.Fatal(err)
	}
	y, err := layer.Scan(ctx, &rewritten, layer.ScanOptions{})
	if err != nil {
		log.Fatal(err)
	}
	for _, e := range y.Entries {
		if hidden, _, ok := e.Whiteout(); ok {
			fmt.Println(e.Path, "hides", hidden)
			continue
		}
		fmt.Println(e.Path, e.Size)
	}
	// Output:
	// etc 0
	// etc/motd 13
	// etc/.wh.issue hides etc/issue
	// etc/hostname 4
}
