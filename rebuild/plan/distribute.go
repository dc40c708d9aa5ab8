package plan

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"path"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/layer"
	"github.com/nanopatch/nanopatch/rebuild/rootfs"
)

// Step is one update with its payload at hand and its home layer known.
type Step struct {
	ecosystem.Step
	Home int
}

// Options are the choices that the edits depend on.
type Options struct {
	OnModified     ecosystem.OnModified
	RestoreMissing bool
	// SourceDateEpoch, where not zero, is the time of everything generated.
	SourceDateEpoch time.Time
}

// Edits is a plan's concrete side: what to do to each layer's archive, and the trees before and after.
type Edits struct {
	Old, New *rootfs.Stack
	// Layers holds, for each layer of Old, the edits of its archive; an empty set keeps the layer.
	Layers []layer.Edits
	// Because names, for each layer, the packages for which it is edited, sorted.
	Because [][]ecosystem.Key
	// Times holds, for each edited layer, the newest build date among the updates edited in it.
	Times []time.Time
	// Overridden are the paths of updated packages that a layer above replaced with something of its own.
	Overridden []Override
	// KeptFiles are changed configuration files that stay as they are.
	KeptFiles []KeptFile
	// Scripted are the paths that maintainer scripts wrote.
	Scripted map[string]bool
	// Changed maps every edited path of a package to the package because of which it changes.
	Changed map[string]ecosystem.Key
}

// Distribute computes the edits of every layer for a set of updates, from the lowest layer upwards.
//
// In its home layer an update does what the package manager would do in the tree that ends there. In a layer above, a
// copy of a package file that still has the old content gets the new one; any other copy is its author's and stays.
// Each layer's edits depend only on the layers up to it and the updates at home there or below, so images that share a
// prefix share its rewrite.
//
// Where updates cannot be applied it returns their holds and no edits: the caller drops these updates and asks again.
func Distribute(
	ctx context.Context, stack *rootfs.Stack, eco ecosystem.Ecosystem, steps []Step, opts Options,
) (*Edits, []*ecosystem.HoldError, error) {
	d := &distributor{
		eco: eco, opts: opts, cur: stack, steps: steps,
		pending: make([]map[ecosystem.Key]bool, stack.Len()),
		edits: &Edits{
			Old: stack, Layers: make([]layer.Edits, stack.Len()), Because: make([][]ecosystem.Key, stack.Len()),
			Times: make([]time.Time, stack.Len()), Changed: make(map[string]ecosystem.Key), Scripted: make(map[string]bool),
		},
	}
	for i := range stack.Len() {
		holds, err := d.layer(ctx, i)
		if err != nil || len(holds) > 0 {
			return nil, holds, err
		}
	}
	return d.edits, nil, d.finish()
}

type distributor struct {
	eco   ecosystem.Ecosystem
	opts  Options
	steps []Step
	// cur is the stack with all edits so far applied.
	cur   *rootfs.Stack
	edits *Edits
	// changes are those of the upgrades made so far, but for files that stay as they were to whoever reads them.
	changes []ecosystem.Change
	// pending holds, for each layer, the packages that edit it.
	pending []map[ecosystem.Key]bool
}

// layer settles one layer: first what updates at home below left for it, then the updates at home in it.
func (d *distributor) layer(ctx context.Context, i int) ([]*ecosystem.HoldError, error) {
	if holds, err := d.fromBelow(ctx, i); err != nil || len(holds) > 0 {
		return holds, err
	}
	steps := d.homeSteps(i)
	if len(steps) == 0 {
		return nil, nil
	}
	d.edits.Times[i] = d.timeOf(i)
	view := d.cur.View(i + 1)
	effect, holds, err := d.eco.Upgrade(ctx, view, steps, ecosystem.UpgradeOptions{
		OnModified: d.opts.OnModified, RestoreMissing: d.opts.RestoreMissing, Time: d.edits.Times[i],
	})
	if err != nil {
		return nil, fmt.Errorf("layer %d: %w", i, err)
	}
	if len(holds) > 0 {
		return holds, nil
	}
	for _, s := range steps {
		d.mark(i, s.Installed.Key)
	}
	if err := d.home(i, view, effect); err != nil {
		return nil, err
	}
	for _, k := range effect.Kept {
		d.edits.KeptFiles = append(d.edits.KeptFiles, KeptFile{Path: k.Path, Package: k.Package.String()})
	}
	if err := d.apply(i); err != nil {
		return nil, err
	}
	d.note(view, effect)
	return d.propagate(i, view, effect)
}

// note remembers the changes of an upgrade that whoever reads a file can tell.
func (d *distributor) note(before *rootfs.View, effect *ecosystem.Effect) {
	for _, c := range effect.Changes {
		n, had := before.Lookup(c.Path)
		if c.Entry == nil || !had || c.Entry.Type == tar.TypeLink || !sameFile(c.Entry, n.Inode()) {
			d.changes = append(d.changes, c)
		}
	}
}

// fromBelow settles what the updates at home below layer i mean for it: copies of their files, which propagate has
// edited already, its own copies of the databases, and what is derived from their files.
func (d *distributor) fromBelow(ctx context.Context, i int) ([]*ecosystem.HoldError, error) {
	if err := d.apply(i); err != nil {
		return nil, err
	}
	var steps []ecosystem.Step
	for _, s := range d.steps {
		if s.Home < i {
			steps = append(steps, s.Step)
		}
	}
	if len(steps) == 0 {
		return nil, nil
	}
	if err := d.database(i, steps); err != nil {
		return nil, err
	}
	if err := d.apply(i); err != nil {
		return nil, err
	}
	return d.derive(ctx, i, steps)
}

// derive makes anew what layer i holds that is derived from files of the updates at home below it.
func (d *distributor) derive(ctx context.Context, i int, steps []ecosystem.Step) ([]*ecosystem.HoldError, error) {
	view, date := d.cur.View(i+1), d.timeOf(i)
	effect, holds, err := d.eco.UpgradeAbove(ctx, view, steps, d.changes, ecosystem.UpgradeOptions{
		OnModified: d.opts.OnModified, RestoreMissing: d.opts.RestoreMissing, Time: date,
	})
	if err != nil {
		return nil, fmt.Errorf("layer %d: %w", i, err)
	}
	if len(holds) > 0 || len(effect.Changes) == 0 {
		return holds, nil
	}
	d.edits.Times[i] = date
	for _, c := range effect.Changes {
		d.mark(i, c.Package)
	}
	if err := d.home(i, view, effect); err != nil {
		return nil, err
	}
	if err := d.apply(i); err != nil {
		return nil, err
	}
	d.note(view, effect)
	return d.propagate(i, view, effect)
}

func (d *distributor) homeSteps(i int) []ecosystem.Step {
	var steps []ecosystem.Step
	for _, s := range d.steps {
		if s.Home == i {
			steps = append(steps, s.Step)
		}
	}
	return steps
}

// timeOf is the newest build date among the updates at home in layer i or below: those edited in a layer that carries
// a database.
func (d *distributor) timeOf(i int) time.Time {
	if !d.opts.SourceDateEpoch.IsZero() {
		return d.opts.SourceDateEpoch
	}
	var newest time.Time
	for _, s := range d.steps {
		if s.Home <= i && s.Payload.Date().After(newest) {
			newest = s.Payload.Date()
		}
	}
	return newest
}

// database edits layer i's own copies of whole-file databases for the updates at home below it. A copy that comes out
// as it is stays as it is.
func (d *distributor) database(i int, steps []ecosystem.Step) error {
	for _, p := range d.eco.DatabasePaths() {
		e, ok := d.own(i, p)
		if !ok {
			continue
		}
		if err := d.editDatabase(i, p, e, steps); err != nil {
			return fmt.Errorf("layer %d: %s: %w", i, p, err)
		}
	}
	return nil
}

func (d *distributor) editDatabase(i int, p string, e *layer.Entry, steps []ecosystem.Step) error {
	content := e
	if !e.IsRegular() {
		var err error
		if content, err = d.edits.Old.Layer(i).Target(e); err != nil {
			return err
		}
	}
	old, err := readEntry(d.edits.Old, rootfs.Node{Entry: content, Layer: i})
	if err != nil {
		return err
	}
	edited, err := d.eco.EditDatabase(p, old, d.cur.View(i+1), steps)
	if err != nil || bytes.Equal(old, edited) {
		return err
	}
	d.edits.Times[i] = d.timeOf(i)
	header := *content
	header.Path, header.ModTime = p, d.edits.Times[i]
	updated, err := layer.NewFile(header, layer.Bytes(edited))
	if err != nil {
		return err
	}
	d.put(i, updated)
	for _, s := range steps {
		d.mark(i, s.Installed.Key)
	}
	return nil
}

// home turns an upgrade's effect into edits of the layer it happens in.
func (d *distributor) home(i int, view *rootfs.View, effect *ecosystem.Effect) error {
	removed := removedPaths(effect)
	for _, c := range effect.Changes {
		if !c.Database {
			d.edits.Changed[c.Path] = c.Package
		}
		if c.Script {
			d.edits.Scripted[c.Path] = true
		}
		if c.Entry != nil {
			d.put(i, c.Entry)
			continue
		}
		if err := d.remove(i, c.Path, removed); err != nil {
			return err
		}
	}
	for _, c := range effect.Changes {
		if _, there := d.own(i, c.Path); c.Entry != nil && !there {
			d.parents(i, view, c.Path)
		}
	}
	return nil
}

// removedPaths are the paths that an upgrade removes.
func removedPaths(effect *ecosystem.Effect) map[string]bool {
	removed := make(map[string]bool)
	for _, c := range effect.Changes {
		if c.Entry == nil {
			removed[c.Path] = true
		}
	}
	return removed
}

// own finds the entry that layer i's archive has for a path of the tree. Its Path, the name in the archive, differs
// from the tree's where it lies below a symbolic link: a layer may say bin/ls and mean usr/bin/ls.
func (d *distributor) own(i int, p string) (*layer.Entry, bool) {
	for _, n := range d.edits.Old.History(p) {
		if e := n.Archived(); n.Layer == i && e != nil {
			if _, _, whiteout := e.Whiteout(); !whiteout {
				return e, true
			}
		}
	}
	return nil, false
}

// edit records that layer i's archive has e under the name p, or nothing if e is nil.
func (d *distributor) edit(i int, p string, e *layer.Entry) {
	if d.edits.Layers[i] == nil {
		d.edits.Layers[i] = make(layer.Edits)
	}
	d.edits.Layers[i][p] = e
}

// put places a file in layer i, under the names that the layer's archive has for it and, of a hard link, for its target.
// A whiteout of the same path in that layer has nothing left to say.
func (d *distributor) put(i int, e *layer.Entry) {
	renamed := *e
	if old, ok := d.own(i, e.Path); ok {
		renamed.Path = old.Path
	}
	if e.Type == tar.TypeLink {
		if target, ok := d.own(i, e.Linkname); ok {
			renamed.Linkname = target.Path
		}
	}
	if renamed.Path != e.Path || renamed.Linkname != e.Linkname {
		e = &renamed
	}
	d.edit(i, e.Path, e)
	w := layer.WhiteoutPath(e.Path)
	if _, hidden := d.edits.Old.Layer(i).Lookup(w); hidden && !e.IsDir() {
		d.edit(i, w, nil)
	}
}

// remove takes a path out of layer i and, where a lower layer still holds it, hides it by a whiteout. What lies in a
// directory that goes too is hidden by the directory's whiteout.
func (d *distributor) remove(i int, p string, removed map[string]bool) error {
	if old, ok := d.own(i, p); ok {
		d.edit(i, old.Path, nil)
	}
	_, visible := d.cur.View(i).Lookup(p)
	if !visible || removed[path.Dir(p)] {
		return nil
	}
	w, err := layer.NewFile(layer.Entry{
		Path: layer.WhiteoutPath(p), Mode: 0o600, ModTime: d.edits.Times[i],
	}, layer.Bytes(nil))
	if err != nil {
		return err
	}
	d.edit(i, w.Path, w)
	d.parents(i, d.cur.View(i+1), w.Path)
	return nil
}

// parents gives layer i the directories above a path that it lacks, as the tree has them: an entry whose directory is
// missing from its layer would get one with made-up modes when the layer is unpacked on its own.
func (d *distributor) parents(i int, view *rootfs.View, p string) {
	for dir := path.Dir(p); dir != "."; dir = path.Dir(dir) {
		if e := d.edits.Layers[i][dir]; e != nil {
			continue
		}
		if _, held := d.own(i, dir); held {
			continue
		}
		if n, ok := view.Lookup(dir); ok && n.IsDir() && !n.Implicit {
			e := *n.Entry
			d.edit(i, dir, &e)
		}
	}
}

func (d *distributor) mark(i int, key ecosystem.Key) {
	if d.pending[i] == nil {
		d.pending[i] = make(map[ecosystem.Key]bool)
	}
	d.pending[i][key] = true
}

// apply brings cur up to date with layer i's edits.
func (d *distributor) apply(i int) error {
	if len(d.edits.Layers[i]) == 0 {
		return nil
	}
	x, err := d.edits.Old.Layer(i).Apply(d.edits.Layers[i])
	if err != nil {
		return fmt.Errorf("layer %d: %w", i, err)
	}
	d.cur, err = d.cur.Replace(i, x)
	return err
}

// finish says of the edits what is known only when all are made; edits that ask for what is there are none.
func (d *distributor) finish() error {
	d.edits.Overridden = slices.DeleteFunc(d.edits.Overridden, func(o Override) bool {
		// What is derived from packages' files is made anew where a layer has its own.
		own, ok := d.own(o.Layer, o.Path)
		return ok && d.edits.Layers[o.Layer][own.Path] != nil
	})
	d.edits.New = d.cur
	for i, keys := range d.pending {
		changes, err := d.edits.Old.Layer(i).Changes(d.edits.Layers[i])
		if err != nil {
			return fmt.Errorf("layer %d: %w", i, err)
		}
		if !changes {
			d.edits.Layers[i] = nil
			continue
		}
		for key := range keys {
			d.edits.Because[i] = append(d.edits.Because[i], key)
		}
		slices.SortFunc(d.edits.Because[i], func(a, b ecosystem.Key) int { return strings.Compare(a.String(), b.String()) })
		if len(d.edits.Layers[i]) > 0 && d.edits.Times[i].IsZero() {
			d.edits.Times[i] = d.timeOf(i)
		}
	}
	sort.Slice(d.edits.Overridden, func(a, b int) bool {
		x, y := d.edits.Overridden[a], d.edits.Overridden[b]
		return x.Layer < y.Layer || x.Layer == y.Layer && x.Path < y.Path
	})
	return nil
}
