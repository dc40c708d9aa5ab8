package overlay

import (
	"archive/tar"
	"maps"
	"slices"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem/script"
	"github.com/nanopatch/nanopatch/rebuild/layer"
)

// Changes lists what changed, by path. Files that are hard links to each other change together.
func (t *Tree) Changes() []ecosystem.Change {
	changed := make(map[string]bool)
	groups := make(map[string][]string)
	for p, c := range t.over {
		old, had := t.base.Lookup(p)
		changed[p] = had != (c.Entry != nil) || had && !t.Same(old, c.Entry)
		if c.Entry != nil && c.Entry.Type == tar.TypeLink {
			groups[c.Entry.Linkname] = append(groups[c.Entry.Linkname], p)
		}
	}
	for target, group := range groups {
		if c, ours := t.over[target]; ours && c.Entry != nil {
			group = append(group, target)
		}
		if slices.ContainsFunc(group, func(p string) bool { return changed[p] }) {
			for _, p := range group {
				changed[p] = true
			}
		}
	}
	var all []ecosystem.Change
	for _, p := range t.EditedPaths() {
		if c := t.over[p]; changed[p] {
			all = append(all, ecosystem.Change{Path: p, Entry: c.Entry, Package: c.Package, Database: c.Database, Script: c.Script})
		}
	}
	return all
}

// Same tells whether replacing a file of the tree by an entry would change nothing but the spelling of owners' names.
func (t *Tree) Same(old script.File, e *layer.Entry) bool {
	was, is := old.Inode, e
	if e.Type == tar.TypeLink {
		f, _ := t.linked(e)
		is = f.Inode
	}
	if was == nil || is == nil || old.Type != e.Type || was.UID != is.UID || was.GID != is.GID || old.Linkname != e.Linkname {
		return false
	}
	if e.Type == tar.TypeDir {
		// The time of a directory follows from what is done in it.
		return was.Mode == is.Mode
	}
	return (was.Mode == is.Mode || e.Type == tar.TypeSymlink) && was.Size == is.Size && was.SHA256 == is.SHA256 && !was.Sparse &&
		was.ModTime.Unix() == is.ModTime.Unix() && was.Devmajor == is.Devmajor && was.Devminor == is.Devminor &&
		maps.Equal(Xattrs(was.PAX), Xattrs(is.PAX))
}

// XattrPrefix marks the PAX records that are extended attributes.
const XattrPrefix = "SCHILY.xattr."

// Xattrs picks the extended attributes out of an archive entry's PAX records; the others describe the header and are made
// anew when it is written, or are the package manager's own. It is nil if there are none.
func Xattrs(pax map[string]string) map[string]string {
	var out map[string]string
	for k, v := range pax {
		if strings.HasPrefix(k, XattrPrefix) {
			if out == nil {
				out = make(map[string]string)
			}
			out[k] = v
		}
	}
	return out
}
