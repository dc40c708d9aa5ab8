package ecosystemtest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/layer"
	"github.com/nanopatch/nanopatch/rebuild/rootfs"
)

// Config is what Run works on.
type Config struct {
	Ecosystem ecosystem.Ecosystem
	// Layer is a tree with at least two packages installed, all content kept.
	Layer *layer.Index
	// Steps upgrade some of these packages, not all; without a hold.
	Steps []ecosystem.Step
}

// now is the time of generated files.
var now = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// Run runs the suite.
func Run(t *testing.T, c Config) {
	t.Helper()
	for _, test := range []struct {
		name string
		run  func(t *testing.T, c Config)
	}{
		{"NoDatabase", testNoDatabase},
		{"Database", testDatabase},
		{"Upgrade", testUpgrade},
		{"UpgradeNothing", testUpgradeNothing},
		{"UpgradeTwice", testUpgradeTwice},
		{"UpgradeWrongVersion", testWrongVersion},
		{"UpgradeCancelled", testCancelled},
		{"EditDatabase", testEditDatabase},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, c) })
	}
}

// view merges layers.
func view(t *testing.T, layers ...*layer.Index) *rootfs.View {
	t.Helper()
	s, err := rootfs.New(layers)
	if err != nil {
		t.Fatal(err)
	}
	return s.Top()
}

func upgrade(t *testing.T, c Config, v *rootfs.View, steps []ecosystem.Step) *ecosystem.Effect {
	t.Helper()
	effect, holds, err := c.Ecosystem.Upgrade(t.Context(), v, steps, ecosystem.UpgradeOptions{Time: now})
	if err != nil || len(holds) > 0 {
		t.Fatalf("got %v, holds %v", err, holds)
	}
	return effect
}

// versions lists what is installed.
func versions(t *testing.T, c Config, v *rootfs.View) map[ecosystem.Key]string {
	t.Helper()
	db, err := c.Ecosystem.Open(v)
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[ecosystem.Key]string)
	for _, p := range db.Packages() {
		if _, twice := all[p.Key]; twice {
			t.Errorf("%s is there twice", p.Key)
		}
		all[p.Key] = p.Version
	}
	return all
}

func testNoDatabase(t *testing.T, c Config) {
	if _, err := c.Ecosystem.Open(view(t)); !errors.Is(err, ecosystem.ErrNoDatabase) {
		t.Errorf("an empty tree: got %v, want ErrNoDatabase", err)
	}
	if c.Ecosystem.Name() == "" || c.Ecosystem.Type() == "" {
		t.Error("no name or purl type")
	}
	for _, p := range c.Ecosystem.DatabasePaths() {
		if !c.Ecosystem.Wants(p) {
			t.Errorf("the content of the database %s is not wanted", p)
		}
	}
	if _, holds, err := c.Ecosystem.UpgradeAbove(t.Context(), view(t), c.Steps, nil, ecosystem.UpgradeOptions{}); err != nil || len(holds) > 0 {
		t.Errorf("a layer without a database: got %v, %v", holds, err)
	}
}

func testDatabase(t *testing.T, c Config) {
	v := view(t, c.Layer)
	if n := len(versions(t, c, v)); n < 2 || n <= len(c.Steps) {
		t.Fatalf("%d packages for %d steps", n, len(c.Steps))
	}
	db, err := c.Ecosystem.Open(v)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range c.Steps {
		files := db.Files(s.Installed.Key)
		if len(files) == 0 {
			t.Errorf("%s has no files", s.Installed.Key)
		}
		for _, p := range files {
			if path.Clean(p) != p || path.IsAbs(p) {
				t.Errorf("%s: %q is no clean path", s.Installed.Key, p)
			}
		}
	}
	if files := db.Files(ecosystem.Key{Name: "not-installed"}); len(files) > 0 {
		t.Errorf("a package that is not installed has files %v", files)
	}
}

func testUpgrade(t *testing.T, c Config) {
	v := view(t, c.Layer)
	before := versions(t, c, v)
	effect := upgrade(t, c, v, c.Steps)
	edits := make(layer.Edits)
	for i, change := range effect.Changes {
		if i > 0 && effect.Changes[i-1].Path >= change.Path {
			t.Errorf("%s is out of order", change.Path)
		}
		if e := change.Entry; e != nil && (e.Path != change.Path || e.IsRegular() && !e.HasContent()) {
			t.Errorf("%s: an entry for %s, or without content", change.Path, e.Path)
		}
		if !slices.ContainsFunc(c.Steps, func(s ecosystem.Step) bool { return s.Installed.Key == change.Package }) {
			t.Errorf("%s changes because of %s, which is not upgraded", change.Path, change.Package)
		}
		edits[change.Path] = change.Entry
	}
	edited, err := c.Layer.Apply(edits)
	if err != nil {
		t.Fatal(err)
	}
	want := before
	for _, s := range c.Steps {
		want[s.Installed.Key] = s.Payload.Package().Version
	}
	if diff := cmp.Diff(want, versions(t, c, view(t, edited))); diff != "" {
		t.Errorf("what is installed afterwards (-want +got):\n%s", diff)
	}
	if again := versions(t, c, v); again[c.Steps[0].Installed.Key] != c.Steps[0].Installed.Version {
		t.Error("the tree itself has changed")
	}
}

func testUpgradeNothing(t *testing.T, c Config) {
	if effect := upgrade(t, c, view(t, c.Layer), nil); len(effect.Changes) > 0 || len(effect.Kept) > 0 {
		t.Errorf("got %v", effect)
	}
}

// testUpgradeTwice: equal input, equal output.
func testUpgradeTwice(t *testing.T, c Config) {
	backwards := slices.Clone(c.Steps)
	slices.Reverse(backwards)
	a, b := upgrade(t, c, view(t, c.Layer), c.Steps), upgrade(t, c, view(t, c.Layer), backwards)
	if len(a.Changes) != len(b.Changes) {
		t.Fatalf("%d changes, then %d", len(a.Changes), len(b.Changes))
	}
	for i, x := range a.Changes {
		y := b.Changes[i]
		if x.Path != y.Path || (x.Entry == nil) != (y.Entry == nil) {
			t.Errorf("%s, then %s", x.Path, y.Path)
			continue
		}
		if x.Entry != nil && (x.Entry.SHA256 != y.Entry.SHA256 || x.Entry.Mode != y.Entry.Mode || !x.Entry.ModTime.Equal(y.Entry.ModTime)) {
			t.Errorf("%s differs", x.Path)
		}
	}
}

func testWrongVersion(t *testing.T, c Config) {
	wrong := slices.Clone(c.Steps)
	wrong[0].Installed.Version += "9"
	if _, _, err := c.Ecosystem.Upgrade(t.Context(), view(t, c.Layer), wrong, ecosystem.UpgradeOptions{Time: now}); err == nil {
		t.Error("a version that is not installed is upgraded")
	}
}

func testCancelled(t *testing.T, c Config) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := c.Ecosystem.Upgrade(ctx, view(t, c.Layer), c.Steps, ecosystem.UpgradeOptions{Time: now}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// testEditDatabase: the copy of a database in a layer above ends up as that of the layer of the upgrade.
func testEditDatabase(t *testing.T, c Config) {
	v := view(t, c.Layer)
	changed := make(map[string][]byte)
	for _, change := range upgrade(t, c, v, c.Steps).Changes {
		if change.Entry != nil && change.Entry.IsRegular() {
			changed[change.Path] = content(t, change.Entry)
		}
	}
	edits := 0
	for _, p := range c.Ecosystem.DatabasePaths() {
		e, ok := c.Layer.Lookup(p)
		if !ok || !e.IsRegular() {
			continue
		}
		old := content(t, e)
		same, err := c.Ecosystem.EditDatabase(p, old, v, nil)
		if err != nil || !bytes.Equal(same, old) {
			t.Errorf("%s: an edit of nothing changes it: %v", p, err)
		}
		want, ok := changed[p]
		if !ok {
			want = old
		}
		got, err := c.Ecosystem.EditDatabase(p, old, v, c.Steps)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %v (-upgrade +edit):\n%s", p, err, cmp.Diff(string(want), string(got)))
		}
		if !bytes.Equal(got, old) {
			edits++
		}
	}
	if edits == 0 {
		t.Error("no database changes")
	}
}

func content(t *testing.T, e *layer.Entry) []byte {
	t.Helper()
	f, err := new(layer.Index).Open(e)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Apply gives a layer with the changes of an effect, by the layer package's own rules.
func Apply(t testing.TB, x *layer.Index, effect *ecosystem.Effect) *layer.Index {
	t.Helper()
	edits := make(layer.Edits)
	for _, c := range effect.Changes {
		edits[c.Path] = c.Entry
	}
	edited, err := x.Apply(edits)
	if err != nil {
		t.Fatal(err)
	}
	return edited
}
