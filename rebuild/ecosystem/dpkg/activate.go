package dpkg

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
)

// pending is what waits for one interested package: the triggers, sorted, each with the packages of the run that
// activated it and why.
type pending map[string]map[*install]string

// maxRounds bounds how often triggers may activate triggers.
const maxRounds = 10

// runTriggers does what dpkg does at the end of a run: whoever is interested in a trigger that was activated has its postinst
// called once with all their names (trigproc in src/trigger/trigproc.c).
func (u *upgrade) runTriggers(ctx context.Context) error {
	if err := u.activateAll(); err != nil {
		return err
	}
	for round := 0; len(u.pending) > 0; round++ {
		waiting := u.pending
		u.pending = nil
		if round == maxRounds {
			for _, owner := range slices.Sorted(maps.Keys(waiting)) {
				u.holdAll(waiting[owner].installs(), fmt.Sprintf("the triggers of %s activate each other without end", owner))
			}
			return nil
		}
		for _, owner := range slices.Sorted(maps.Keys(waiting)) {
			if err := u.handle(ctx, owner, waiting[owner]); err != nil {
				return err
			}
		}
	}
	return nil
}

// activateAll notes the triggers that unpacking activated: by paths that changed, and by what packages declare.
//
// dpkg activates file triggers for every path of a package; here only what changed counts, because a handler that sees the
// same files makes the same of them.
func (u *upgrade) activateAll() error {
	interested, err := readFileTriggers(u.tree)
	if err != nil {
		return err
	}
	for _, in := range u.installs {
		if in.old.dropIn != "" {
			continue
		}
		for _, dir := range slices.Sorted(maps.Keys(interested)) {
			if p := in.changedBelow(u.tree.Follow(dir, true)); p != "" {
				u.wait(in, interested[dir], listName(dir), listName(p)+" changes, which triggers ")
			}
		}
		before, err := u.triggersOf(in.old)
		if err != nil {
			return err
		}
		for _, i := range append(before, in.new.triggers...) {
			if i.activate {
				if err := u.activate(in, i.name); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// activate notes a trigger that is activated by its name: a word, or a path, which means the interests in all that is above it.
func (u *upgrade) activate(in *install, name string) error {
	if !strings.HasPrefix(name, "/") {
		data, err := readFile(u.tree, triggersDir+"/"+path.Base(name))
		if err != nil {
			return err
		}
		var owners []string
		for _, line := range strings.Fields(string(data)) {
			owner, _, _ := strings.Cut(line, "/")
			owners = append(owners, owner)
		}
		u.wait(in, owners, name, "it triggers ")
		return nil
	}
	interested, err := readFileTriggers(u.tree)
	if err != nil {
		return err
	}
	p, err := cleanPath(name)
	if err != nil {
		return nil //nolint:nilerr // no package can be interested in it
	}
	for ; p != "." && p != ""; p = path.Dir(p) {
		u.wait(in, interested[p], listName(p), "it triggers ")
	}
	return nil
}

// wait notes that packages are interested in an activated trigger.
func (u *upgrade) wait(in *install, owners []string, trigger, why string) {
	for _, owner := range owners {
		if u.pending == nil {
			u.pending = make(map[string]pending)
		}
		if u.pending[owner] == nil {
			u.pending[owner] = make(pending)
		}
		if u.pending[owner][trigger] == nil {
			u.pending[owner][trigger] = make(map[*install]string)
		}
		if u.pending[owner][trigger][in] == "" {
			u.pending[owner][trigger][in] = why + owner + ": "
		}
	}
}

// handle runs the postinst of an interested package. What it does belongs to the package itself if it is in the run, else to
// the first that activated a trigger; if it is not known, all of these are held.
func (u *upgrade) handle(ctx context.Context, owner string, waiting pending) error {
	name, arch, _ := strings.Cut(owner, ":")
	installs := waiting.installs()
	args := []string{"triggered", strings.Join(slices.Sorted(maps.Keys(waiting)), " ")}
	for _, r := range u.db.records {
		if r.Name != name || arch != "" && r.Arch != arch || !r.installed() {
			continue
		}
		c, err := u.recordCall(r, postinst, args...)
		if handler, ok := u.byKey[r.Key]; ok {
			c = handler.newCall(postinst, args...)
		} else if err != nil {
			return err
		}
		by := slices.DeleteFunc(slices.Clone(installs), func(in *install) bool { return u.held(in.key()) })
		if len(by) == 0 {
			return nil
		}
		c.why = waiting.why(by[0])
		actor := by[0]
		if handler, ok := u.byKey[r.Key]; ok && !u.held(r.Key) {
			actor = handler
		}
		if err := u.run(ctx, actor, c); err != nil {
			return err
		}
		if i := slices.IndexFunc(u.holds, func(h *ecosystem.HoldError) bool { return h.Package == actor.key() }); i >= 0 {
			u.holdAll(by, u.holds[i].Detail)
		}
	}
	return nil
}

func (u *upgrade) holdAll(installs []*install, detail string) {
	for _, in := range installs {
		u.hold(in.key(), ecosystem.ReasonMaintainerScript, "%s", detail)
	}
}

// installs lists the packages that activated any of the triggers, by name.
func (p pending) installs() []*install {
	all := make(map[string]*install)
	for _, by := range p {
		for in := range by {
			all[in.key().String()] = in
		}
	}
	var sorted []*install
	for _, key := range slices.Sorted(maps.Keys(all)) {
		sorted = append(sorted, all[key])
	}
	return sorted
}

// why says how a package came to activate a trigger.
func (p pending) why(in *install) string {
	for _, trigger := range slices.Sorted(maps.Keys(p)) {
		if why := p[trigger][in]; why != "" {
			return why
		}
	}
	return ""
}
