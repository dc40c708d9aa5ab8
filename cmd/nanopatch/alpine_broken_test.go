package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/nanopatch/nanopatch/testdata/fixture"
)

// TestAlpineBrokenInput: whatever is wrong with a repository or a package of Alpine, there is one line that says so and nothing
// is written. What is not as it was signed fails the run (exit 4); a package that is as signed and still no readable one is
// held, and so is what needs it.
func TestAlpineBrokenInput(t *testing.T) {
	twin, err := fixture.NewAlpineTwin(t.Context(), t.TempDir(), fixture.TwinOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		damage func(t *testing.T, r *alpineRepository)
		// keyring is the twin's where empty.
		keyring string
		code    int
		says    string
	}{
		"nothing":             {damage: func(*testing.T, *alpineRepository) {}},
		"a truncated package": {damage: func(t *testing.T, r *alpineRepository) { r.write(t, r.pkg, r.read(t, r.pkg)[:900]) }, code: 4, says: "np-openssl.*size"},
		"a truncated member": {damage: func(t *testing.T, r *alpineRepository) {
			data := r.read(t, r.pkg)
			r.republish(t, data[:len(data)-20], data)
		}, code: 4, says: "np-openssl.*verifying|verifying.*np-openssl"},
		"a truncated index":         {damage: func(t *testing.T, r *alpineRepository) { r.write(t, r.index, r.read(t, r.index)[:600]) }, code: 4, says: "APKINDEX"},
		"an index that is no index": {damage: func(t *testing.T, r *alpineRepository) { r.write(t, r.index, []byte("<html>not found</html>")) }, code: 4, says: "APKINDEX"},
		"an index of apk-tools 3":   {damage: func(t *testing.T, r *alpineRepository) { r.write(t, r.index, []byte("ADBd\x00\x00\x00\x00\x00\x00")) }, code: 4, says: "apk-tools 3"},
		"a package of apk-tools 3": {damage: func(t *testing.T, r *alpineRepository) {
			old := r.read(t, r.pkg)
			r.republish(t, append([]byte("ADBd"), old[4:]...), old)
		}, code: 4, says: "apk-tools 3"},
		"a wrong signature": {damage: func(t *testing.T, r *alpineRepository) {
			b := r.read(t, r.index)
			members := splitMembers(t, b)
			r.write(t, r.index, append(packTar(t, false, tarFile{name: ".SIGN.RSA256.np-devel@nanopatch.dev-1.rsa.pub", text: strings.Repeat("x", 256)}), members[1]...))
		}, code: 4, says: "signature"},
		"an index newer than its signature": {damage: func(t *testing.T, r *alpineRepository) {
			signed := splitMembers(t, r.read(t, r.index))
			newer, err := fixture.AlpineIndex(strings.ReplaceAll(r.stanzas(t), "V:3.1.6-r0", "V:3.1.7-r0"))
			if err != nil {
				t.Fatal(err)
			}
			r.write(t, r.index, append(signed[0], splitMembers(t, newer)[1]...))
		}, code: 4, says: "signature"},
		"an unsigned index": {damage: func(t *testing.T, r *alpineRepository) {
			r.write(t, r.index, splitMembers(t, r.read(t, r.index))[1])
		}, code: 4, says: "sign"},
		"a missing key":           {damage: func(*testing.T, *alpineRepository) {}, keyring: "other", code: 4, says: "key"},
		"a keyring without a key": {damage: func(*testing.T, *alpineRepository) {}, keyring: "empty", code: 2, says: "key"},
		"data that is not the package's": {damage: func(t *testing.T, r *alpineRepository) {
			old := r.read(t, r.pkg)
			members := splitMembers(t, old)
			other := packTar(t, true, tarFile{name: "usr/bin/np-openssl", text: "#!other"})
			r.republish(t, bytes.Join([][]byte{members[0], members[1], other}, nil), old)
		}, code: 4, says: "datahash|data"},
		"an index that is gone": {damage: func(t *testing.T, r *alpineRepository) {
			if err := os.Remove(r.path(r.index)); err != nil {
				t.Fatal(err)
			}
		}, code: 3, says: "APKINDEX"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newAlpineRepository(t, twin)
			c.damage(t, r)
			dir := t.TempDir()
			if err := fixture.WriteLayout(filepath.Join(dir, "image"), "old", twin.Images[0]); err != nil {
				t.Fatal(err)
			}
			before := listing(t, filepath.Join(dir, "image"))
			keyring := map[string]string{"": twin.Keyring, "other": otherKeyring(t), "empty": filepath.Join(r.dir, r.index)}[c.keyring]
			image := "oci:" + filepath.Join(dir, "image")
			stdout, stderr, code := run(t.Context(), t, filepath.Join(dir, "cache"), "rebuild", image+":old", "-t", image+":new", "--no-sign",
				"--repo-override", r.dir, "--repo-override", twin.Second, "--keyring", keyring)
			if code != c.code {
				t.Errorf("exit code %d, want %d: %s", code, c.code, stderr)
			}
			if c.code == 0 {
				return
			}
			if stdout != "" || strings.Count(stderr, "\n") != 1 || !regexp.MustCompile(c.says).MatchString(stderr) {
				t.Errorf("want one line that says %q, got %q and %q", c.says, stderr, stdout)
			}
			if after := listing(t, filepath.Join(dir, "image")); after != before {
				t.Errorf("something was written:\n%s\n%s", before, after)
			}
		})
	}
}

// TestAlpineTrickery: packages that are as they were signed and try to get out of the tree, or claim what they do not hold. The
// update is held, nothing lands outside of the image, and the rest would ship.
func TestAlpineTrickery(t *testing.T) {
	twin, err := fixture.NewAlpineTwin(t.Context(), t.TempDir(), fixture.TwinOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for name, files := range map[string][]tarFile{
		"a path out of the root":            {{name: "../../../../tmp/np-trick", text: "x"}},
		"a path with dots inside":           {{name: "usr/../../np-trick", text: "x"}},
		"a hard link out of the root":       {{name: "usr/bin/np-openssl", kind: tar.TypeLink, link: "../../etc/shadow"}},
		"a hard link to what is not there":  {{name: "usr/bin/np-openssl", kind: tar.TypeLink, link: "etc/shadow"}},
		"a whiteout":                        {{name: "etc/.wh.passwd", text: ""}},
		"another checksum than its content": {{name: "usr/bin/np-openssl", text: "x", sum: strings.Repeat("0", 40)}},
		"a file of the package database":    {{name: "usr/lib/apk/db/installed", text: "P:x\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newAlpineRepository(t, twin)
			old := r.read(t, r.pkg)
			members := splitMembers(t, old)
			data := packTar(t, true, files...)
			control := regexp.MustCompile(`datahash = [0-9a-f]+`).ReplaceAllString(tarText(t, members[1], ".PKGINFO"), fmt.Sprintf("datahash = %x", sha256.Sum256(data)))
			r.republish(t, bytes.Join([][]byte{members[0], packTar(t, false, tarFile{name: ".PKGINFO", text: control}), data}, nil), old)
			dir := t.TempDir()
			image := "oci:" + filepath.Join(dir, "image")
			if err := fixture.WriteLayout(filepath.Join(dir, "image"), "old", twin.Images[0]); err != nil {
				t.Fatal(err)
			}
			stdout, stderr, code := run(t.Context(), t, filepath.Join(dir, "cache"), "plan", image+":old",
				"--repo-override", r.dir, "--repo-override", twin.Second, "--keyring", twin.Keyring)
			if code != 0 {
				t.Fatalf("exit code %d: %s", code, stderr)
			}
			held := regexp.MustCompile(`(?m)^ *np-openssl +3\.1\.4-r5 +3\.1\.6-r0 +(no-artifact|modified-file)`)
			if !held.MatchString(stdout) || !strings.Contains(stdout, "np-nginx") {
				t.Errorf("np-openssl is not held, or nothing else ships:\n%s", stdout)
			}
			for _, p := range []string{filepath.Join(dir, "np-trick"), "/tmp/np-trick"} {
				if _, err := os.Lstat(p); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("%s is there", p)
				}
			}
		})
	}
}

// alpineRepository is a copy of the twin's main repository.
type alpineRepository struct {
	dir string
	// index and pkg are the files that tests damage, below dir.
	index, pkg string
}

func newAlpineRepository(t *testing.T, twin *fixture.Twin) *alpineRepository {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(twin.Repository)); err != nil {
		t.Fatal(err)
	}
	return &alpineRepository{dir: dir, index: "x86_64/APKINDEX.tar.gz", pkg: "x86_64/np-openssl-3.1.6-r0.apk"}
}

func (r *alpineRepository) path(name string) string {
	return filepath.Join(r.dir, filepath.FromSlash(name))
}

func (r *alpineRepository) read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(r.path(name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (r *alpineRepository) write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(r.path(name), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (r *alpineRepository) stanzas(t *testing.T) string {
	t.Helper()
	return tarText(t, splitMembers(t, r.read(t, r.index))[1], "APKINDEX")
}

// republish puts data in the place of the package and into the signed index: its size, and its control member's checksum as far
// as it has one.
func (r *alpineRepository) republish(t *testing.T, data, old []byte) {
	t.Helper()
	identity := func(b []byte) string {
		members := splitMembers(t, b)
		if len(members) < 2 {
			return ""
		}
		sum := sha1.Sum(members[1])
		return "C:Q1" + base64.StdEncoding.EncodeToString(sum[:])
	}
	stanzas := r.stanzas(t)
	before, _, found := strings.Cut(stanzas, fmt.Sprintf("\nP:np-openssl\nV:3.1.6-r0\nA:x86_64\nS:%d\n", len(old)))
	if !found || !strings.HasSuffix(before, identity(old)) {
		t.Fatalf("the index has no np-openssl 3.1.6-r0:\n%s", stanzas)
	}
	changed := strings.Replace(stanzas, fmt.Sprintf("V:3.1.6-r0\nA:x86_64\nS:%d\n", len(old)), fmt.Sprintf("V:3.1.6-r0\nA:x86_64\nS:%d\n", len(data)), 2)
	changed = strings.Replace(changed, fmt.Sprintf("P:np-libssl3\nV:3.1.6-r0\nA:x86_64\nS:%d\n", len(data)), fmt.Sprintf("P:np-libssl3\nV:3.1.6-r0\nA:x86_64\nS:%d\n", len(old)), 1)
	if id := identity(data); id != "" {
		changed = strings.Replace(changed, identity(old), id, 1)
	}
	index, err := fixture.AlpineIndex(changed)
	if err != nil {
		t.Fatal(err)
	}
	r.write(t, r.index, index)
	r.write(t, r.pkg, data)
}

// splitMembers takes gzip members apart, as far as they can be read.
func splitMembers(t *testing.T, data []byte) [][]byte {
	t.Helper()
	var all [][]byte
	in := bytes.NewReader(data)
	for in.Len() > 0 {
		start := len(data) - in.Len()
		z, err := gzip.NewReader(in)
		if err != nil {
			return all
		}
		z.Multistream(false)
		if _, err := io.Copy(io.Discard, z); err != nil {
			return all
		}
		all = append(all, bytes.Clone(data[start:len(data)-in.Len()]))
	}
	return all
}

// tarText is one file of a member.
func tarText(t *testing.T, member []byte, name string) string {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(member))
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err != nil {
			t.Fatalf("no %s: %v", name, err)
		}
		if h.Name == name {
			b, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			return string(b)
		}
	}
}

// tarFile is an entry of an archive; kind is a regular file where 0, and sum its content's where empty.
type tarFile struct {
	name, text, link, sum string
	kind                  byte
}

// packTar packs a member; only the last of a package ends its archive.
func packTar(t *testing.T, end bool, files ...tarFile) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, f := range files {
		h := &tar.Header{Name: f.name, Typeflag: f.kind, Linkname: f.link, Mode: 0o755, Size: int64(len(f.text))}
		if f.kind == 0 {
			h.Typeflag = tar.TypeReg
			if f.sum == "" {
				f.sum = fmt.Sprintf("%x", sha1.Sum([]byte(f.text)))
			}
			h.PAXRecords = map[string]string{"APK-TOOLS.checksum.SHA1": f.sum}
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, f.text); err != nil {
			t.Fatal(err)
		}
	}
	finish := w.Flush
	if end {
		finish = w.Close
	}
	if err := errors.Join(finish(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// otherKeyring is a key that signed nothing.
func otherKeyring(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "np-devel@nanopatch.dev-2.rsa.pub")
	key, err := fixture.AlpineKey()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, key, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// listing is what a directory holds: paths, sizes and times.
func listing(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && !d.IsDir() {
			fmt.Fprintln(&b, p, info.Size(), info.ModTime().UnixNano())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}
