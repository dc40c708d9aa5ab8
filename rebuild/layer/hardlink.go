package layer

import (
	"archive/tar"
	"cmp"
	"path"
	"slices"
	"strings"
)

// keepLinks gives the content of an entry that goes to the hard links to it that stay: the first of them
// becomes what the entry was, written at the entry's place, where its bytes are at hand in the stream.
func (ed *editor) keepLinks() error {
	x := ed.x
	links := map[int][]int{}
	for i, t := range x.targets {
		if t >= 0 {
			links[t] = append(links[t], i)
		}
	}
	for i := range x.Entries {
		if !ed.gone[i] || x.Entries[i].IsDir() {
			continue
		}
		stay := slices.DeleteFunc(links[i], func(j int) bool { return ed.gone[j] })
		if len(stay) == 0 {
			continue
		}
		if err := ed.inherit(i, stay); err != nil {
			return &EditError{Path: x.Entries[i].Path, Err: err}
		}
	}
	return nil
}

// inherit makes the first of the links that can move to the place of entry i its heir.
func (ed *editor) inherit(i int, links []int) error {
	x := ed.x
	old := x.Entries[i]
	if old.Sparse {
		return errSparseLinks
	}
	if w := ed.edits[old.Path]; w != nil && w.body {
		return errSharedBody
	}
	at := slices.IndexFunc(links, func(j int) bool { return ed.canMove(j, i) })
	if at < 0 {
		return errEntangled
	}
	heir := links[at]
	old.Path = x.Entries[heir].Path
	raw, seen, err := encode(&old)
	if err != nil {
		return err
	}
	// Earlier entries of the heir's path would now come after it. They had no effect but for hard links to
	// them, which inherit in turn: they lie behind i, and keepLinks has yet to pass there.
	x.between(old.Path, i, heir, func(j int) bool { ed.gone[j] = true; return false })
	ed.gone[heir] = true
	ed.heirs[i] = heir
	ed.ops = append(ed.ops, op{entry: seen, slot: i, raw: raw, body: old.IsRegular(), order: inherits})
	return nil
}

// canMove tells whether the parent directory of entry j is the same one at the earlier place i.
func (ed *editor) canMove(j, i int) bool {
	for d := path.Dir(ed.x.Entries[j].Path); d != "."; d = path.Dir(d) {
		if ed.x.between(d, i, j, func(k int) bool { return !ed.x.Entries[k].IsDir() }) {
			return false
		}
	}
	return true
}

// relink gives a hard link that stays another name for its content if the name it has is gone.
func (ed *editor) relink(o *op) error {
	x := ed.x
	if o.raw != nil || o.entry.Type != tar.TypeLink || x.named[o.slot] < 0 {
		return nil
	}
	if !ed.gone[x.named[o.slot]] {
		return nil
	}
	t := x.targets[o.slot]
	holder := t
	if heir, ok := ed.heirs[t]; ok {
		holder = heir
	}
	if t < 0 || ed.gone[t] && holder == t {
		return &EditError{Path: o.entry.Path, Err: ErrLinkTarget}
	}
	name := x.Entries[holder].Path
	if x.between(name, holder, o.slot, func(int) bool { return true }) {
		return &EditError{Path: o.entry.Path, Err: errEntangled}
	}
	e := *o.entry
	e.Linkname = name
	var err error
	if o.raw, o.entry, err = encode(&e); err != nil {
		return &EditError{Path: e.Path, Err: err}
	}
	return nil
}

// sameLink tells whether the layer already has the hard link e, to something that no edit changes.
func (ed *editor) sameLink(e *Entry, edits Edits) bool {
	x := ed.x
	i, ok := x.byPath[e.Path]
	t, there := x.byPath[e.Linkname]
	if !ok || !there || x.targets[i] < 0 || !e.same(&x.Entries[i]) {
		return false
	}
	if _, edited := ed.edits[e.Linkname]; edited {
		return false
	}
	if l := edits[e.Linkname]; l != nil && l.Type == tar.TypeLink {
		return false
	}
	if x.Entries[t].Type == tar.TypeLink {
		t = x.targets[t]
	}
	return t == x.targets[i]
}

// newLinks brings every hard link of the edits behind what it names: a runtime links while it unpacks.
func (ed *editor) newLinks() error {
	groups := map[string][]string{}
	for _, p := range ed.paths {
		w := ed.edits[p]
		if w.entry == nil || w.entry.Type != tar.TypeLink {
			continue
		}
		target, err := ed.linkTarget(w.entry.Linkname)
		if err != nil {
			return &EditError{Path: p, Err: err}
		}
		if _, ok := ed.edits[target]; ok {
			groups[target] = append(groups[target], p)
			continue
		}
		w.link(target)
		// The target stays, its bytes come where they come: so the link goes there.
		if slot := ed.slotOf(target); w.slot < slot {
			w.slot, w.order = slot, inserted
		}
	}
	for target, links := range groups {
		ed.arrange(target, links)
	}
	return nil
}

// link makes a copy of the wanted entry that is a hard link to target.
func (w *edit) link(target string) {
	e := *w.entry
	e.Type, e.Linkname, e.Size, e.content = tar.TypeLink, target, 0, nil
	e.SHA256, e.md5, e.PAX = [len(e.SHA256)]byte{}, [len(e.md5)]byte{}, nil
	w.entry = &e
}

// linkTarget follows hard links among the edits to what they share.
func (ed *editor) linkTarget(target string) (string, error) {
	for range len(ed.paths) + 1 {
		w, edited := ed.edits[target]
		old, have := ed.x.Lookup(target)
		switch {
		case edited && w.entry == nil, !edited && !have:
			return "", ErrLinkTarget
		case edited && w.entry.IsDir(), !edited && old.IsDir():
			return "", errLinkToDir
		case !edited || w.entry.Type != tar.TypeLink:
			return target, nil
		}
		target = w.entry.Linkname
	}
	return "", errLinkCycle
}

// slotOf is where an entry that stays is written: its own place, or that of the entry whose heir it is.
func (ed *editor) slotOf(p string) int {
	i := ed.x.byPath[p]
	if ed.gone[i] {
		return ed.x.targets[i]
	}
	return i
}

// arrange puts the content of a hard-linked group where its first member is written; the others link to it.
func (ed *editor) arrange(target string, links []string) {
	of := ed.edits[target]
	if of.body {
		for _, p := range links {
			if w := ed.edits[p]; w.slot < of.slot {
				w.slot, w.order = of.slot, inserted
			}
			ed.edits[p].link(target)
		}
		return
	}
	group := append([]string{target}, links...)
	first := slices.MinFunc(group, func(a, b string) int {
		v, w := ed.edits[a], ed.edits[b]
		return cmp.Or(v.slot-w.slot, int(v.order-w.order), strings.Compare(a, b))
	})
	content := *of.entry
	content.Path = first
	for _, p := range group {
		ed.edits[p].link(first)
	}
	ed.edits[first].entry = &content
}
