package script_test

import (
	"archive/tar"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem/script"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem/script/posix"
	"github.com/nanopatch/nanopatch/rebuild/layer"
	"github.com/nanopatch/nanopatch/rebuild/rootfs"
)

// now is when scripts run in these tests; files of images are from before.
var (
	now    = time.Date(2024, 2, 3, 4, 5, 6, 0, time.UTC)
	before = time.Date(2023, 1, 1, 0, 0, 0, 0, time.UTC)
)

// image makes a tree of files by path: content, or "-> TARGET" for a link; a path that ends in a slash is a directory. It
// has a shell and the programs of package posix.
func image(t testing.TB, files map[string]string) *script.Tree {
	t.Helper()
	all := map[string]string{"usr/bin/dash": "", "usr/bin/bash": "", "usr/bin/sh": "-> dash", "bin": "-> usr/bin", "tmp/": ""}
	for name := range posix.Commands() {
		all["usr/bin/"+name] = "ELF"
	}
	maps.Copy(all, files)
	x := &layer.Index{}
	for _, p := range slices.Sorted(maps.Keys(all)) {
		header := layer.Entry{Path: strings.TrimSuffix(p, "/"), Mode: 0o644, ModTime: before}
		if strings.HasPrefix(p, "usr/bin/") || strings.HasSuffix(p, "/") {
			header.Mode = 0o755
		}
		if target, ok := strings.CutPrefix(all[p], "-> "); ok {
			header.Type, header.Linkname, header.Mode = tar.TypeSymlink, target, 0o777
			x.Entries = append(x.Entries, header)
			continue
		}
		if strings.HasSuffix(p, "/") {
			header.Type = tar.TypeDir
			x.Entries = append(x.Entries, header)
			continue
		}
		e, err := layer.NewFile(header, layer.Bytes([]byte(all[p])))
		if err != nil {
			t.Fatal(err)
		}
		x.Entries = append(x.Entries, *e)
	}
	stack, err := rootfs.New([]*layer.Index{x})
	if err != nil {
		t.Fatal(err)
	}
	return script.NewTree(script.View(stack.Top()), now)
}
