package apk

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem/apk"
	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
)

var now = time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)

func clock() time.Time { return now }

func newClient(t testing.TB) *pkgrepo.Client {
	t.Helper()
	c, err := pkgrepo.New(pkgrepo.Options{Dir: filepath.Join(t.TempDir(), "cache"), Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// sharedData finds third-party test data that is no part of the project.
func sharedData(t testing.TB, name string) string {
	t.Helper()
	dir := os.Getenv("NANOPATCH_SHARED_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "..", "shared", "data")
	}
	dir, err := filepath.Abs(filepath.Join(dir, name))
	if err == nil {
		_, err = os.Stat(dir)
	}
	if err != nil {
		t.Skipf("no shared test data: %v (NANOPATCH_SHARED_DATA names its directory)", err)
	}
	return dir
}

func alpineRoot(version string) fstest.MapFS {
	return fstest.MapFS{"etc/os-release": {Data: []byte("ID=alpine\nVERSION_ID=" + version + "\n")}}
}

// The official index of v3.19 main, a package that it lists, and one that it lists and that is not there.
func TestRealRepository(t *testing.T) {
	keys, err := LoadKeyring(sharedData(t, "apk/keys"))
	if err != nil {
		t.Fatal(err)
	}
	root := alpineRoot("3.19.4")
	configured, err := Sources(root, sharedData(t, "apk/v3.19-main"))
	if err != nil {
		t.Fatal(err)
	}
	client := newClient(t)
	a, err := Open(t.Context(), Options{
		Client: client, Root: root, Sources: configured.Sources, Arch: "x86_64", Names: []string{"libxml2", "busybox"}, Keyring: keys, Now: clock,
	})
	if err != nil {
		t.Fatal(err)
	}
	o := a.Origins()[0]
	if !o.Frozen || o.Suite != "v3.19" || o.Label != "v3.19.1-643-gec825d20535" || len(o.Signer) != 64 || o.Date.Year() != 2024 {
		t.Errorf("got %+v", o)
	}
	if len(a.Candidates("musl", "")) > 0 || !a.Serves("busybox", "") {
		t.Error("not the named packages")
	}
	found := a.Candidates("libxml2", "x86_64")
	if len(found) != 1 || found[0].Version != "2.11.8-r0" || found[0].Artifact.Size != 509547 || found[0].Source != "libxml2" {
		t.Fatalf("got %+v", found)
	}
	resolved, err := a.Resolve(t.Context(), found[0].Artifact)
	if err != nil {
		t.Fatal(err)
	}
	files, err := client.Fetch(t.Context(), []pkgrepo.Artifact{resolved}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(files[0]); err != nil || sha256.Sum256(data) != resolved.SHA256 {
		t.Errorf("got %v, %v", resolved, err)
	}
	if _, err := a.Resolve(t.Context(), a.Candidates("busybox", "")[0].Artifact); !errors.Is(err, pkgrepo.ErrNotFound) {
		t.Errorf("a file that is not there: got %v", err)
	}
	if day, ok := a.EndOfLife(); !ok || !day.Before(now) {
		t.Errorf("end of life: got %v, %t", day, ok)
	}
}

var testKey = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

const keyName = "test@example.org-1.rsa.pub"

func publicPEM(t testing.TB, k *rsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(&k.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

type member map[string]string

// zip makes a gzip member of a tar archive; open leaves off the end of archive.
func zip(t testing.TB, open bool, names []string, m member) []byte {
	t.Helper()
	var raw, out bytes.Buffer
	w := tar.NewWriter(&raw)
	for _, n := range names {
		if err := w.WriteHeader(&tar.Header{Name: n, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(m[n])), ModTime: now}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(m[n])); err != nil {
			t.Fatal(err)
		}
	}
	end := w.Close
	if open {
		end = w.Flush
	}
	if err := end(); err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(&out)
	if _, err := z.Write(raw.Bytes()); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// sign puts a signature member before content.
func sign(t testing.TB, kind string, content []byte) []byte {
	t.Helper()
	hash := map[string]crypto.Hash{"RSA": crypto.SHA1, "RSA256": crypto.SHA256, "RSA512": crypto.SHA512}[kind]
	sig, err := rsa.SignPKCS1v15(rand.Reader, testKey(), hash, digest(hash, content))
	if err != nil {
		t.Fatal(err)
	}
	name := ".SIGN." + kind + "." + keyName
	return append(zip(t, true, []string{name}, member{name: string(sig)}), content...)
}

// pack makes a package file and its index entry.
func pack(t testing.TB, name, version string) (file []byte, entry string) {
	t.Helper()
	data := zip(t, false, []string{"usr/share/" + name}, member{"usr/share/" + name: version})
	sum := sha256.Sum256(data)
	control := zip(t, true, []string{".PKGINFO"}, member{
		".PKGINFO": fmt.Sprintf("pkgname = %s\npkgver = %s\narch = noarch\ndatahash = %s\n", name, version, hex.EncodeToString(sum[:])),
	})
	file = sign(t, "RSA", control)
	file = append(file, data...)
	checksum := apk.Checksum(sha1.Sum(control))
	return file, fmt.Sprintf("C:%s\nP:%s\nV:%s\nA:x86_64\nS:%d\nI:1\nT:\nU:\nL:\no:%s\n\n", checksum, name, version, len(file), name)
}

// repository is a directory with an index and packages.
type repository struct {
	t   testing.TB
	dir string
	// entries is the index's text.
	entries string
}

func newRepository(t testing.TB) *repository { return &repository{t: t, dir: t.TempDir()} }

func (r *repository) write(name string, data []byte) {
	r.t.Helper()
	file := filepath.Join(r.dir, "x86_64", name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		r.t.Fatal(err)
	}
}

func (r *repository) add(name, version string) {
	r.t.Helper()
	file, entry := pack(r.t, name, version)
	r.write(name+"-"+version+".apk", file)
	r.entries += entry
}

func (r *repository) index(kind string) []byte {
	r.t.Helper()
	return sign(r.t, kind, zip(r.t, false, []string{"DESCRIPTION", "APKINDEX"}, member{"DESCRIPTION": "v3.20.1-1-gabc", "APKINDEX": r.entries}))
}

func (r *repository) source(tag string) Source { return Source{URI: "file://" + r.dir, Tag: tag} }

func open(t testing.TB, root fs.FS, sources ...Source) (*Archive, error) {
	t.Helper()
	return Open(context.Background(), Options{
		Client: newClient(t), Root: root, Sources: sources, Arch: "x86_64", Names: []string{"a", "b"}, Now: clock,
	})
}

func trustingRoot(t testing.TB) fstest.MapFS {
	root := alpineRoot("3.20.3")
	root["etc/apk/keys/"+keyName] = &fstest.MapFile{Data: publicPEM(t, testKey())}
	return root
}

func TestSignatures(t *testing.T) {
	for _, kind := range []string{"RSA", "RSA256", "RSA512"} {
		r := newRepository(t)
		r.add("a", "1.0-r0")
		r.write("APKINDEX.tar.gz", r.index(kind))
		a, err := open(t, trustingRoot(t), r.source(""))
		if err != nil || len(a.Candidates("a", "")) != 1 {
			t.Errorf("%s: got %v", kind, err)
		}
	}
}

func TestTamperedIndex(t *testing.T) {
	good := newRepository(t)
	good.add("a", "1.0-r0")
	index := good.index("RSA256")
	other := newRepository(t)
	other.add("a", "9.0-r0")
	newer := other.index("RSA256")
	_, unsigned, err := cutSignatures(index)
	if err != nil {
		t.Fatal(err)
	}
	_, newerContent, err := cutSignatures(newer)
	if err != nil {
		t.Fatal(err)
	}
	head := index[:len(index)-len(unsigned)]
	flip := func(b []byte, i int) []byte {
		b = bytes.Clone(b)
		b[i] ^= 1
		return b
	}
	var key *NoKeyError
	for name, c := range map[string]struct {
		data []byte
		root fs.FS
	}{
		"not signed":                {unsigned, trustingRoot(t)},
		"another index's signature": {append(bytes.Clone(head), newerContent...), trustingRoot(t)},
		"truncated":                 {index[:len(index)-10], trustingRoot(t)},
		"something behind it":       {append(bytes.Clone(index), 0), trustingRoot(t)},
		"a bit":                     {flip(index, len(index)-20), trustingRoot(t)},
		"no key":                    {index, alpineRoot("3.20.3")},
		"format 3":                  {[]byte("ADBdxxxxxxxx"), trustingRoot(t)},
		"nothing":                   {nil, trustingRoot(t)},
		"no gzip":                   {[]byte("hello"), trustingRoot(t)},
		"no index in it":            {sign(t, "RSA", zip(t, false, []string{"x"}, member{"x": ""})), trustingRoot(t)},
		"not a stanza":              {sign(t, "RSA", zip(t, false, []string{"APKINDEX"}, member{"APKINDEX": "hello\n"})), trustingRoot(t)},
	} {
		r := newRepository(t)
		r.write("APKINDEX.tar.gz", c.data)
		_, err := open(t, c.root, r.source(""))
		if !errors.Is(err, pkgrepo.ErrVerification) {
			t.Errorf("%s: got %v, want an ErrVerification", name, err)
		}
		if (name == "no key") != errors.As(err, &key) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestTamperedPackage(t *testing.T) {
	r := newRepository(t)
	r.add("a", "1.0-r0")
	r.write("APKINDEX.tar.gz", r.index("RSA256"))
	good, err := os.ReadFile(filepath.Join(r.dir, "x86_64", "a-1.0-r0.apk"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := apk.ReadMembers(bytes.NewReader(good), int64(len(good)))
	if err != nil {
		t.Fatal(err)
	}
	other, _ := pack(t, "a", "6.6-r6")
	flip := func(i int) []byte {
		b := bytes.Clone(good)
		b[i] ^= 1
		return b
	}
	for name, data := range map[string][]byte{
		"truncated":             good[:len(good)-1],
		"truncated control":     good[:m.DataOffset-5],
		"longer":                append(bytes.Clone(good), 0),
		"data":                  flip(int(m.DataOffset) + 30),
		"control":               flip(int(m.DataOffset) - 12),
		"another package":       other[:min(len(other), len(good))],
		"data of another":       append(bytes.Clone(good[:m.DataOffset]), bytes.Repeat([]byte{0}, int(m.DataSize))...),
		"format of apk-tools 3": append([]byte("ADB."), good[4:]...),
	} {
		r.write("a-1.0-r0.apk", data)
		a, err := open(t, trustingRoot(t), r.source(""))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.Resolve(t.Context(), a.Candidates("a", "")[0].Artifact); !errors.Is(err, pkgrepo.ErrVerification) {
			t.Errorf("%s: got %v, want an ErrVerification", name, err)
		}
	}
	r.write("a-1.0-r0.apk", good)
	a, err := open(t, trustingRoot(t), r.source(""))
	if err != nil {
		t.Fatal(err)
	}
	resolved, err := a.Resolve(t.Context(), a.Candidates("a", "")[0].Artifact)
	if err != nil || resolved.SHA256 != sha256.Sum256(good) {
		t.Errorf("got %x, %v", resolved.SHA256, err)
	}
	if _, err := a.Resolve(t.Context(), pkgrepo.Artifact{URL: "file:///etc/passwd"}); err == nil {
		t.Error("an artifact of no index is resolved")
	}
}

func TestWorld(t *testing.T) {
	plain, edge := newRepository(t), newRepository(t)
	plain.add("a", "1.0-r0")
	plain.add("a", "2.0-r0")
	plain.add("b", "1.0-r0")
	plain.write("APKINDEX.tar.gz", plain.index("RSA"))
	edge.add("a", "3.0-r0")
	edge.add("b", "3.0-r0")
	edge.write("APKINDEX.tar.gz", edge.index("RSA"))
	root := trustingRoot(t)
	root["etc/apk/world"] = &fstest.MapFile{Data: []byte("a<2 b@edge\n")}
	a, err := open(t, root, plain.source(""), edge.source("edge"))
	if err != nil {
		t.Fatal(err)
	}
	spell := func(name string) string {
		var all []string
		for _, c := range a.Candidates(name, "") {
			all = append(all, fmt.Sprintf("%s:%d", c.Version, c.Priority))
		}
		return strings.Join(all, " ")
	}
	if got := spell("a"); got != "1.0-r0:500 2.0-r0:-1" {
		t.Errorf("a: got %s", got)
	}
	if got := spell("b"); got != "1.0-r0:500 3.0-r0:500" {
		t.Errorf("b: got %s", got)
	}
}

func TestBases(t *testing.T) {
	r := newRepository(t)
	r.add("a", "1.0-r0")
	r.write("APKINDEX.tar.gz", r.index("RSA"))
	mirror := t.TempDir()
	branch := filepath.Join(mirror, "v3.20")
	if err := os.MkdirAll(branch, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(r.dir, filepath.Join(branch, "main")); err != nil {
		t.Fatal(err)
	}
	for name, base := range map[string]string{"repository": r.dir, "index": filepath.Join(r.dir, "x86_64"), "mirror": mirror} {
		configured, err := Sources(trustingRoot(t), base)
		if err != nil {
			t.Fatal(err)
		}
		a, err := open(t, trustingRoot(t), configured.Sources...)
		if err != nil || !a.Serves("a", "") {
			t.Errorf("%s: got %v", name, err)
			continue
		}
		if _, err := a.Resolve(t.Context(), a.Candidates("a", "")[0].Artifact); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := open(t, trustingRoot(t), Source{URI: "file://" + t.TempDir()}); !errors.Is(err, pkgrepo.ErrUnreachable) {
		t.Errorf("no index: got %v", err)
	}
}
