//go:build e2e

package apk

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem/ecosystemtest"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem/overlay"
	"github.com/nanopatch/nanopatch/rebuild/layer"
	"github.com/nanopatch/nanopatch/rebuild/rootfs"
)

// The oracle of these tests is the real apk: the one in Alpine's root file systems, run in a chroot of them. What it leaves
// there is compared with what Upgrade says, path by path.

// machine is a root file system with its own apk.
type machine struct {
	t   *testing.T
	dir string
}

func newMachine(t *testing.T, release string) *machine {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a chroot needs root")
	}
	archive := sharedData(t, "apk/minirootfs/alpine-minirootfs-"+release+"-x86_64.tar.gz")
	m := &machine{t: t, dir: t.TempDir()}
	if out, err := exec.Command("tar", "-xzf", archive, "-C", m.dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	// Scripts write to it; without the device they would leave a file.
	if err := syscall.Mknod(filepath.Join(m.dir, "dev/null"), syscall.S_IFCHR|0o666, 1<<8|3); err != nil {
		t.Skipf("the machine needs a device: %v", err)
	}
	return m
}

// apk runs the machine's apk on package files.
func (m *machine) apk(args ...string) string {
	m.t.Helper()
	full := []string{m.dir, "/sbin/apk", "--no-network", "--no-cache", "--repositories-file", "/dev/null"}
	for _, a := range args {
		if filepath.IsAbs(a) && strings.HasSuffix(a, ".apk") {
			data, err := os.ReadFile(a)
			if err != nil {
				m.t.Fatal(err)
			}
			m.write("tmp/"+filepath.Base(a), string(data))
			defer os.Remove(filepath.Join(m.dir, "tmp", filepath.Base(a)))
			a = "/tmp/" + filepath.Base(a)
		}
		full = append(full, a)
	}
	out, err := exec.Command("chroot", full...).CombinedOutput()
	if err != nil {
		m.t.Fatalf("apk %v: %v\n%s", args, err, out)
	}
	return string(out)
}

func (m *machine) add(files ...string) string {
	m.t.Helper()
	return m.apk(append([]string{"add", "--allow-untrusted"}, files...)...)
}

func (m *machine) write(p, content string) {
	m.t.Helper()
	p = filepath.Join(m.dir, p)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(content), 0o644); err != nil {
		m.t.Fatal(err)
	}
}

// index is the tree as a layer, but for what every run of apk leaves behind.
func (m *machine) index() *layer.Index {
	m.t.Helper()
	var b bytes.Buffer
	if err := ecosystemtest.WriteTar(&b, m.dir, noState); err != nil {
		m.t.Fatal(err)
	}
	return scan(m.t, &b)
}

func (m *machine) view() *rootfs.View { return viewOf(m.t, m.index()) }

// noState tells of what apk was told on the command line, and of what it keeps for itself.
func noState(name string) bool {
	switch name {
	case worldPath, libDir + "/lock", "var/cache/apk", "tmp":
		return true
	}
	return false
}

// generated marks what an upgrade generates, whose time cannot be compared.
var generated = time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC)

// check upgrades the machine by its apk and by Upgrade, and compares.
func (m *machine) check(files ...string) *ecosystem.Effect {
	m.t.Helper()
	before := m.index()
	v := viewOf(m.t, before)
	effect, holds, err := Ecosystem{}.Upgrade(m.t.Context(), v, stepsFor(m.t, v, files...), ecosystem.UpgradeOptions{Time: generated})
	if err != nil || len(holds) > 0 {
		m.t.Fatal(err, holds)
	}
	ours := viewOf(m.t, ecosystemtest.Apply(m.t, before, effect))
	m.add(files...)
	theirs := m.view()
	compareDatabases(m.t, theirs, ours)
	compare(m.t, hide(m.t, theirs), hide(m.t, ours))
	return effect
}

// hide leaves out what is compared otherwise.
func hide(t *testing.T, v *rootfs.View) *rootfs.View {
	t.Helper()
	edits := make(layer.Edits)
	for _, p := range (Ecosystem{}).DatabasePaths() {
		if _, ok := v.Lookup(p); ok {
			edits[p] = nil
		}
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	err := v.Walk(func(n rootfs.Node) error {
		if _, hidden := edits[n.Path]; hidden || n.Path == "." {
			return nil
		}
		h := &tar.Header{
			Name: n.Path, Typeflag: n.Type, Mode: n.Mode, Uid: n.UID, Gid: n.GID, ModTime: n.ModTime, Linkname: n.Linkname, PAXRecords: overlay.Xattrs(n.PAX),
		}
		var content []byte
		if n.Type == tar.TypeReg {
			var err error
			if content, err = v.ReadOptional(n.Path, maxDatabase); err != nil {
				return err
			}
			h.Size = int64(len(content))
		}
		if n.Type == tar.TypeSymlink && n.Linkname == busyboxTarget || strings.HasPrefix(n.Path, "var/gen/") {
			h.ModTime = time.Unix(0, 0) // made when apk ran
		}
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		_, err := w.Write(content)
		return err
	})
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return viewOf(t, scan(t, &b))
}

// compareDatabases compares what packages are installed byte by byte; scripts and triggers entry by entry, as apk moves those
// of upgraded packages to the end.
func compareDatabases(t *testing.T, want, got *rootfs.View) {
	t.Helper()
	for _, name := range []string{installedFile, scriptsFile, triggersFile} {
		if diff := cmp.Diff(pieces(t, want, name), pieces(t, got, name)); diff != "" {
			t.Errorf("%s differs from apk's (-apk +ours):\n%s", name, diff)
		}
	}
}

func pieces(t *testing.T, v *rootfs.View, name string) []string {
	t.Helper()
	data, err := v.ReadOptional(libDir+"/"+name, maxDatabase)
	if err != nil {
		t.Fatal(err)
	}
	all := strings.SplitAfter(string(data), "\n")
	if name == scriptsFile {
		entries, err := readScripts(data)
		if err != nil {
			t.Fatal(err)
		}
		all = nil
		for _, e := range entries {
			all = append(all, withoutRunTime(t, e.raw))
		}
	}
	if name != installedFile {
		slices.Sort(all)
	}
	return all
}

// withoutRunTime blanks the time, and with it the checksum, of a script's entry that says when apk ran: that of Alpine 3.10 gives
// all scripts the time of its last run. Times of builds stay.
func withoutRunTime(t *testing.T, raw []byte) string {
	t.Helper()
	h, err := tar.NewReader(bytes.NewReader(raw)).Next()
	if err != nil {
		t.Fatal(err)
	}
	if time.Since(h.ModTime) > time.Hour {
		return string(raw)
	}
	const mtime, typeflag = 136, 156 // offsets in a header (POSIX.1-1988 ustar)
	return string(raw[:mtime]) + string(raw[typeflag:])
}

func TestRealUpgrade(t *testing.T) {
	old := sharedData(t, "apk/3.19.1/x86_64")
	m := newMachine(t, "3.19.4")
	m.add(filepath.Join(old, "xz-libs-5.4.5-r0.apk"), filepath.Join(old, "libxml2-2.11.7-r0.apk"))
	effect := m.check(sharedData(t, "apk/v3.19-main/libxml2-2.11.8-r0.apk"))
	var paths []string
	for _, c := range effect.Changes {
		paths = append(paths, c.Path)
	}
	want := "lib/apk/db/installed usr/lib/libxml2.so.2 usr/lib/libxml2.so.2.11.7 usr/lib/libxml2.so.2.11.8"
	if got := strings.Join(paths, " "); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// place makes a tree the machine's, in a directory of its own.
func (m *machine) place(v *rootfs.View) *machine {
	m.t.Helper()
	n := &machine{t: m.t, dir: m.t.TempDir()}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	err := v.Walk(func(n rootfs.Node) error { return writeNode(w, v, n) })
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		m.t.Fatal(err)
	}
	cmd := exec.Command("tar", "-xp", "-C", n.dir)
	cmd.Stdin = &b
	if out, err := cmd.CombinedOutput(); err != nil {
		m.t.Fatalf("%v: %s", err, out)
	}
	return n
}

func writeNode(w *tar.Writer, v *rootfs.View, n rootfs.Node) error {
	if n.Path == "." {
		return nil
	}
	h := &tar.Header{
		Name: n.Path, Typeflag: n.Type, Mode: n.Mode, Uid: n.UID, Gid: n.GID, ModTime: n.ModTime, Linkname: n.Linkname,
		Devmajor: n.Devmajor, Devminor: n.Devminor, PAXRecords: overlay.Xattrs(n.PAX),
	}
	var content []byte
	if n.Type == tar.TypeReg {
		f, err := v.OpenNode(n)
		if err != nil {
			return err
		}
		defer f.Close()
		if content, err = io.ReadAll(f); err != nil {
			return err
		}
		h.Size = int64(len(content))
	}
	if err := w.WriteHeader(h); err != nil {
		return err
	}
	_, err := w.Write(content)
	return err
}

// The apk of the result finds nothing wrong with it.
func TestResultIsSound(t *testing.T) {
	old := sharedData(t, "apk/3.19.1/x86_64")
	m := newMachine(t, "3.19.4")
	m.add(filepath.Join(old, "xz-libs-5.4.5-r0.apk"), filepath.Join(old, "libxml2-2.11.7-r0.apk"))
	before := m.index()
	v := viewOf(t, before)
	steps := stepsFor(t, v, sharedData(t, "apk/v3.19-main/libxml2-2.11.8-r0.apk"), filepath.Join(old, "busybox-1.36.1-r15.apk"),
		filepath.Join(old, "busybox-binsh-1.36.1-r15.apk"), filepath.Join(old, "ssl_client-1.36.1-r15.apk"))
	effect, holds, err := Ecosystem{}.Upgrade(t.Context(), v, steps, ecosystem.UpgradeOptions{Time: generated})
	if err != nil || len(holds) > 0 {
		t.Fatal(err, holds)
	}
	result := m.place(viewOf(t, ecosystemtest.Apply(t, before, effect)))
	result.write(worldPath, "libxml2\nbusybox\nalpine-baselayout\n")
	if out := result.apk("info", "-v", "-e", "libxml2"); strings.TrimSpace(lastLine(out)) != "libxml2-2.11.8-r0" {
		t.Errorf("info: %s", out)
	}
	if got, want := audit(result), audit(m); got != want {
		t.Errorf("audit: got %s, before it was %s", got, want)
	}
	if out := result.apk("fix", "--simulate"); !strings.Contains(out, "OK: ") {
		t.Errorf("fix: %s", out)
	}
	if out, err := exec.Command("chroot", result.dir, "/bin/busybox", "ls", "/usr/lib").CombinedOutput(); err != nil {
		t.Errorf("the upgraded busybox: %v: %s", err, out)
	}
}

// audit is what apk finds changed in its files: nothing but what is so in the root file system as published.
func audit(m *machine) string {
	m.t.Helper()
	var all []string
	for line := range strings.Lines(m.apk("audit", "--system", "--recursive")) {
		if f := strings.Fields(line); len(f) == 2 && f[0] != "A" && len(f[0]) == 1 {
			all = append(all, strings.TrimSpace(line))
		}
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}

// TestRealPackages goes from the packages of a later point release to those of the first, all at once: what an update may be,
// musl and busybox among them.
func TestRealPackages(t *testing.T) {
	m := newMachine(t, "3.19.4")
	db, err := open(m.view())
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, r := range db.records {
		found, err := filepath.Glob(filepath.Join(sharedData(t, "apk/3.19.1/x86_64"), r.Name+"-[0-9]*.apk"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			if p := unpackFile(t, f); p.pkg.Name == r.Name && p.pkg.Version != r.Version {
				files = append(files, f)
			}
		}
	}
	if len(files) < 6 {
		t.Fatalf("only %d packages", len(files))
	}
	t.Log(files)
	m.check(files...)
}

// A machine on which every package of 3.19.1 is installed by apk has the database that we would write.
func TestStanzas(t *testing.T) {
	m := newMachine(t, "3.19.4")
	files, err := filepath.Glob(filepath.Join(sharedData(t, "apk/3.19.1/x86_64"), "*.apk"))
	if err != nil {
		t.Fatal(err)
	}
	m.apk(append([]string{"add", "--no-scripts", "--force-broken-world"}, files...)...)
	v := m.view()
	db, err := open(v)
	if err != nil {
		t.Fatal(err)
	}
	ids, err := readOwners(v)
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, f := range files {
		p := unpackFile(t, f)
		r := db.byName[p.pkg.Name]
		if r == nil || r.Version != p.pkg.Version {
			continue
		}
		checked++
		installs, err := newInstalls(db, []ecosystem.Step{{Installed: r.Package, Payload: p}}, true)
		if err != nil {
			t.Fatal(err)
		}
		b := newBatch(db.records, installs)
		if got, want := b.stanza(installs[0], ids), string(db.data[r.start:r.end]); got != want {
			t.Errorf("%s:\ngot\n%s\nwant\n%s", p.pkg.Name, got, want)
		}
	}
	if checked < 60 {
		t.Errorf("only %d packages", checked)
	}
}
