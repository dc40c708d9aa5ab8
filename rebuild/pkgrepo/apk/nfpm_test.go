package apk

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/goreleaser/nfpm/v2"
	nfpmapk "github.com/goreleaser/nfpm/v2/apk"
	"github.com/goreleaser/nfpm/v2/files"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem/apk"
	"github.com/nanopatch/nanopatch/rebuild/layer"
	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
)

// buildPackage makes a signed package by other people's code.
func buildPackage(t *testing.T, name, version string, depends ...string) []byte {
	t.Helper()
	work := t.TempDir()
	keyFile, content := filepath.Join(work, "key"), filepath.Join(work, "content")
	private := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(testKey())})
	for file, data := range map[string][]byte{keyFile: private, content: []byte(name + " " + version)} {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	info := nfpm.WithDefaults(&nfpm.Info{
		Name: name, Version: version, VersionSchema: "none", Arch: "amd64", MTime: now, DisableGlobbing: true,
		Maintainer: "nanopatch <test@nanopatch.dev>", Description: "a test",
	})
	info.Depends = depends
	info.APK.Signature.KeyFile, info.APK.Signature.KeyName = keyFile, keyName
	info.Contents = files.Contents{
		{Source: content, Destination: "/usr/share/" + name, Type: files.TypeFile, FileInfo: &files.ContentFileInfo{Mode: 0o644, MTime: now}},
		{Source: name, Destination: "/usr/share/" + name + ".link", Type: files.TypeSymlink},
	}
	var out bytes.Buffer
	if err := nfpmapk.Default.Package(info, &out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

type memoryIndexer struct{}

func (memoryIndexer) IndexTar(ctx context.Context, _ string, open layer.Opener) (*layer.Index, error) {
	r, err := open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return layer.Scan(ctx, r, layer.ScanOptions{Keep: layer.KeepAll})
}

// A repository of packages that nfpm built and signed, from the index to the opened package.
func TestBuiltPackages(t *testing.T) {
	r := newRepository(t)
	data := buildPackage(t, "a", "1.2.3-r1", "so:libc.musl-x86_64.so.1", "b>1")
	m, err := apk.ReadMembers(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Signatures) != 1 {
		t.Errorf("got %d signatures", len(m.Signatures))
	}
	r.write("a-1.2.3-r1.apk", data)
	r.entries = fmt.Sprintf("C:%s\nP:a\nV:1.2.3-r1\nA:x86_64\nS:%d\nD:%s\n\n", m.Checksum, len(data), m.Info.All("depend"))
	r.write("APKINDEX.tar.gz", r.index("RSA256"))
	client := newClient(t)
	a, err := Open(t.Context(), Options{
		Client: client, Root: trustingRoot(t), Sources: []Source{r.source("")}, Arch: "x86_64", Names: []string{"a"}, Now: clock,
	})
	if err != nil {
		t.Fatal(err)
	}
	c := a.Candidates("a", "")[0]
	if c.Artifact, err = a.Resolve(t.Context(), c.Artifact); err != nil {
		t.Fatal(err)
	}
	paths, err := client.Fetch(t.Context(), []pkgrepo.Artifact{c.Artifact}, 1)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := apk.Ecosystem{}.Unpack(t.Context(), paths[0], memoryIndexer{})
	if err != nil {
		t.Fatal(err)
	}
	p := payload.Package()
	if p.Key != c.Key || p.Version != c.Version || len(p.Requires) != 2 || len(c.Requires) != 2 {
		t.Errorf("got %+v, the index says %+v", p, c.Package)
	}
	if _, ok := payload.Files().Lookup("usr/share/a"); !ok {
		t.Error("its file is missing")
	}
}
