package apk

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem/overlay"
)

// epoch is the build time of test packages.
var epoch = time.Unix(1700000000, 0).UTC()

// spec is a package to be built. A file's name ending in a slash is a directory, one with " -> " a symbolic link, one with
// " => " a hard link; directories above files are added.
type spec struct {
	name, version string
	files         map[string]string
	// modes and xattrs by path, where not the default.
	modes  map[string]int64
	uname  map[string]string
	xattrs map[string]string
	// info are further lines of .PKGINFO.
	info    []string
	scripts map[string]string
	// tamper changes the entries of the data archive before they are written.
	tamper func(h *tar.Header)
	// mangle changes the finished control text.
	mangle func(info string) string
}

// build writes the package into a directory of its own and returns the file's path.
func (s spec) build(t testing.TB) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), s.name+"-"+s.version+".apk")
	if err := os.WriteFile(file, s.bytes(t), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func (s spec) bytes(t testing.TB) []byte {
	t.Helper()
	data := zip(t, s.data(t))
	sum := sha256.Sum256(data)
	info := fmt.Sprintf("pkgname = %s\npkgver = %s\npkgdesc = a test\nurl = https://example.org\nbuilddate = %d\nsize = 4096\n"+
		"arch = x86_64\norigin = %s\nlicense = MIT\n", s.name, s.version, epoch.Unix(), s.name)
	for _, l := range s.info {
		info += l + "\n"
	}
	info += "datahash = " + hex.EncodeToString(sum[:]) + "\n"
	if s.mangle != nil {
		info = s.mangle(info)
	}
	var control bytes.Buffer
	w := tar.NewWriter(&control)
	add := func(name, content string) {
		h := &tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(content)), ModTime: epoch}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, content); err != nil {
			t.Fatal(err)
		}
	}
	add(".PKGINFO", info)
	for _, kind := range scriptKinds {
		if text, ok := s.scripts[kind]; ok {
			add("."+kind, text)
		}
	}
	if err := w.Flush(); err != nil { // no end of archive: another member follows
		t.Fatal(err)
	}
	return append(zip(t, control.Bytes()), data...)
}

func zip(t testing.TB, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// data makes the archive of the package's files.
func (s spec) data(t testing.TB) []byte {
	t.Helper()
	names := make(map[string]string)
	for n, content := range s.files {
		names[n] = content
		for d := path.Dir(strings.TrimSuffix(before(n), "/")); d != "."; d = path.Dir(d) {
			names[d+"/"] = ""
		}
	}
	var sorted []string
	for n := range names {
		sorted = append(sorted, n)
	}
	slices.SortFunc(sorted, func(a, b string) int { return strings.Compare(before(a), before(b)) })
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, n := range sorted {
		h := s.header(n, names[n])
		if s.tamper != nil {
			s.tamper(h)
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := io.WriteString(w, names[n]); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// before gives the path of a name as spec has it.
func before(n string) string {
	n, _, _ = strings.Cut(n, " -> ")
	n, _, _ = strings.Cut(n, " => ")
	return n
}

func (s spec) header(n, content string) *tar.Header {
	h := &tar.Header{Name: before(n), Mode: 0o644, ModTime: epoch, Uname: "root", Gname: "root", PAXRecords: map[string]string{}}
	sum := sha1.Sum([]byte(content))
	if _, target, ok := strings.Cut(n, " -> "); ok {
		h.Typeflag, h.Linkname, h.Mode = tar.TypeSymlink, target, 0o777
		sum = sha1.Sum([]byte(target))
	} else if _, target, ok := strings.Cut(n, " => "); ok {
		h.Typeflag, h.Linkname = tar.TypeLink, target
	} else if strings.HasSuffix(n, "/") {
		h.Typeflag, h.Mode = tar.TypeDir, 0o755
	} else {
		h.Typeflag, h.Size = tar.TypeReg, int64(len(content))
	}
	if h.Typeflag != tar.TypeDir {
		h.PAXRecords[checksumRecord] = hex.EncodeToString(sum[:])
	}
	p := strings.TrimSuffix(h.Name, "/")
	if m, ok := s.modes[p]; ok {
		h.Mode = m
	}
	if u, ok := s.uname[p]; ok {
		h.Uname, h.Gname = u, u
	}
	if x, ok := s.xattrs[p]; ok {
		h.PAXRecords[overlay.XattrPrefix+"user.test"] = x
	}
	return h
}
