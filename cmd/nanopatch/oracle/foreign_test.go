//go:build e2e

package oracle

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/nanopatch/nanopatch/rebuild"
	"github.com/nanopatch/nanopatch/rebuild/plan"
	"github.com/nanopatch/nanopatch/testdata/fixture"
)

// foreignArch is an architecture whose programs this machine is not to run.
const foreignArch = "arm64"

// TestForeignArchitecture rebuilds an image of another architecture. Its own apt cannot run here, so the result is held
// against the packages themselves, as dpkg-deb unpacks them: every path that one of them ships, and none besides that
// the old one shipped. No script had to run for the image, as the fixture is made without.
func TestForeignArchitecture(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("owners and modes take root to unpack")
	}
	if runtime.GOARCH == foreignArch {
		t.Skipf("%s is this machine's own architecture", foreignArch)
	}
	image, err := fixture.Debian(t.Context(), t.TempDir(), fixture.DebianOptions{Arch: foreignArch})
	if err != nil {
		t.Fatal(err)
	}
	source := filepath.Join(t.TempDir(), "source")
	if err := fixture.WriteLayout(source, tag, image); err != nil {
		t.Fatal(err)
	}
	var r row
	p, result := rebuilt(t, source, func(o *rebuild.Options) {
		if m := fixture.Mirror(); m != fixture.DefaultMirror {
			o.Repositories = []string{m, fixture.SecurityMirror(m)}
		}
	}, &r)
	countHolds(t, p, nil, &r)
	before, after := unpack(t, source, tag), unpack(t, result, tag)
	a := studyAuthor(t, source, before, take(t, before), p)
	tree := take(t, after)
	conffiles := run(t, "dpkg-query", database(after), "-W", "-f", "${Conffiles}\n")
	equal, overridden, programs := 0, 0, 0
	for _, u := range p.Updates {
		payload := unpackDeb(t, u.Artifact)
		for name, want := range payload {
			got, here := tree[name]
			switch {
			case here && got.sameFile(want), here && tree.leftAlone(name, got, want, conffiles):
				equal++
			case a.except(name, got, want, here) != "":
				overridden++
			default:
				t.Errorf("%s of %s\n\tnanopatch %s\n\tpackage   %s", name, u.Name, describe(got, here), want)
			}
			programs += foreignPrograms(t, after, name, got)
		}
		checkGone(t, a, tree, payload, u, after)
	}
	checkForeignDatabase(t, before, after, p)
	if programs == 0 {
		t.Error("no updated path is a program of the other architecture")
	}
	t.Logf("%s on %s: %d updates, %d held; %d paths of the packages equal, %d as a layer above has them, %d ELF files for %[1]s",
		foreignArch, runtime.GOARCH, len(p.Updates), r.held, equal, overridden, programs)
}

// sameFile compares a path with a package's: all but the names of the inode, which the package knows by another way.
func (e entry) sameFile(o entry) bool {
	e.names, o.names = "", ""
	return e.same(o, true)
}

// leftAlone tells of a path whether dpkg does not write it: a directory or a symbolic link to one that is there, or a
// configuration file with the content that it has already.
func (s snapshot) leftAlone(p string, got, want entry, conffiles string) bool {
	isDir := s.follow(p).mode.IsDir()
	got.mtime = want.mtime
	switch {
	case want.mode.IsDir():
		return isDir
	case want.link != "":
		return isDir && got.sameFile(want)
	}
	return strings.Contains(conffiles, " /"+p+" ") && got.sameFile(want)
}

// unpackDeb downloads a package file and lists what it ships, by the paths of a merged /usr.
func unpackDeb(t *testing.T, a plan.Artifact) snapshot {
	t.Helper()
	file := filepath.Join(t.TempDir(), "package.deb")
	if err := download(t.Context(), a, file); err != nil {
		t.Fatal(err)
	}
	data, err := exec.CommandContext(t.Context(), "dpkg-deb", "--fsys-tarfile", file).Output()
	if err != nil {
		t.Fatalf("dpkg-deb: %v", err)
	}
	s := make(snapshot)
	archive := tar.NewReader(bytes.NewReader(data))
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return s
		}
		if err != nil {
			t.Fatal(err)
		}
		name := merged(strings.TrimPrefix(path.Clean("/"+h.Name), "/"))
		if name == "" {
			continue
		}
		if h.Typeflag == tar.TypeLink {
			s[name] = s[merged(strings.TrimPrefix(path.Clean("/"+h.Linkname), "/"))]
			continue
		}
		e := entry{mode: h.FileInfo().Mode(), uid: uint32(h.Uid), gid: uint32(h.Gid), mtime: h.ModTime}
		if e.mode&fs.ModeSymlink != 0 {
			e.mode, e.link = fs.ModeSymlink|fs.ModePerm, h.Linkname
		}
		if e.mode.IsRegular() {
			content := sha256.New()
			if e.size, err = io.Copy(content, archive); err != nil {
				t.Fatal(err)
			}
			e.sum = fmt.Sprintf("%x", content.Sum(nil))
		}
		s[name] = e
	}
}

// merged moves a path below /usr, where the image has it.
func merged(p string) string {
	for _, top := range []string{"bin", "sbin", "lib"} {
		if p == top || strings.HasPrefix(p, top+"/") {
			return "usr/" + p
		}
	}
	return p
}

func download(ctx context.Context, a plan.Artifact, file string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, a.URL, http.NoBody)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if got := fmt.Sprintf("%x", sha256.Sum256(data)); got != a.SHA256 {
		return fmt.Errorf("%s: SHA-256 is %s, the plan says %s", a.URL, got, a.SHA256)
	}
	return os.WriteFile(file, data, 0o600)
}

// foreignPrograms returns 1 for an ELF file, which must be of the foreign architecture.
func foreignPrograms(t *testing.T, root, name string, e entry) int {
	t.Helper()
	if e.sum == "" {
		return 0
	}
	f, err := elf.Open(filepath.Join(root, name))
	if err != nil {
		return 0 // no ELF file
	}
	defer f.Close()
	if f.Machine != elf.EM_AARCH64 {
		t.Errorf("%s is for %v", name, f.Machine)
	}
	return 1
}

// checkGone fails the test for files that the old package shipped and the new one does not, and no other package.
func checkGone(t *testing.T, a *author, tree, payload snapshot, u plan.Update, root string) {
	t.Helper()
	for _, p := range a.contents[qualified(u.Name, u.Arch)] {
		if _, stays := payload[p]; stays || a.source[p].mode.IsDir() {
			continue
		}
		if _, here := tree[p]; here && len(owners(t, root, p)) == 0 {
			t.Errorf("%s of the old %s is still there", p, u.Name)
		}
	}
}

// owners lists the packages that own a path, as dpkg has it.
func owners(t *testing.T, root, p string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "dpkg-query", database(root), "--search", "/"+p).Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.ExitCode() == 1 {
		return nil // its way to say that there is none
	}
	if err != nil {
		t.Fatalf("dpkg-query: %v", err)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

// checkForeignDatabase lets the host's dpkg judge the result, against what it says of the source.
func checkForeignDatabase(t *testing.T, source, root string, p *plan.Plan) {
	t.Helper()
	arch := filepath.Join(root, "var/lib/dpkg/arch") // else dpkg wonders about an architecture that it was not told of
	if err := os.WriteFile(arch, []byte("amd64\n"+foreignArch+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := run(t, "dpkg", database(root), "--audit"); out != "" {
		t.Errorf("dpkg --audit: %s", out)
	}
	known := run(t, "dpkg", "--root="+source, "--verify")
	for finding := range strings.Lines(run(t, "dpkg", "--root="+root, "--verify")) {
		if !strings.Contains(known, strings.TrimSpace(finding)) {
			t.Errorf("dpkg --verify: %s", finding)
		}
	}
	have := versions(t, root)
	for _, u := range p.Updates {
		if got := have[u.Name+":"+u.NewArch()]; !strings.HasPrefix(got, u.To+" ") {
			t.Errorf("dpkg has %s at %q, the plan says %s", u.Name, got, u.To)
		}
	}
}
