package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	images "github.com/nanopatch/nanopatch/rebuild/image"
	"github.com/nanopatch/nanopatch/sign/attest"
	"github.com/nanopatch/nanopatch/sign/cosign"
	"github.com/nanopatch/nanopatch/testdata/fixture"
)

// forgery is a layout with a signed, rebuilt image (:new), its source (:old), an index of both platforms (:multi), and
// everything that an attacker may do to it. Whoever holds the key signs what they like: such cases are called "signed".
type forgery struct {
	t   *testing.T
	dir string
	// digest is the image's, source its source's, index the index's.
	digest, source, index v1.Hash
	signer                *cosign.KeySigner
}

func newForgery(t *testing.T) (*forgery, string) {
	t.Helper()
	twin, err := fixture.NewTwin(t.Context(), t.TempDir(), fixture.TwinOptions{Archs: []string{"amd64", "arm64"}})
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "image")
	if err := fixture.WriteLayout(dir, "old", twin.Images[0]); err != nil {
		t.Fatal(err)
	}
	keys := filepath.Join(t.TempDir(), "cosign")
	cache := t.TempDir()
	must := func(args ...string) {
		t.Helper()
		if _, errs, code := run(t.Context(), t, cache, args...); code != 0 {
			t.Fatalf("%v: exit %d: %s", args, code, errs)
		}
	}
	must("keygen", "--output-prefix", keys)
	must("keygen", "--output-prefix", keys+"2")
	rebuild := []string{
		"--repo-override", twin.Repository, "--repo-override", fixture.SecurityMirror(twin.Repository), "--keyring", twin.Keyring,
		"--key", keys + ".key",
	}
	must(append([]string{"rebuild", "oci:" + dir + ":old", "-t", "oci:" + dir + ":new"}, rebuild...)...)
	if err := fixture.WriteLayoutIndex(dir, "both", twin.Images...); err != nil {
		t.Fatal(err)
	}
	must(append([]string{"rebuild", "oci:" + dir + ":both", "-t", "oci:" + dir + ":multi"}, rebuild...)...)
	signer, err := cosign.LoadSigner(keys+".key", func() ([]byte, error) { return []byte("test"), nil })
	if err != nil {
		t.Fatal(err)
	}
	f := &forgery{t: t, dir: dir, signer: signer}
	f.digest, f.source, f.index = f.tag("new"), f.tag("old"), f.tag("multi")
	return f, keys
}

// copy is the same layout somewhere else.
func (f *forgery) copy(t *testing.T) *forgery {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "image")
	if err := os.CopyFS(dir, os.DirFS(f.dir)); err != nil {
		t.Fatal(err)
	}
	out := *f
	out.t, out.dir = t, dir
	return &out
}

func (f *forgery) path(h v1.Hash) string { return filepath.Join(f.dir, "blobs", h.Algorithm, h.Hex) }

func (f *forgery) read(path string) []byte {
	f.t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		f.t.Fatal(err)
	}
	return b
}

func (f *forgery) write(path string, b []byte) {
	f.t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// put adds a blob.
func (f *forgery) put(b []byte) v1.Descriptor {
	f.t.Helper()
	h, size, err := v1.SHA256(bytes.NewReader(b))
	if err != nil {
		f.t.Fatal(err)
	}
	f.write(f.path(h), b)
	return v1.Descriptor{Digest: h, Size: size}
}

func (f *forgery) entries() []v1.Descriptor {
	f.t.Helper()
	m, err := v1.ParseIndexManifest(bytes.NewReader(f.read(filepath.Join(f.dir, "index.json"))))
	if err != nil {
		f.t.Fatal(err)
	}
	return m.Manifests
}

func (f *forgery) setEntries(entries []v1.Descriptor) {
	f.t.Helper()
	f.write(filepath.Join(f.dir, "index.json"), f.json(v1.IndexManifest{
		SchemaVersion: 2, MediaType: "application/vnd.oci.image.index.v1+json", Manifests: entries,
	}))
}

func (f *forgery) json(v any) []byte {
	f.t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		f.t.Fatal(err)
	}
	return b
}

func (f *forgery) tag(name string) v1.Hash {
	f.t.Helper()
	for _, e := range f.entries() {
		if e.Annotations["org.opencontainers.image.ref.name"] == name {
			return e.Digest
		}
	}
	f.t.Fatalf("no tag %s", name)
	return v1.Hash{}
}

// retag lets a tag name another manifest.
func (f *forgery) retag(name string, to v1.Descriptor) {
	f.t.Helper()
	entries := f.entries()
	for i, e := range entries {
		if e.Annotations["org.opencontainers.image.ref.name"] == name {
			entries[i].Digest, entries[i].Size = to.Digest, to.Size
		}
	}
	f.setEntries(entries)
}

func (f *forgery) manifest(h v1.Hash) *v1.Manifest {
	f.t.Helper()
	m, err := v1.ParseManifest(bytes.NewReader(f.read(f.path(h))))
	if err != nil {
		f.t.Fatal(err)
	}
	return m
}

// bundles are the entries of what refers to a subject, with the given predicate types or any.
func (f *forgery) bundles(subject v1.Hash, kinds ...string) []int {
	f.t.Helper()
	var at []int
	for i, e := range f.entries() {
		if !e.MediaType.IsImage() {
			continue
		}
		m := f.manifest(e.Digest)
		if m.Subject != nil && m.Subject.Digest == subject &&
			(len(kinds) == 0 || slices.Contains(kinds, m.Annotations["dev.sigstore.bundle.predicateType"])) {
			at = append(at, i)
		}
	}
	if len(at) == 0 {
		f.t.Fatalf("nothing of %v refers to %s", kinds, subject)
	}
	return at
}

// strip takes attestations off the image, and returns the first one's statement.
func (f *forgery) strip(kinds ...string) attest.Statement {
	f.t.Helper()
	at := f.bundles(f.digest, kinds...)
	entries := f.entries()
	st := f.statement(entries[at[0]].Digest)
	for _, i := range slices.Backward(at) {
		entries = slices.Delete(entries, i, i+1)
	}
	f.setEntries(entries)
	return st
}

type bundle struct {
	MediaType            string          `json:"mediaType"`
	VerificationMaterial json.RawMessage `json:"verificationMaterial"`
	DSSE                 struct {
		Payload     []byte `json:"payload"`
		PayloadType string `json:"payloadType"`
		Signatures  []struct {
			Sig []byte `json:"sig"`
		} `json:"signatures"`
	} `json:"dsseEnvelope"`
}

func (f *forgery) statement(referrer v1.Hash) attest.Statement {
	f.t.Helper()
	var b bundle
	if err := json.Unmarshal(f.read(f.path(f.manifest(referrer).Layers[0].Digest)), &b); err != nil {
		f.t.Fatal(err)
	}
	st, err := attest.Parse(b.DSSE.Payload)
	if err != nil {
		f.t.Fatal(err)
	}
	return st
}

// rewrite replaces the bundle of one kind by what change makes of it, digests right again.
func (f *forgery) rewrite(kind string, change func([]byte) []byte) {
	f.t.Helper()
	i := f.bundles(f.digest, kind)[0]
	entries := f.entries()
	m := f.manifest(entries[i].Digest).DeepCopy()
	blob := f.put(change(f.read(f.path(m.Layers[0].Digest))))
	m.Layers[0].Digest, m.Layers[0].Size = blob.Digest, blob.Size
	made := f.put(f.json(m))
	entries[i].Digest, entries[i].Size = made.Digest, made.Size
	f.setEntries(entries)
}

// edit changes a bundle's fields.
func (f *forgery) edit(kind string, change func(*bundle)) {
	f.t.Helper()
	f.rewrite(kind, func(raw []byte) []byte {
		var b bundle
		if err := json.Unmarshal(raw, &b); err != nil {
			f.t.Fatal(err)
		}
		change(&b)
		return f.json(b)
	})
}

// payload changes text inside a bundle's payload and leaves the signature.
func (f *forgery) payload(kind, old, with string) {
	f.t.Helper()
	f.edit(kind, func(b *bundle) { b.DSSE.Payload = f.replace(b.DSSE.Payload, old, with) })
}

func (f *forgery) replace(b []byte, old, with string) []byte {
	f.t.Helper()
	out := bytes.Replace(b, []byte(old), []byte(with), 1)
	if bytes.Equal(out, b) {
		f.t.Fatalf("nothing to forge: no %q", old)
	}
	return out
}

// attest lets the signer say something about the image.
func (f *forgery) attest(st attest.Statement) {
	f.t.Helper()
	client, err := images.New(images.Options{})
	if err != nil {
		f.t.Fatal(err)
	}
	ref, err := images.Parse("oci:" + f.dir)
	if err != nil {
		f.t.Fatal(err)
	}
	repo, err := client.Repository(ref)
	if err != nil {
		f.t.Fatal(err)
	}
	subject := v1.Descriptor{MediaType: f.manifest(f.digest).MediaType, Digest: f.digest, Size: int64(len(f.read(f.path(f.digest))))}
	if _, err := cosign.Attest(f.t.Context(), repo, subject, cosign.SignOptions{Signer: f.signer}, st); err != nil {
		f.t.Fatal(err)
	}
}

// resign replaces a signed predicate by what change makes of it, signed by the same key.
func (f *forgery) resign(kind string, change func(predicate map[string]any)) {
	f.t.Helper()
	st := f.strip(kind)
	var predicate map[string]any
	if err := json.Unmarshal(st.Predicate, &predicate); err != nil {
		f.t.Fatal(err)
	}
	before := string(f.json(predicate))
	change(predicate)
	if string(f.json(predicate)) == before {
		f.t.Fatal("nothing was forged")
	}
	st.Predicate = f.json(predicate)
	f.attest(st)
}

// become replaces the image by another manifest, and moves everything that was attached to it over.
func (f *forgery) become(change func(*v1.Manifest)) v1.Descriptor {
	f.t.Helper()
	m := f.manifest(f.digest).DeepCopy()
	change(m)
	made := f.put(f.json(m))
	f.moveReferrers(f.digest, made)
	f.retag("new", made)
	return made
}

func (f *forgery) moveReferrers(from v1.Hash, to v1.Descriptor, kinds ...string) {
	f.t.Helper()
	entries := f.entries()
	for _, i := range f.bundles(from, kinds...) {
		m := f.manifest(entries[i].Digest).DeepCopy()
		m.Subject.Digest, m.Subject.Size = to.Digest, to.Size
		moved := f.put(f.json(m))
		entry := entries[i]
		entry.Digest, entry.Size = moved.Digest, moved.Size
		entry.Annotations = maps.Clone(entry.Annotations)
		entries = append(entries, entry)
	}
	f.setEntries(entries)
}

// flip changes one byte in the middle of a blob.
func (f *forgery) flip(h v1.Hash) {
	f.t.Helper()
	b := f.read(f.path(h))
	b[len(b)/2] ^= 1
	f.write(f.path(h), b)
}

// rewritten is the digest of a layer that the rebuild made.
func (f *forgery) rewritten() v1.Hash {
	f.t.Helper()
	old := f.manifest(f.source)
	for i, l := range f.manifest(f.digest).Layers {
		if l.Digest != old.Layers[i].Digest {
			return l.Digest
		}
	}
	f.t.Fatal("no layer was rewritten")
	return v1.Hash{}
}

// platform is the index's other image: the first one is the same as :new.
func (f *forgery) platform() v1.Descriptor {
	f.t.Helper()
	m, err := v1.ParseIndexManifest(bytes.NewReader(f.read(f.path(f.index))))
	if err != nil {
		f.t.Fatal(err)
	}
	return m.Manifests[1]
}

// reindex replaces the index :multi, its referrers moved over.
func (f *forgery) reindex(change func(*v1.IndexManifest)) {
	f.t.Helper()
	m, err := v1.ParseIndexManifest(bytes.NewReader(f.read(f.path(f.index))))
	if err != nil {
		f.t.Fatal(err)
	}
	m = m.DeepCopy()
	change(m)
	made := f.put(f.json(m))
	f.moveReferrers(f.index, made)
	f.retag("multi", made)
}

func lockOf(predicate map[string]any) map[string]any {
	definition := predicate["buildDefinition"].(map[string]any)
	return definition["externalParameters"].(map[string]any)["lock"].(map[string]any)
}

func dependencies(predicate map[string]any) []any {
	return predicate["buildDefinition"].(map[string]any)["resolvedDependencies"].([]any)
}

// artifactAt is the place of the first dependency that is a package file.
func artifactAt(predicate map[string]any) map[string]any {
	for _, d := range dependencies(predicate) {
		if d := d.(map[string]any); d["downloadLocation"] != nil {
			return d
		}
	}
	return nil
}

func updatesOf(lock map[string]any) []any {
	return lock["platforms"].([]any)[0].(map[string]any)["updates"].([]any)
}

// signAs lets the signer say of another manifest all that was said of the image.
func (f *forgery) signAs(made v1.Descriptor) {
	f.t.Helper()
	entries := f.entries()
	var statements []attest.Statement
	for _, i := range f.bundles(f.digest) {
		st := f.statement(entries[i].Digest)
		st.Subject = []attest.Subject{{Digest: attest.Digest(made.Digest)}}
		st.Predicate = bytes.ReplaceAll(st.Predicate, []byte(f.digest.Hex), []byte(made.Digest.Hex))
		statements = append(statements, st)
	}
	for _, i := range slices.Backward(f.bundles(made.Digest)) {
		entries = slices.Delete(entries, i, i+1)
	}
	f.setEntries(entries)
	f.digest = made.Digest
	for _, st := range statements {
		f.attest(st)
	}
}
