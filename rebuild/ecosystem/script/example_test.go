package script_test

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem/script"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem/script/posix"
	"github.com/nanopatch/nanopatch/rebuild/layer"
	"github.com/nanopatch/nanopatch/rebuild/rootfs"
)

func Example() {
	file := func(path string, mode int64, text string) layer.Entry {
		e, err := layer.NewFile(layer.Entry{Path: path, Mode: mode}, layer.Bytes([]byte(text)))
		if err != nil {
			log.Fatal(err)
		}
		return *e
	}
	image, err := rootfs.New([]*layer.Index{{Entries: []layer.Entry{
		{Path: "bin", Type: tar.TypeSymlink, Linkname: "usr/bin"},
		{Path: "usr/bin/sh", Type: tar.TypeSymlink, Linkname: "dash"},
		file("usr/bin/dash", 0o755, "…"), file("usr/bin/sed", 0o755, "…"), file("usr/bin/chmod", 0o755, "…"), file("usr/bin/perl", 0o755, "…"),
		file("etc/app.conf", 0o644, "port = 80\n"),
	}}})
	if err != nil {
		log.Fatal(err)
	}

	run := func(text string) {
		tree := script.NewTree(script.View(image.Top()), time.Unix(1700000000, 0).UTC())
		_, err := script.Run(context.Background(), script.Input{
			Name: "postinst", Script: []byte("#!/bin/sh\nset -e\n" + text), Args: []string{"configure", "1.0"}, Tree: tree,
			Commands: posix.Commands(), Env: map[string]string{"PATH": "/usr/bin:/bin"},
		})
		var unknown *script.UnknownError
		if errors.As(err, &unknown) {
			fmt.Println("unknown:", unknown)
			return
		}
		changes, err := tree.Changes()
		if err != nil {
			log.Fatal(err)
		}
		for _, c := range changes {
			fmt.Printf("%s: mode %o, %d bytes\n", c.Path, c.Entry.Mode, c.Entry.Size)
		}
	}
	run(`if [ "$1" = configure ] && [ -f /etc/app.conf ]; then
	sed -i 's/80/8080/' /etc/app.conf
	chmod 600 /etc/app.conf
fi`)
	run(`perl -pi -e 's/80/8080/' /etc/app.conf`)
	// Output:
	// etc/app.conf: mode 600, 12 bytes
	// unknown: postinst line 3: perl -pi -e s/80/8080/ /etc/app.conf: is not modelled
}
