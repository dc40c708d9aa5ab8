package dpkg

import (
	"fmt"
	"slices"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/rootfs"
)

// Shipped follows diversions, as dpkg does when it unpacks.
func (Ecosystem) Shipped(v *rootfs.View, p ecosystem.Payload) ([]ecosystem.Shipped, error) {
	d, ok := p.(*deb)
	if !ok {
		return nil, fmt.Errorf("%T is no package of dpkg", p)
	}
	data, err := v.ReadOptional(diversionsPath, maxDatabase)
	if err != nil {
		return nil, err
	}
	renamed, err := parseDiversions(data)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", diversionsPath, err)
	}
	var all []ecosystem.Shipped
	for i := range d.files.Entries {
		e := &d.files.Entries[i]
		if !e.IsRegular() || e.Sparse {
			continue
		}
		at, err := v.ResolveDir(renamed.use(e.Path, d.pkg.Name))
		if err != nil {
			continue // a loop of links: the tree holds no such file
		}
		all = append(all, ecosystem.Shipped{
			Path: at, SHA256: e.SHA256,
			Configuration: slices.ContainsFunc(d.conffiles, func(c declaredConffile) bool { return c.path == e.Path }),
		})
	}
	return all, nil
}
