package apk

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
)

// before runs the new version's pre-upgrade script, which sees the old version's files.
func (u *upgrade) before(ctx context.Context, in *install) error {
	return u.runOwn(ctx, in, "pre-upgrade")
}

// after runs the new version's post-upgrade script. (The old version's scripts have no part in an upgrade.)
func (u *upgrade) after(ctx context.Context, in *install) error {
	if u.busyboxUpgrade(in, in.new.scripts["post-upgrade"]) {
		return nil
	}
	return u.runOwn(ctx, in, "post-upgrade")
}

func (u *upgrade) runOwn(ctx context.Context, in *install, kind string) error {
	return u.run(ctx, in, "", kind, in.new.scripts[kind], in.new.pkg.Version, in.old.Version)
}

// inert tells whether a script holds no command at all.
func inert(script []byte) bool {
	for line := range strings.Lines(string(script)) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "#") && line != "exit 0" && line != "true" && line != ":" {
			return false
		}
	}
	return true
}

// trigger is one package's trigger: the directories it watches, and the script.
type trigger struct {
	key      ecosystem.Key
	patterns []string
	script   []byte
	// all says that every directory counts as changed: the package itself is upgraded.
	all bool
}

// triggers runs the triggers of all packages as they are after the run: each once, with all directories that it watches and that
// upgraded packages have.
func (u *upgrade) triggers(ctx context.Context) error {
	watching, err := u.watching()
	if err != nil {
		return err
	}
	for _, t := range watching {
		if inert(t.script) {
			continue
		}
		var cause *install
		var dirs []string
		for _, in := range u.batch.installs {
			touched := in.touched()
			if t.all && t.key == in.key() {
				touched = u.allDirectories()
			}
			watched := t.watched(touched)
			if cause == nil && len(watched) > 0 {
				cause = in
			}
			dirs = append(dirs, watched...)
		}
		if cause == nil {
			continue
		}
		slices.Sort(dirs)
		args := make([]string, 0, len(dirs))
		for _, dir := range slices.Compact(dirs) {
			args = append(args, slashed(dir))
		}
		why := fmt.Sprintf("it changes %s, on which the trigger of package %s works: ", args[0], t.key.Name)
		if err := u.run(ctx, cause, why, "trigger", t.script, args...); err != nil {
			return err
		}
	}
	return nil
}

// watching lists the triggers: of packages that stay as the database has them, of upgraded ones as they bring them.
func (u *upgrade) watching() ([]trigger, error) {
	data, err := u.db.view.ReadOptional(u.db.path(triggersFile), maxDatabase)
	if err != nil {
		return nil, err
	}
	patterns := make(map[string][]string)
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) > 1 {
			patterns[f[0]] = f[1:]
		}
	}
	scripts, err := u.db.scripts()
	if err != nil {
		return nil, err
	}
	var all []trigger
	for _, r := range u.db.records {
		if in, ok := u.batch.byKey[r.Key]; ok {
			if script, has := in.new.scripts["trigger"]; has && len(in.new.triggers()) > 0 {
				all = append(all, trigger{r.Key, in.new.triggers(), script, true})
			}
			continue
		}
		script, has := scripts[r.Name+"-"+r.Version+"."+r.checksum+".trigger"]
		if watched := patterns[r.checksum]; has && len(watched) > 0 {
			all = append(all, trigger{r.Key, watched, script, false})
		}
	}
	return all, nil
}

// watched picks the directories that match one of the patterns, which apply to the whole path.
func (t trigger) watched(dirs []string) []string {
	var all []string
	for _, dir := range dirs {
		if slices.ContainsFunc(t.patterns, func(p string) bool {
			ok, err := path.Match(strings.TrimPrefix(p, "+"), slashed(dir))
			return ok && err == nil
		}) {
			all = append(all, dir)
		}
	}
	return all
}

// touched lists the directories that count as changed by an upgrade: all that the old and the new version have.
func (in *install) touched() []string {
	dirs := make(map[string]bool)
	for _, d := range in.old.dirs {
		dirs[d.path] = true
	}
	for i := range in.new.files.Entries {
		if e := &in.new.files.Entries[i]; ships(e) {
			if e.IsDir() {
				dirs[e.Path] = true
			} else if d := path.Dir(e.Path); d != "." {
				dirs[d] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(dirs))
}

// allDirectories lists the directories of all packages.
func (u *upgrade) allDirectories() []string {
	dirs := make(map[string]bool)
	for _, r := range u.db.records {
		for _, d := range r.dirs {
			dirs[d.path] = true
		}
	}
	for _, in := range u.batch.installs {
		for _, d := range in.touched() {
			dirs[d] = true
		}
	}
	return slices.Sorted(maps.Keys(dirs))
}
