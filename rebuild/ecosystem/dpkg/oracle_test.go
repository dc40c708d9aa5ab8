package dpkg

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem/ecosystemtest"
	"github.com/nanopatch/nanopatch/rebuild/layer"
	"github.com/nanopatch/nanopatch/rebuild/rootfs"
)

// The oracle of these tests is the real dpkg: it upgrades packages in a directory, and what it leaves there is compared
// with what Upgrade says, path by path.

// machine is a directory in which the real dpkg runs.
type machine struct {
	t   *testing.T
	dir string
}

// needDpkg skips a test where dpkg is not at hand.
func needDpkg(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("dpkg"); err != nil {
		t.Skipf("the oracle is dpkg itself, and there is none: %v", err)
	}
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	needDpkg(t)
	m := &machine{t: t, dir: t.TempDir()}
	for _, d := range []string{"var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/dpkg/triggers", "etc/dpkg/dpkg.cfg.d"} {
		if err := os.MkdirAll(filepath.Join(m.dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	m.write("var/lib/dpkg/status", "")
	m.write("var/lib/dpkg/info/format", "1\n")
	// dpkg --root asks the host for users, so both sides see the same.
	for _, f := range []string{"etc/passwd", "etc/group"} {
		data, err := os.ReadFile("/" + f)
		if err != nil {
			t.Fatal(err)
		}
		m.write(f, string(data))
	}
	return m
}

func (m *machine) path(p string) string { return filepath.Join(m.dir, p) }

func (m *machine) write(p, content string) {
	m.t.Helper()
	if err := os.WriteFile(m.path(p), []byte(content), 0o644); err != nil {
		m.t.Fatal(err)
	}
}

// programs puts programs into the directory that the interpreter knows and wants to see there; dpkg itself runs scripts
// with the host's.
func (m *machine) programs() {
	m.t.Helper()
	for _, p := range []string{"bin/dash", "usr/bin/ls", "usr/bin/rm", "usr/bin/cat", "usr/bin/mv", "usr/bin/dpkg-trigger"} {
		m.program(p, "ELF")
	}
	if err := os.Symlink("dash", m.path("bin/sh")); err != nil {
		m.t.Fatal(err)
	}
}

// program puts an executable file into the machine.
func (m *machine) program(p, content string) {
	m.t.Helper()
	if err := os.MkdirAll(filepath.Dir(m.path(p)), 0o755); err != nil {
		m.t.Fatal(err)
	}
	m.write(p, content)
	if err := os.Chmod(m.path(p), 0o755); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) remove(p string) {
	m.t.Helper()
	if err := os.RemoveAll(m.path(p)); err != nil {
		m.t.Fatal(err)
	}
}

// dpkg runs the real one, on packages that need not fit together.
func (m *machine) dpkg(args ...string) {
	m.t.Helper()
	command := []string{
		"--root=" + m.dir, "--log=/dev/null", "--force-not-root", "--force-script-chrootless", "--force-confold",
		"--force-depends", "--force-unsafe-io", "--force-architecture", "--force-bad-path",
	}
	// dpkg reads the host's configuration, not the root's: filters come by the command line.
	data, err := os.ReadFile(m.path("etc/dpkg/dpkg.cfg.d/filters"))
	if err == nil {
		for _, line := range strings.Fields(string(data)) {
			command = append(command, "--"+line)
		}
	}
	cmd := exec.Command("dpkg", append(command, args...)...)
	cmd.Stdin = nil
	if out, err := cmd.CombinedOutput(); err != nil {
		m.t.Fatalf("dpkg %v: %v\n%s", args, err, out)
	}
}

// index is the tree as a layer, ordered as a walk finds it.
func (m *machine) index() *layer.Index {
	m.t.Helper()
	x, err := layer.Scan(m.t.Context(), m.archive(), layer.ScanOptions{Keep: layer.KeepAll})
	if err != nil {
		m.t.Fatal(err)
	}
	return x
}

// archive is the tree as an archive.
func (m *machine) archive() io.Reader {
	m.t.Helper()
	var b bytes.Buffer
	if err := ecosystemtest.WriteTar(&b, m.dir, nil); err != nil {
		m.t.Fatal(err)
	}
	return &b
}

// view is the tree as Upgrade sees it.
func (m *machine) view() *rootfs.View {
	m.t.Helper()
	return viewOf(m.t, m.index())
}

func viewOf(t testing.TB, layers ...*layer.Index) *rootfs.View {
	t.Helper()
	s, err := rootfs.New(layers)
	if err != nil {
		t.Fatal(err)
	}
	return s.Top()
}

// memoryIndexer indexes package files in memory.
type memoryIndexer struct{}

func (memoryIndexer) IndexTar(ctx context.Context, _ string, open layer.Opener) (*layer.Index, error) {
	r, err := open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return layer.Scan(ctx, r, layer.ScanOptions{Keep: layer.KeepAll})
}

// step opens a package file as the upgrade of what is installed.
func stepFor(t testing.TB, v *rootfs.View, deb string) ecosystem.Step {
	t.Helper()
	payload, err := Ecosystem{}.Unpack(context.Background(), deb, memoryIndexer{})
	if err != nil {
		t.Fatal(err)
	}
	db, err := Ecosystem{}.Open(v)
	if err != nil {
		t.Fatal(err)
	}
	claims := payload.Package()
	for _, p := range db.Packages() {
		if p.Name == claims.Name && (p.Arch == claims.Arch || p.MultiArch != "same") {
			return ecosystem.Step{Installed: p, Payload: payload}
		}
	}
	t.Fatalf("%s is not installed", claims.Name)
	return ecosystem.Step{}
}

// generatedTime marks what an upgrade generates, which has no time that could be compared.
var generatedTime = time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC)

// upgrade computes the effect of upgrading to the package files.
func (m *machine) upgrade(opts ecosystem.UpgradeOptions, debs ...string) (*ecosystem.Effect, []*ecosystem.HoldError) {
	m.t.Helper()
	v := m.view()
	var steps []ecosystem.Step
	for _, deb := range debs {
		steps = append(steps, stepFor(m.t, v, deb))
	}
	opts.Time = generatedTime
	effect, holds, err := Ecosystem{}.Upgrade(m.t.Context(), v, steps, opts)
	if err != nil {
		m.t.Fatal(err)
	}
	return effect, holds
}

// mustUpgrade expects no holds.
func (m *machine) mustUpgrade(debs ...string) *ecosystem.Effect {
	m.t.Helper()
	effect, holds := m.upgrade(ecosystem.UpgradeOptions{}, debs...)
	for _, h := range holds {
		m.t.Error(h)
	}
	if len(holds) > 0 {
		m.t.FailNow()
	}
	return effect
}

// line is what a package manager decides about one path, and the time of what has one.
type line struct {
	what string
	time time.Time
}

// describe gives a line for every path of a tree.
func describe(t testing.TB, v *rootfs.View) map[string]line {
	t.Helper()
	names := make(map[*layer.Entry][]string)
	all := make(map[string]line)
	walk := func(visit func(n rootfs.Node, e *layer.Entry)) {
		if err := v.Walk(func(n rootfs.Node) error { visit(n, n.Inode()); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	walk(func(n rootfs.Node, e *layer.Entry) { names[e] = append(names[e], n.Path) })
	walk(func(n rootfs.Node, e *layer.Entry) {
		what := fmt.Sprintf("type %c", e.Type)
		if os.Geteuid() == 0 {
			what += fmt.Sprintf(" owner %d:%d", e.UID, e.GID)
		}
		switch e.Type {
		case tar.TypeReg:
			what += fmt.Sprintf(" mode %04o size %d sha256 %x names %v", e.Mode, e.Size, e.SHA256[:6], names[e])
		case tar.TypeSymlink:
			what += " to " + e.Linkname
		default:
			what += fmt.Sprintf(" mode %04o", e.Mode)
		}
		l := line{what: what}
		if !e.IsDir() {
			l.time = e.ModTime.Truncate(time.Second)
		}
		if !ignored(n.Path) {
			all[n.Path] = l
		}
	})
	return all
}

// ignored are files of dpkg's own book-keeping that are no part of the packages' state.
func ignored(p string) bool {
	switch p {
	case "var/lib/dpkg/status-old", "var/lib/dpkg/available", "var/lib/dpkg/lock", "var/lib/dpkg/lock-frontend",
		"var/lib/dpkg/triggers/Lock", "var/lib/dpkg/triggers/Unincorp", "var/lib/dpkg/diversions-old",
		"var/lib/dpkg/statoverride-old":
		return true
	}
	return false
}

// rewritten are files that dpkg and ldconfig write anew even when nothing in them changes; ours keep their time then.
func rewritten(p string) bool {
	return strings.HasPrefix(p, "var/lib/dpkg/info/") && (strings.HasSuffix(p, ".list") || strings.HasSuffix(p, ".md5sums")) ||
		strings.HasPrefix(p, "var/lib/dpkg/triggers/") || p == ldCachePath
}

// difference is a path that two trees do not agree on; a line is zero where there is none.
type difference struct {
	path      string
	want, got line
}

// differences tells where two trees differ. Files that either side generates have the time of its run.
func differences(t testing.TB, want, got *rootfs.View) []difference {
	t.Helper()
	wants, gots := describe(t, want), describe(t, got)
	paths := make(map[string]bool)
	for p := range wants {
		paths[p] = true
	}
	for p := range gots {
		paths[p] = true
	}
	var all []difference
	for _, p := range slices.Sorted(maps.Keys(paths)) {
		w, g := wants[p], gots[p]
		if w.what != g.what || !w.time.Equal(g.time) && !g.time.Equal(generatedTime) && !rewritten(p) {
			all = append(all, difference{p, w, g})
		}
	}
	return all
}

// compare expects no differences.
func compare(t testing.TB, want, got *rootfs.View) {
	t.Helper()
	for _, d := range differences(t, want, got) {
		t.Errorf("%s\n dpkg %v\n ours %v", d.path, d.want, d.got)
		if strings.HasPrefix(d.path, adminDir+"/") {
			a, _ := want.ReadFile(d.path)
			b, _ := got.ReadFile(d.path)
			t.Logf("dpkg's:\n%s\nours:\n%s", a, b)
		}
	}
}

// checkAgainstDpkg upgrades to the package files both ways and compares.
func (m *machine) checkAgainstDpkg(debs ...string) *ecosystem.Effect {
	m.t.Helper()
	before := m.index()
	effect := m.mustUpgrade(debs...)
	m.dpkg(append([]string{"-i"}, debs...)...)
	compare(m.t, m.view(), viewOf(m.t, ecosystemtest.Apply(m.t, before, effect)))
	return effect
}

// run runs a command in the machine's root.
func (m *machine) run(name string, args ...string) {
	m.t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = m.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		m.t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
}

// divert sets up a diversion and renames what is there.
func (m *machine) divert(args ...string) {
	m.t.Helper()
	m.run("dpkg-divert", append([]string{"--root", m.dir, "--rename", "--add"}, args...)...)
}

func linkFile(from, to string) error { return os.Link(from, to) }

type modes = map[string]int64
