package debscript_test

import (
	"archive/tar"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem/dpkg/debscript"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem/script"
	"github.com/nanopatch/nanopatch/rebuild/layer"
	"github.com/nanopatch/nanopatch/rebuild/rootfs"
)

// tools are what a tree for tests has besides its own files.
var tools = []string{"dash", "dpkg", "dpkg-divert", "dpkg-statoverride", "update-alternatives", "dpkg-query", "deb-systemd-helper", "systemctl", "ss"}

// tree makes a tree of files: content, or "-> TARGET" for a link; a path that ends in a slash is a directory.
func tree(t testing.TB, files map[string]string) *script.Tree {
	t.Helper()
	all := map[string]string{"usr/bin/sh": "-> dash", "bin": "-> usr/bin"}
	for _, name := range tools {
		all["usr/bin/"+name] = "ELF"
	}
	maps.Copy(all, files)
	x := &layer.Index{}
	for _, p := range slices.Sorted(maps.Keys(all)) {
		header := layer.Entry{Path: strings.TrimSuffix(p, "/"), Mode: 0o755}
		if target, ok := strings.CutPrefix(all[p], "-> "); ok {
			header.Type, header.Linkname = tar.TypeSymlink, target
		} else if strings.HasSuffix(p, "/") {
			header.Type = tar.TypeDir
		} else {
			e, err := layer.NewFile(header, layer.Bytes([]byte(all[p])))
			if err != nil {
				t.Fatal(err)
			}
			header = *e
		}
		x.Entries = append(x.Entries, header)
	}
	stack, err := rootfs.New([]*layer.Index{x})
	if err != nil {
		t.Fatal(err)
	}
	return script.NewTree(script.View(stack.Top()), now)
}

// postinst runs a script as that of package demo.
func postinst(t testing.TB, tr *script.Tree, text string) (debscript.Result, error) {
	t.Helper()
	return debscript.Run(t.Context(), debscript.Invocation{
		Package: "demo", Arch: "amd64", Kind: "postinst", Args: []string{"configure", "1.0-1"}, Tree: tr,
		Script: []byte("#!/bin/sh\n" + text + "\n"),
	})
}

// alternatives are runs of update-alternatives, one a line; in each the files of alternativeFiles exist.
var alternatives = []string{
	`--install /usr/bin/ed ed /opt/a 10`,
	`--install /usr/bin/ed ed /opt/a 10 --slave /usr/share/man/ed.1 ed.1 /opt/a.1
--install /usr/bin/ed ed /opt/b 20 --slave /usr/share/man/ed.1 ed.1 /opt/b.1 --slave /usr/share/man/ed.5 ed.5 /opt/missing.5`,
	`--install /usr/bin/ed ed /opt/b 20 --slave /usr/share/man/ed.1 ed.1 /opt/b.1
--install /usr/bin/ed ed /opt/a 10
--remove ed /opt/b`,
	`--install /usr/bin/ed ed /opt/a 10
--install /usr/bin/ed ed /opt/b 20
--set ed /opt/a
--install /usr/bin/ed ed /opt/c 30 --slave /usr/share/man/ed.1 ed.1 /opt/b.1`,
	`--install /usr/bin/ed ed /opt/a 10
--install /usr/bin/ed ed /opt/b 20
--set ed /opt/a
--remove ed /opt/a`,
	`--install /usr/bin/ed ed /opt/a 10
--install /usr/bin/ed ed /opt/b 20
--set ed /opt/a
--auto ed`,
	`--install /usr/bin/ed ed /opt/a 10 --slave /usr/share/man/ed.1 ed.1 /opt/a.1
--remove ed /opt/a`,
	`--install /usr/bin/ed ed /opt/a 10
--install /usr/bin/ed ed /opt/a 50
--install /usr/bin/ed ed /opt/b 20
--remove-all ed`,
	`--install /usr/bin/ed ed /opt/a 10
--install /usr/bin/ed ed /opt/b 10
--install /usr/bin/ed ed /opt/c 10`,
	`--install /usr/bin/real real /opt/a 10`,
	`--install /usr/bin/ed ed /opt/a 10 --slave /usr/share/man/ed.1 ed.1 /opt/a.1
--install /usr/bin/ed ed /opt/a 10`,
	`--install /usr/bin/ed ed /opt/a 10 --slave /usr/share/man/ed.1 ed.1 /opt/a.1 --slave /usr/share/nosuch/ed.1 nosuch.1 /opt/nosuch.1`,
}

var alternativeFiles = map[string]string{
	"opt/a": "a", "opt/b": "b", "opt/c": "c", "opt/a.1": "a", "opt/b.1": "b", "usr/bin/real": "file",
	"usr/share/man/": "", "etc/alternatives/": "", "var/lib/dpkg/alternatives/": "", "var/log/": "",
}

// TestAlternatives compares files and links with those that the real program leaves, and what it prints about them.
func TestAlternatives(t *testing.T) {
	program, err := exec.LookPath("update-alternatives")
	if err != nil {
		t.Skip("no update-alternatives to compare with: ", err)
	}
	for _, text := range alternatives {
		root := t.TempDir()
		for p, data := range alternativeFiles {
			at := filepath.Join(root, p)
			if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(p, "/") {
				err = os.MkdirAll(at, 0o755)
			} else {
				err = os.WriteFile(at, []byte(data), 0o755)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		var lines []string
		shown := ""
		for _, line := range append(strings.Split(text, "\n"), "--query ed", "--display ed", "--list ed") {
			cmd := exec.CommandContext(t.Context(), program, append([]string{"--root", root}, strings.Fields(line)...)...)
			out, err := cmd.Output()
			if err != nil {
				t.Logf("%s: %v", line, err)
			}
			if !strings.HasPrefix(line, "--install") && !strings.HasPrefix(line, "--remove") && !strings.HasPrefix(line, "--set") && line != "--auto ed" {
				shown += strings.ReplaceAll(string(out), root, "")
			}
			lines = append(lines, "update-alternatives "+line)
		}
		tr := tree(t, alternativeFiles)
		res, err := postinst(t, tr, strings.Join(lines, " 2>/dev/null\n")+" 2>/dev/null\nexit 0")
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := string(res.Output); got != shown {
			t.Errorf("%s\n--- prints\n%s--- want\n%s", text, got, shown)
		}
		if got, want := edited(t, tr), onDisk(t, root); !slices.Equal(got, want) {
			t.Errorf("%s\n--- leaves\n%s\n--- want\n%s", text, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

// edited describes the files that scripts changed.
func edited(t *testing.T, tr *script.Tree) []string {
	t.Helper()
	changes, err := debscript.Changes(tr)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, c := range changes {
		switch {
		case c.Entry == nil:
			all = append(all, "-"+c.Path)
		case c.Entry.Type == tar.TypeSymlink:
			all = append(all, c.Path+" -> "+c.Entry.Linkname)
		default:
			data, err := tr.ReadFile("/" + c.Path)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, fmt.Sprintf("%s %q", c.Path, data))
		}
	}
	return all
}

// onDisk describes the files of a directory that are not among alternativeFiles.
func onDisk(t *testing.T, root string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		name := strings.TrimPrefix(p, root+"/")
		if _, given := alternativeFiles[name]; err != nil || d.IsDir() || given || strings.HasPrefix(name, "var/log/") {
			return err
		}
		if target, err := os.Readlink(p); err == nil {
			all = append(all, name+" -> "+strings.ReplaceAll(target, root, ""))
			return nil
		}
		data, err := os.ReadFile(p)
		all = append(all, fmt.Sprintf("%s %q", name, data))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
