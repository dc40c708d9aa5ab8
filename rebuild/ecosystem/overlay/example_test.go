package overlay_test

import (
	"fmt"
	"log"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem/overlay"
	"github.com/nanopatch/nanopatch/rebuild/layer"
	"github.com/nanopatch/nanopatch/rebuild/rootfs"
)

func Example() {
	image, err := rootfs.New([]*layer.Index{{Entries: []layer.Entry{
		{Path: "bin", Type: '2', Linkname: "usr/bin"}, {Path: "usr/bin", Type: '5', Mode: 0o755},
	}}})
	if err != nil {
		log.Fatal(err)
	}
	tree := overlay.New(image.Top())
	tool, err := layer.NewFile(layer.Entry{Path: tree.Place("bin/tool"), Mode: 0o755}, layer.Bytes([]byte("#!/bin/sh\n")))
	if err != nil {
		log.Fatal(err)
	}
	tree.Set(tool, ecosystem.Key{Name: "tool", Arch: "all"}, false)
	for _, c := range tree.Changes() {
		fmt.Println(c.Package, "writes", c.Path)
	}
	// Output: tool:all writes usr/bin/tool
}
