package apk_test

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"log"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem/apk"
	"github.com/nanopatch/nanopatch/rebuild/layer"
	"github.com/nanopatch/nanopatch/rebuild/rootfs"
)

func Example() {
	const installed = "C:Q1Gf4IGXFvBhQsfcF4LJBHhmmlRMA=\nP:zlib\nV:1.3.1-r0\nA:x86_64\nS:53932\nI:110592\nT:A compression library\nU:https://zlib.net/\nL:Zlib\n" +
		"o:zlib\nD:so:libc.musl-x86_64.so.1\np:so:libz.so.1=1.3.1\nF:lib\nR:libz.so.1\na:0:0:777\nR:libz.so.1.3.1\na:0:0:755\n\n"
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	err := w.WriteHeader(&tar.Header{Name: "lib/apk/db/installed", Mode: 0o644, Size: int64(len(installed))})
	if err == nil {
		_, err = w.Write([]byte(installed))
	}
	if err != nil || w.Close() != nil {
		log.Fatal(err)
	}
	index, err := layer.Scan(context.Background(), &archive, layer.ScanOptions{Keep: layer.KeepAll})
	if err != nil {
		log.Fatal(err)
	}
	stack, err := rootfs.New([]*layer.Index{index})
	if err != nil {
		log.Fatal(err)
	}
	db, err := apk.Ecosystem{}.Open(stack.Top())
	if err != nil {
		log.Fatal(err)
	}
	for _, p := range db.Packages() {
		fmt.Println(p.Name, p.Version, "needs", p.Requires[0][0].Name, "provides", p.Provides[0].Name)
		fmt.Println(db.Files(p.Key))
	}
	// Output:
	// zlib 1.3.1-r0 needs so:libc.musl-x86_64.so.1 provides so:libz.so.1
	// [lib lib/libz.so.1 lib/libz.so.1.3.1]
}
