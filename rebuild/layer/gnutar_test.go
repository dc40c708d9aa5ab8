package layer

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// gnuTree makes a small tree on disk that uses what tar formats differ in.
func gnuTree(t *testing.T, longNames bool) string {
	t.Helper()
	root := t.TempDir()
	write := func(p, content string) {
		full := filepath.Join(root, p)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(full, time.Unix(1, 0), time.Unix(1600000000, 123456789)); err != nil {
			t.Fatal(err)
		}
	}
	write("etc/conf", "a=1\n")
	write("usr/bin/perl", "interpreter")
	write("usr/share/"+strings.Repeat("d", 60)+"/"+strings.Repeat("f", 60), "split name")
	if longNames {
		write("usr/share/"+strings.Repeat("long/", 50)+"name", "long name")
		write("usr/share/ünïcode", "name")
	}
	for _, err := range []error{
		os.Link(filepath.Join(root, "usr/bin/perl"), filepath.Join(root, "usr/bin/perl5.36")),
		os.Link(filepath.Join(root, "usr/bin/perl"), filepath.Join(root, "usr/bin/zperl")),
		os.Symlink("../etc/conf", filepath.Join(root, "usr/conf")),
		syscall.Mkfifo(filepath.Join(root, "fifo"), 0o600),
		os.WriteFile(filepath.Join(root, "var"), []byte("head"), 0o600),
		os.Truncate(filepath.Join(root, "var"), 4<<20),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// TestGNUTar rewrites archives made by GNU tar, and lets GNU tar unpack the result.
func TestGNUTar(t *testing.T) {
	version, err := exec.CommandContext(t.Context(), "tar", "--version").Output()
	if err != nil || !bytes.Contains(version, []byte("GNU tar")) {
		t.Skipf("no GNU tar on this host: %v", err)
	}
	formats := []struct {
		args   []string
		long   bool
		sparse bool
	}{
		{[]string{"--format=v7", "--exclude=" + strings.Repeat("f", 60), "--exclude=fifo"}, false, false},
		{[]string{"--format=ustar"}, false, false},
		{[]string{"--format=oldgnu", "--sparse"}, true, true},
		{[]string{"--format=gnu", "--sparse"}, true, true},
		{[]string{"--format=pax"}, true, false},
		{[]string{"--format=pax", "--sparse", "--sparse-version=0.0"}, true, true},
		{[]string{"--format=pax", "--sparse", "--sparse-version=0.1"}, true, true},
		{[]string{"--format=pax", "--sparse", "--sparse-version=1.0"}, true, true},
	}
	for _, f := range formats {
		t.Run(strings.Join(f.args, " "), func(t *testing.T) {
			root := gnuTree(t, f.long)
			args := append([]string{"-C", root, "--sort=name", "--numeric-owner", "-cf", "-"}, f.args...)
			src, err := exec.CommandContext(t.Context(), "tar", append(args, ".")...).Output()
			if err != nil {
				t.Fatal(err)
			}
			x := mustScan(t, src)
			checkTree(t, x, root, f.sparse)
			edits := Edits{
				"usr/bin/perl": newFile(t, "usr/bin/perl", "new interpreter"), "usr/bin/perl5.36": newLink("usr/bin/perl5.36", "usr/bin/perl"),
				"etc/conf": nil, "etc/new": newFile(t, "etc/new", "n"),
			}
			out, _ := mustRewrite(t, src, edits)
			checkKept(t, src, out, x, edits)
			to := t.TempDir()
			cmd := exec.CommandContext(t.Context(), "tar", "-C", to, "-xf", "-")
			cmd.Stdin = bytes.NewReader(out)
			if msg, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("tar does not unpack the result: %v: %s", err, msg)
			}
			checkUnpacked(t, to)
		})
	}
}

// checkTree compares an index with the tree that was archived.
func checkTree(t *testing.T, x *Index, root string, sparse bool) {
	t.Helper()
	for i := range x.Entries {
		e := &x.Entries[i]
		full := filepath.Join(root, e.Path)
		info, err := os.Lstat(full)
		if err != nil {
			t.Errorf("%q is not in the tree: %v", e.Path, err)
			continue
		}
		if e.Sparse != (sparse && e.Path == "var") {
			t.Errorf("%s: sparse %t", e.Path, e.Sparse)
		}
		if want := info.Mode().Perm(); e.Mode != int64(want) {
			t.Errorf("%s: mode %o, want %o", e.Path, e.Mode, want)
		}
		if e.Type == tar.TypeSymlink && e.Linkname != "../etc/conf" {
			t.Errorf("%s: target %q", e.Path, e.Linkname)
		}
		if !e.IsRegular() && e.Type != tar.TypeLink {
			continue
		}
		if e.IsRegular() && e.Size != info.Size() {
			t.Errorf("%s: size %d, want %d", e.Path, e.Size, info.Size())
		}
		if e.Path == "var" {
			continue
		}
		want, err := os.ReadFile(full)
		if err != nil {
			t.Fatal(err)
		}
		f, err := x.Open(e)
		if got := readAll(t, f, err); got != string(want) {
			t.Errorf("%s: content %q, want %q", e.Path, got, want)
		}
	}
}

func checkUnpacked(t *testing.T, to string) {
	t.Helper()
	inodes := map[string]string{}
	for p, want := range map[string]string{
		"usr/bin/perl": "new interpreter", "usr/bin/perl5.36": "new interpreter", "usr/bin/zperl": "interpreter", "etc/new": "n",
	} {
		got, err := os.ReadFile(filepath.Join(to, p))
		if err != nil || string(got) != want {
			t.Errorf("%s: %q, %v, want %q", p, got, err, want)
		}
		info, err := os.Stat(filepath.Join(to, p))
		if err != nil {
			t.Fatal(err)
		}
		inodes[p] = fmt.Sprint(info.Sys().(*syscall.Stat_t).Ino)
	}
	if inodes["usr/bin/perl"] != inodes["usr/bin/perl5.36"] || inodes["usr/bin/perl"] == inodes["usr/bin/zperl"] {
		t.Errorf("hard links: %v", inodes)
	}
	if _, err := os.Stat(filepath.Join(to, "etc/conf")); !os.IsNotExist(err) {
		t.Errorf("etc/conf was removed: %v", err)
	}
	if info, err := os.Stat(filepath.Join(to, "var")); err != nil || info.Size() != 4<<20 {
		t.Errorf("the sparse file: %v, %v", info, err)
	}
}
