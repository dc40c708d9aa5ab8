package dpkg

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// spec describes a package to build. Files end with a slash for directories, start with "-> " for links and with
// "= " for hard links; parent directories come by themselves.
type spec struct {
	name, version, arch string
	// fields are added to the control file as they are.
	fields []string
	files  map[string]string
	// modes and owners by path, where not the usual ones; owners need root.
	modes  map[string]os.FileMode
	owners map[string][2]int
	// control holds further control files: conffiles, triggers, scripts.
	control map[string]string
	// plain leaves out md5sums.
	plain bool
}

// times of the files of a version: each has its own.
func timeOf(version string) time.Time {
	seconds := int64(0)
	for _, c := range version {
		seconds = seconds*31 + int64(c)
	}
	return time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(seconds%100_000_000) * time.Second)
}

// build makes a package file with dpkg-deb.
func build(t *testing.T, s spec) string {
	t.Helper()
	needDpkg(t)
	if s.name == "" {
		s.name = "demo"
	}
	if s.arch == "" {
		s.arch = "all"
	}
	dir := t.TempDir()
	tree := filepath.Join(dir, "tree")
	sums := s.writeFiles(t, tree)
	control := fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: %s\nMaintainer: Some One <one@example.org>\n",
		s.name, s.version, s.arch)
	for _, f := range s.fields {
		control += f + "\n"
	}
	control += "Description: a package for tests\n of two lines\n"
	files := map[string]string{"control": control}
	if !s.plain && sums != "" {
		files["md5sums"] = sums
	}
	maps.Copy(files, s.control)
	for name, content := range files {
		p := filepath.Join(tree, "DEBIAN", name)
		mode := os.FileMode(0o644)
		if strings.HasPrefix(name, "p") {
			mode = 0o755
		}
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		stamp(t, p, s.version)
	}
	out := filepath.Join(dir, fmt.Sprintf("%s_%s_%s.deb", s.name, strings.ReplaceAll(s.version, ":", "%3a"), s.arch))
	args := []string{"-Zgzip", "--nocheck", "-b", tree, out}
	if s.owners == nil {
		args = append([]string{"--root-owner-group"}, args...)
	}
	cmd := exec.Command("dpkg-deb", args...)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("dpkg-deb: %v\n%s", err, text)
	}
	return out
}

// writeFiles lays out a package's files and returns the content of md5sums.
func (s spec) writeFiles(t *testing.T, tree string) string {
	t.Helper()
	var sums strings.Builder
	// Hard links after what they are links to.
	paths := slices.Sorted(maps.Keys(s.files))
	slices.SortStableFunc(paths, func(a, b string) int {
		return strings.Compare(s.files[a][:min(1, len(s.files[a]))], s.files[b][:min(1, len(s.files[b]))])
	})
	slices.SortStableFunc(paths, func(a, b string) int {
		isLink := func(p string) int {
			if strings.HasPrefix(s.files[p], "= ") {
				return 1
			}
			return 0
		}
		return isLink(a) - isLink(b)
	})
	for _, p := range paths {
		at := filepath.Join(tree, p)
		check := func(err error) {
			if err != nil {
				t.Fatal(err)
			}
		}
		check(os.MkdirAll(filepath.Dir(at), 0o755))
		content := s.files[p]
		switch {
		case strings.HasSuffix(p, "/"):
			check(os.MkdirAll(at, 0o755))
		case strings.HasPrefix(content, "-> "):
			check(os.Symlink(content[3:], at))
			check(exec.Command("touch", "-h", "-d", timeOf(s.version).Format(time.RFC3339), at).Run())
			continue
		case strings.HasPrefix(content, "= "):
			check(os.Link(filepath.Join(tree, content[2:]), at))
		default:
			check(os.WriteFile(at, []byte(content), 0o644))
			if !strings.Contains(s.control["conffiles"], "/"+p+"\n") {
				fmt.Fprintf(&sums, "%x  %s\n", md5Of(content), p)
			}
		}
		if mode, ok := s.modes[p]; ok {
			check(os.Chmod(at, mode))
		}
		if o, ok := s.owners[p]; ok {
			check(os.Chown(at, o[0], o[1]))
		}
		stamp(t, at, s.version)
	}
	return sums.String()
}

func stamp(t *testing.T, p, version string) {
	t.Helper()
	if err := os.Chtimes(p, timeOf(version), timeOf(version)); err != nil {
		t.Fatal(err)
	}
}
