package plan

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/rootfs"
)

// Homes finds the home layer of every installed package: the lowest layer from which every package database up to the
// top names the installed version. It returns them with the database of the whole image.
//
// A package that a later layer had already upgraded is at home in that layer: the older files below it are shadowed
// and no concern of an update.
func Homes(stack *rootfs.Stack, eco ecosystem.Ecosystem) (map[ecosystem.Key]int, ecosystem.Database, error) {
	top, err := eco.Open(stack.Top())
	if err != nil {
		return nil, nil, err
	}
	homes := make(map[ecosystem.Key]int)
	installed := make(map[ecosystem.Key]string)
	for _, p := range top.Packages() {
		homes[p.Key] = stack.Len() - 1
		installed[p.Key] = p.Version
	}
	// Downwards, a package moves its home to each lower layer until a database names another version, or none.
	settled := make(map[ecosystem.Key]bool)
	for i := stack.Len() - 2; i >= 0; i-- {
		below := homesBelow{}
		if touches(stack, i+1, eco) {
			if below, err = databaseAt(stack, i, eco); err != nil {
				return nil, nil, err
			}
		} else {
			below.unchanged = true
		}
		for key, version := range installed {
			if settled[key] {
				continue
			}
			if below.unchanged || below.versions[key] == version {
				homes[key] = i
				continue
			}
			settled[key] = true
		}
	}
	return homes, top, nil
}

type homesBelow struct {
	versions  map[ecosystem.Key]string
	unchanged bool
}

// databaseAt reads which versions are installed in the tree of layers 0 to i; a tree without a database has none.
func databaseAt(stack *rootfs.Stack, i int, eco ecosystem.Ecosystem) (homesBelow, error) {
	db, err := eco.Open(stack.View(i + 1))
	if errors.Is(err, ecosystem.ErrNoDatabase) {
		return homesBelow{}, nil
	}
	if err != nil {
		return homesBelow{}, fmt.Errorf("layer %d: %w", i, err)
	}
	versions := make(map[ecosystem.Key]string)
	for _, p := range db.Packages() {
		versions[p.Key] = p.Version
	}
	return homesBelow{versions: versions}, nil
}

// touches tells whether a layer changes anything that the package database is read from.
func touches(stack *rootfs.Stack, i int, eco ecosystem.Ecosystem) bool {
	entries := stack.Layer(i).Entries
	for k := range entries {
		e := &entries[k]
		if hidden, _, ok := e.Whiteout(); ok {
			// A whiteout may take away the database or a directory above it.
			if eco.Wants(hidden) || eco.Wants(path.Join(hidden, "any")) || isAncestorOfDatabase(hidden, eco) {
				return true
			}
			continue
		}
		if eco.Wants(e.Path) {
			return true
		}
	}
	return false
}

func isAncestorOfDatabase(dir string, eco ecosystem.Ecosystem) bool {
	for _, p := range eco.DatabasePaths() {
		if dir == "." || strings.HasPrefix(p, dir+"/") {
			return true
		}
	}
	return false
}
