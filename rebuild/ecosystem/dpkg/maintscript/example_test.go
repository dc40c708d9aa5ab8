package maintscript_test

import (
	"fmt"
	"io/fs"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem/dpkg/maintscript"
)

// nothing is a tree without files.
type nothing struct{}

func (nothing) Stat(string) (maintscript.File, bool)  { return maintscript.File{}, false }
func (nothing) Lstat(string) (maintscript.File, bool) { return maintscript.File{}, false }
func (nothing) ReadFile(string) ([]byte, error)       { return nil, fs.ErrNotExist }

// A script that acts only when a package is installed for the first time does nothing on an upgrade.
func ExampleCheck() {
	script := maintscript.Script{Name: "postinst", Package: "demo", Content: []byte(`#!/bin/sh
set -e
if [ "$1" = configure ] && [ -z "$2" ]; then
    echo 'a new installation' > /etc/demo.conf
fi
`)}
	fmt.Printf("upgrade: %+v\n", maintscript.Check(script, []string{"configure", "1.0"}, nothing{}))
	fmt.Printf("installation: %+v\n", maintscript.Check(script, []string{"configure", ""}, nothing{}))
	// Output:
	// upgrade: {Inert:true Why:}
	// installation: {Inert:false Why:postinst line 4: redirects: echo 'a new installation' >/etc/demo.conf}
}
