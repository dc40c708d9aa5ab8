package rootfs_test

import (
	"archive/tar"
	"fmt"
	"log"

	"github.com/nanopatch/nanopatch/rebuild/layer"
	"github.com/nanopatch/nanopatch/rebuild/rootfs"
)

// file makes a regular file of a layer's index; images have theirs from layer.Store.
func file(path, text string) layer.Entry {
	e, err := layer.NewFile(layer.Entry{Path: path, Mode: 0o644}, layer.Bytes([]byte(text)))
	if err != nil {
		log.Fatal(err)
	}
	return *e
}

func Example() {
	base := &layer.Index{Entries: []layer.Entry{
		{Path: "usr/bin", Type: tar.TypeDir, Mode: 0o755},
		{Path: "bin", Type: tar.TypeSymlink, Linkname: "usr/bin"},
		file("usr/bin/ls", "ls 9.1"),
		file("etc/motd", "welcome"),
	}}
	app := &layer.Index{Entries: []layer.Entry{
		file("usr/bin/app", "app"),
		file("etc/.wh.motd", ""),
	}}
	stack, err := rootfs.New([]*layer.Index{base, app})
	if err != nil {
		log.Fatal(err)
	}

	top := stack.Top()
	ls, err := top.ReadFile("bin/ls") // through the link, as in a container
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("bin/ls is %q\n", ls)

	physical, _ := top.ResolveDir("bin/app")
	node, _ := top.Lookup(physical)
	fmt.Printf("%s comes from layer %d\n", node.Path, node.Layer)

	_, inBase := stack.View(1).Lookup("etc/motd")
	_, inApp := top.Lookup("etc/motd")
	fmt.Println("etc/motd is in the base:", inBase, "and in the image:", inApp)
	for _, n := range stack.History("etc/motd") {
		fmt.Printf("  layer %d: %s\n", n.Layer, n.Path)
	}
	// Output:
	// bin/ls is "ls 9.1"
	// usr/bin/app comes from layer 1
	// etc/motd is in the base: true and in the image: false
	//   layer 0: etc/motd
	//   layer 1: etc/.wh.motd
}
