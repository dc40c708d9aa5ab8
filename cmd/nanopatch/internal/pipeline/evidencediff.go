package pipeline

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild"
	"github.com/nanopatch/nanopatch/rebuild/image"
	"github.com/nanopatch/nanopatch/rebuild/plan"
	"github.com/nanopatch/nanopatch/sbom/diff"
	"github.com/nanopatch/nanopatch/sign/attest"
)

// difference holds the attested diffs against the one between both images' SBOMs, made again, and that against the lockfile.
func (e *evidence) difference(ctx context.Context, source *image.Source, old image.PlatformImage, lock *plan.PlatformLock) error {
	tree, _, err := rebuild.Read(ctx, old.Image, e.s.readOptions())
	if damaged(err) {
		e.sub.fail(CheckSource, "%v", err)
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the source: %w", err)
	}
	e.sub.ok(CheckSource, "%s, %s as its manifest says", old.Descriptor.Digest, count(tree.Len(), "layer"))
	before, err := e.s.document(ctx, source.Ref.String(), old.Image, tree)
	if err != nil {
		return err
	}
	after, err := e.own(ctx)
	if err != nil {
		return err
	}
	made := Compare(before, after)
	if err := planned(made, lock); err != nil {
		e.sub.fail(CheckDiff, "%v", err)
		return nil
	}
	statements := e.sub.Statements(attest.PredicateDiff)
	if len(statements) == 0 {
		e.sub.ok(CheckDiff, "none is attested; %s between the images, as the lockfile says", count(len(lock.Updates), "update"))
	}
	for _, st := range statements {
		if err := e.sameDiff(st, made, old.Descriptor.Digest.String()); err != nil {
			e.sub.fail(CheckDiff, "%v", err)
			continue
		}
		e.sub.ok(CheckDiff, "made again, %s", count(len(made.Changed), "change"))
	}
	return nil
}

// planned makes sure that a lockfile's updates are what happened between two images, each once.
func planned(d *diff.Diff, lock *plan.PlatformLock) error {
	for _, u := range lock.Updates {
		n := 0
		for _, c := range d.Changed {
			if c.Type == u.Type && c.Name == u.Name && c.Arch == u.NewArch() && c.From == u.From && c.To == u.To {
				n++
			}
		}
		if n != 1 {
			return fmt.Errorf("the lockfile's update of %s %s → %s happened %d times", u.Key(), u.From, u.To, n)
		}
	}
	return unplanned(d, lock)
}

// unplanned finds changes of the package managers' own packages that no update of the lockfile is.
func unplanned(d *diff.Diff, lock *plan.PlatformLock) error {
	for _, c := range d.Changed {
		_, known := rebuild.Scheme(c.Type)
		if known && !slices.ContainsFunc(lock.Updates, func(u plan.Update) bool { return u.Type == c.Type && u.Name == c.Name && u.To == c.To }) {
			return fmt.Errorf("%s %s → %s happened, and the lockfile does not say so", c.Name, c.From, c.To)
		}
	}
	for _, p := range slices.Concat(d.Added, d.Removed) {
		if _, known := rebuild.Scheme(p.Type); known {
			return fmt.Errorf("%s %s is in one of the images only, and updates add and remove nothing", p.Name, p.Version)
		}
	}
	return nil
}

func (e *evidence) sameDiff(st attest.Statement, made *diff.Diff, source string) error {
	var attested diff.Diff
	if err := json.Unmarshal(st.Predicate, &attested); err != nil {
		return fmt.Errorf("the attested one cannot be read: %w", err)
	}
	if attested.Old.Digest != source || attested.New.Digest != e.sub.Subject.String() {
		return fmt.Errorf("the attested one is from %s to %s, of other images", attested.Old.Digest, attested.New.Digest)
	}
	claimed, found := moves(&attested), moves(made)
	for _, m := range found {
		if !slices.Contains(claimed, m) {
			return fmt.Errorf("%s is not in the attested one", m)
		}
	}
	for _, m := range claimed {
		if !slices.Contains(found, m) {
			return fmt.Errorf("the attested one has %s, which did not happen", m)
		}
	}
	if len(claimed) != len(found) || attested.Unchanged != made.Unchanged {
		return fmt.Errorf("%d changed and %d unchanged in the attested one, %d and %d in the images",
			len(claimed), attested.Unchanged, len(found), made.Unchanged)
	}
	return nil
}

// moves are a diff's changes, one string each and sorted; whether the gate had explained them does not matter.
func moves(d *diff.Diff) []string {
	var all []string
	add := func(kind, name, arch, from, to string) {
		all = append(all, fmt.Sprintf("%s %s %s %q → %q", kind, name, arch, from, to))
	}
	for _, c := range d.Changed {
		add(c.Type, c.Name, c.Arch, c.From, c.To)
	}
	for _, c := range d.Consequences {
		add(c.Type, c.Name, c.Arch, c.From, c.To)
	}
	for _, p := range d.Added {
		add(p.Type, p.Name, p.Arch, "", p.Version)
	}
	for _, p := range d.Removed {
		add(p.Type, p.Name, p.Arch, p.Version, "")
	}
	slices.Sort(all)
	return all
}

// difference is a diff in a few words.
func difference(d *diff.Diff) string {
	const shown = 3
	all := moves(d)
	if len(all) > shown {
		return strings.Join(all[:shown], ", ") + fmt.Sprintf(" and %d more", len(all)-shown)
	}
	return strings.Join(all, ", ")
}
