package dpkg_test

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"log"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem/dpkg"
	"github.com/nanopatch/nanopatch/rebuild/layer"
	"github.com/nanopatch/nanopatch/rebuild/rootfs"
)

// A tree's package database says what is installed, and which files belong to whom.
func Example() {
	tree, err := rootfs.New([]*layer.Index{exampleLayer(map[string]string{
		"var/lib/dpkg/status": "Package: hello\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2.10-3\n" +
			"Depends: libc6 (>= 2.34)\nMaintainer: Some One\nDescription: example package\n",
		"var/lib/dpkg/info/hello.list": "/.\n/usr\n/usr/bin\n/usr/bin/hello\n",
	})})
	if err != nil {
		log.Fatal(err)
	}
	db, err := dpkg.Ecosystem{}.Open(tree.Top())
	if err != nil {
		log.Fatal(err)
	}
	for _, p := range db.Packages() {
		fmt.Println(p, p.Version, p.Requires, db.Files(p.Key))
	}
	// Output: hello:amd64 2.10-3 [[{libc6  >= 2.34}]] [. usr usr/bin usr/bin/hello]
}

func exampleLayer(files map[string]string) *layer.Index {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for name, content := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))}); err != nil {
			log.Fatal(err)
		}
		if _, err := w.Write([]byte(content)); err != nil {
			log.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		log.Fatal(err)
	}
	x, err := layer.Scan(context.Background(), &archive, layer.ScanOptions{Keep: layer.KeepAll})
	if err != nil {
		log.Fatal(err)
	}
	return x
}
