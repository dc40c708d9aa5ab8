package script_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem/script"
)

// TestFiles compares what scripts do to files with what they do when the real shell and programs run them in an empty
// directory.
func TestFiles(t *testing.T) {
	data, err := os.ReadFile("testdata/files.txt")
	if err != nil {
		t.Fatal(err)
	}
	dash, err := exec.LookPath("dash")
	if err != nil {
		t.Skip("no dash to compare with: ", err)
	}
	for _, text := range strings.Split(string(data), "----\n") {
		dir := t.TempDir()
		cmd := exec.CommandContext(t.Context(), dash, "-c", "umask 022\n"+text)
		cmd.Dir, cmd.Env = dir, []string{"PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8"}
		want, err := cmd.Output()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		tree := image(t, map[string]string{"w/": ""})
		var out bytes.Buffer
		in := input(t, "#!/bin/sh\ncd /w\n"+text, &out)
		in.Tree = tree
		if _, err := script.Run(t.Context(), in); (err == nil) != (exit == nil) {
			t.Errorf("%s--- got %v, want %v", text, err, exit)
			continue
		}
		if out.String() != string(want) {
			t.Errorf("%s--- prints\n%s--- want\n%s", text, &out, want)
		}
		if got, want := listed(t, tree), onDisk(t, dir); !slices.Equal(got, want) {
			t.Errorf("%s--- leaves\n%s\n--- want\n%s", text, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

// listed describes the files below w.
func listed(t *testing.T, tree *script.Tree) []string {
	t.Helper()
	changes, err := tree.Changes()
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, c := range changes {
		name, inside := strings.CutPrefix(c.Path, "w/")
		switch {
		case !inside || c.Entry == nil:
			t.Errorf("a change outside: %s", c.Path)
		case c.Entry.IsDir():
			all = append(all, fmt.Sprintf("%s/ %o", name, c.Entry.Mode))
		case c.Entry.Type == tar.TypeSymlink:
			all = append(all, name+" -> "+c.Entry.Linkname)
		default:
			data, err := tree.ReadFile("/" + c.Path)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, fmt.Sprintf("%s %o %q", name, c.Entry.Mode, data))
		}
	}
	slices.Sort(all)
	return all
}

// onDisk describes the files of a directory in the same way.
func onDisk(t *testing.T, root string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == root {
			return err
		}
		name := strings.TrimPrefix(p, root+"/")
		info, err := d.Info()
		if err != nil {
			return err
		}
		mode := int64(info.Mode().Perm())
		for bit, set := range map[int64]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
			if info.Mode()&set != 0 {
				mode |= bit
			}
		}
		switch {
		case d.IsDir():
			all = append(all, fmt.Sprintf("%s/ %o", name, mode))
		case d.Type() == fs.ModeSymlink:
			target, err := os.Readlink(p)
			if err != nil {
				return err
			}
			all = append(all, name+" -> "+path.Clean(target))
		default:
			data, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			all = append(all, fmt.Sprintf("%s %o %q", name, mode, data))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	return all
}
