package debscript_test

import (
	"archive/tar"
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem/dpkg/debscript"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem/script"
	"github.com/nanopatch/nanopatch/rebuild/layer"
	"github.com/nanopatch/nanopatch/rebuild/rootfs"
)

var now = time.Date(2024, 2, 3, 4, 5, 6, 0, time.UTC)

// TestHostScripts runs the maintainer scripts of this machine's own packages as an upgrade would, over a tree that is
// like the machine's, and tells how many of them run to their end.
func TestHostScripts(t *testing.T) {
	if testing.Short() {
		t.Skip("reads the machine's packages")
	}
	names, _ := filepath.Glob("/var/lib/dpkg/info/*.p*")
	if len(names) == 0 {
		t.Skip("this machine has no dpkg")
	}
	base := script.View(hostView(t))
	unknown, versions := make(map[string][]string), hostVersions()
	ran, total, changed := 0, 0, 0
	var longest time.Duration
	for _, name := range names {
		kind := strings.TrimPrefix(filepath.Ext(name), ".")
		pkg, arch, _ := strings.Cut(strings.TrimSuffix(filepath.Base(name), "."+kind), ":")
		args := map[string][]string{
			"preinst": {"upgrade", "0:9999", "0:9999"}, "postinst": {"configure", "0:9999"},
			"prerm": {"upgrade", "0:9999"}, "postrm": {"upgrade", "0:9999"},
		}[kind]
		if args == nil {
			continue
		}
		for i := range args[1:] {
			args[i+1] = versions[pkg]
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		total++
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		tree := script.NewTree(base, now)
		began := time.Now()
		_, err = debscript.Run(ctx, debscript.Invocation{
			Package: pkg, Arch: cmp.Or(arch, "amd64"), Coinstallable: arch != "", Kind: kind, Args: args, Script: text, Tree: tree,
			Config: read(strings.TrimSuffix(name, kind) + "config"), Templates: read(strings.TrimSuffix(name, kind) + "templates"),
		})
		longest = max(longest, time.Since(began))
		cancel()
		if err == nil {
			ran++
			changes, err := debscript.Changes(tree)
			if err != nil {
				t.Fatal(err)
			}
			changed += len(changes)
			continue
		}
		why := err.Error()
		var u *script.UnknownError
		if errors.As(err, &u) {
			word, _, _ := strings.Cut(u.Command, " ")
			why = filepath.Base(word) + ": " + shape.ReplaceAllString(u.Detail, "…")
		}
		unknown[why] = append(unknown[why], pkg+"."+kind+": "+err.Error())
	}
	report(t, unknown)
	t.Logf("%d of %d scripts run to their end (%d %%), changing %d paths; the longest took %v", ran, total, 100*ran/total, changed, longest)
	if 100*ran < 90*total {
		t.Error("less than 90 % of them")
	}
}

var shape = regexp.MustCompile(`/\S+`)

func read(name string) []byte {
	data, _ := os.ReadFile(name)
	return data
}

// hostVersions are the versions of this machine's packages.
func hostVersions() map[string]string {
	versions := make(map[string]string)
	for _, stanza := range strings.Split(string(read("/var/lib/dpkg/status")), "\n\n") {
		var name, v string
		for line := range strings.SplitSeq(stanza, "\n") {
			if s, ok := strings.CutPrefix(line, "Package: "); ok {
				name = s
			}
			if s, ok := strings.CutPrefix(line, "Version: "); ok {
				v = s
			}
		}
		versions[name] = v
	}
	return versions
}

// report prints the reasons for which scripts do not run, the most frequent first.
func report(t *testing.T, unknown map[string][]string) {
	var reasons []string
	for why := range unknown {
		reasons = append(reasons, why)
	}
	slices.SortFunc(reasons, func(a, b string) int { return cmp.Compare(len(unknown[b]), len(unknown[a])) })
	for _, why := range reasons {
		t.Logf("%3d %s\n        %s", len(unknown[why]), why, strings.Join(unknown[why][:min(3, len(unknown[why]))], "\n        "))
	}
}

// hostView is a tree like this machine's, with the content of small files.
func hostView(t *testing.T) *rootfs.View {
	x := &layer.Index{}
	skip := []string{"/proc", "/sys", "/dev", "/run", "/tmp", "/root", "/home", "/usr/share/doc", "/usr/share/locale", "/usr/local", "/usr/src", "/var/tmp", "/var/cache/apt", "/mnt"}
	err := filepath.WalkDir("/", func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == "/" {
			return nil //nolint:nilerr // what cannot be read is left out
		}
		info, err := d.Info()
		if err != nil {
			return nil //nolint:nilerr // gone meanwhile
		}
		st := info.Sys().(*syscall.Stat_t)
		e := layer.Entry{
			Path: p[1:], Mode: int64(st.Mode & 0o7777), UID: int(st.Uid), GID: int(st.Gid), ModTime: info.ModTime(),
		}
		switch {
		case info.IsDir():
			e.Type = tar.TypeDir
		case info.Mode()&fs.ModeSymlink != 0:
			e.Type = tar.TypeSymlink
			e.Linkname, _ = os.Readlink(p)
		case info.Mode().IsRegular():
			e.Type, e.Size = tar.TypeReg, info.Size()
			if keep(p, info.Size()) {
				f, err := layer.NewFile(e, layer.Bytes(read(p)))
				if err != nil {
					return err
				}
				e = *f
			}
		default:
			return nil
		}
		x.Entries = append(x.Entries, e)
		if d.IsDir() && slices.Contains(skip, p) {
			return filepath.SkipDir
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	stack, err := rootfs.New([]*layer.Index{x})
	if err != nil {
		t.Fatal(err)
	}
	return stack.Top()
}

func keep(p string, size int64) bool {
	if size > 4<<20 || strings.HasPrefix(p, "/var/lib/apt/") || strings.HasSuffix(p, ".pyc") {
		return false
	}
	for _, dir := range []string{"/etc/", "/var/lib/", "/usr/lib/systemd", "/usr/lib/tmpfiles.d", "/usr/lib/sysusers.d", "/usr/share/debconf", "/var/cache/debconf", "/usr/share/ca-certificates"} {
		if strings.HasPrefix(p, dir) {
			return true
		}
	}
	if strings.Contains(p, "/bin/") || strings.Contains(p, "/sbin/") {
		if size > 200_000 {
			return false
		}
		return strings.HasPrefix(string(read(p)), "#!")
	}
	return strings.HasSuffix(p, "-release") || size < 20_000 && (strings.HasPrefix(p, "/usr/share/") || strings.HasPrefix(p, "/usr/lib/dpkg"))
}
