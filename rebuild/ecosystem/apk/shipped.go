package apk

import (
	"fmt"
	"path"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/rootfs"
)

// Shipped calls configuration what lies in a protected directory.
func (Ecosystem) Shipped(v *rootfs.View, p ecosystem.Payload) ([]ecosystem.Shipped, error) {
	file, ok := p.(*payload)
	if !ok {
		return nil, fmt.Errorf("%T is no package of apk", p)
	}
	db, err := open(v)
	if err != nil {
		return nil, err
	}
	protected, err := db.protection()
	if err != nil {
		return nil, err
	}
	var all []ecosystem.Shipped
	for i := range file.files.Entries {
		e := &file.files.Entries[i]
		if !ships(e) || !e.IsRegular() {
			continue
		}
		at, err := v.ResolveDir(e.Path)
		if err != nil {
			continue // a loop of links: the tree holds no such file
		}
		all = append(all, ecosystem.Shipped{Path: at, SHA256: e.SHA256, Configuration: protected.covers(path.Dir(at))})
	}
	return all, nil
}
