package debscript_test

import (
	"archive/tar"
	"context"
	"fmt"
	"log"
	"time"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem/dpkg/debscript"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem/script"
	"github.com/nanopatch/nanopatch/rebuild/layer"
	"github.com/nanopatch/nanopatch/rebuild/rootfs"
)

func Example() {
	x := &layer.Index{Entries: []layer.Entry{
		{Path: "bin", Type: tar.TypeSymlink, Linkname: "usr/bin"},
		{Path: "usr/bin/sh", Type: tar.TypeSymlink, Linkname: "dash"},
	}}
	for path, text := range map[string]string{
		"usr/bin/dash": "…", "usr/bin/dpkg": "…", "usr/bin/ping": "…", "usr/sbin/setcap": "…", "usr/sbin/ldconfig": "…",
	} {
		e, err := layer.NewFile(layer.Entry{Path: path, Mode: 0o755}, layer.Bytes([]byte(text)))
		if err != nil {
			log.Fatal(err)
		}
		x.Entries = append(x.Entries, *e)
	}
	image, err := rootfs.New([]*layer.Index{x})
	if err != nil {
		log.Fatal(err)
	}

	tree := script.NewTree(script.View(image.Top()), time.Unix(1700000000, 0).UTC())
	res, err := debscript.Run(context.Background(), debscript.Invocation{
		Package: "iputils-ping", Arch: "amd64", Kind: "postinst", Args: []string{"configure", "3:20221126-1"}, Tree: tree,
		Script: []byte(`#!/bin/sh
set -e
if [ "$1" = configure ] && dpkg --compare-versions "$2" lt 3:20230101; then
	if command -v setcap >/dev/null; then
		setcap cap_net_raw+ep /bin/ping
	else
		chmod u+s /bin/ping
	fi
	ldconfig -r /
fi
`),
	})
	if err != nil {
		log.Fatal(err)
	}
	changes, err := debscript.Changes(tree)
	if err != nil {
		log.Fatal(err)
	}
	for _, c := range changes {
		fmt.Printf("%s: %x\n", c.Path, c.Entry.PAX["SCHILY.xattr.security.capability"])
	}
	fmt.Println("asks for:", res.Requests)
	// Output:
	// usr/bin/ping: 0100000200200000000000000000000000000000
	// asks for: [ldconfig]
}
