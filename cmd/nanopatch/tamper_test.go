package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
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

const (
	sign       = attest.PredicateSign
	spdx       = attest.PredicateSPDX
	difference = attest.PredicateDiff
	provenance = attest.PredicateProvenance
)

// signaturesOnly are flags for forgeries that the signatures alone give away.
var signaturesOnly = []string{"--signatures-only"}

var zeros = strings.Repeat("0", 64)

// forgeries are tampered images; each must be refused with exit code 4 by a failed check of the given name.
var forgeries = []struct {
	name   string
	forge  func(f *forgery)
	flags  []string
	failed string
}{
	// The registry, or who may push to it: no key.
	{"stripped referrers", func(f *forgery) { f.strip() }, signaturesOnly, "signed"},
	{"no signature but an SBOM", func(f *forgery) { f.strip(sign) }, signaturesOnly, "signed"},
	{"SBOM stripped", func(f *forgery) { f.strip(spdx) }, append([]string{"--require", spdx}, signaturesOnly...), "attested"},
	{"provenance stripped", func(f *forgery) { f.strip(provenance) }, append([]string{"--require", provenance}, signaturesOnly...), "attested"},
	{"diff stripped", func(f *forgery) { f.strip(difference) }, append([]string{"--require", difference}, signaturesOnly...), "attested"},
	{"a byte of the signature", func(f *forgery) {
		f.edit(sign, func(b *bundle) { b.DSSE.Signatures[0].Sig[12] ^= 1 })
	}, signaturesOnly, "signature"},
	{"signature cut short", func(f *forgery) {
		f.edit(sign, func(b *bundle) { b.DSSE.Signatures[0].Sig = b.DSSE.Signatures[0].Sig[:20] })
	}, signaturesOnly, "signature"},
	{"signature of one statement on another", func(f *forgery) {
		var of []byte
		f.edit(sign, func(b *bundle) { of = b.DSSE.Signatures[0].Sig })
		f.edit(spdx, func(b *bundle) { b.DSSE.Signatures[0].Sig = of })
	}, signaturesOnly, "signature"},
	{"no signatures in the envelope", func(f *forgery) {
		f.edit(sign, func(b *bundle) { b.DSSE.Signatures = nil })
	}, signaturesOnly, "signature"},
	{"payload of the signature edited", func(f *forgery) { f.payload(sign, `"predicate":{}`, `"predicate":{"a":1}`) }, signaturesOnly, "signature"},
	{"SBOM edited", func(f *forgery) { f.payload(spdx, "np-openssl", "np-opensssl") }, signaturesOnly, "signature"},
	{"diff edited", func(f *forgery) { f.payload(difference, `"unchanged"`, `"unchangee"`) }, signaturesOnly, "signature"},
	{"provenance edited", func(f *forgery) { f.payload(provenance, "nanopatch.dev/builder", "attacker.test/builder") }, signaturesOnly, "signature"},
	{"subject edited", func(f *forgery) { f.payload(sign, f.digest.Hex, zeros) }, signaturesOnly, "signature"},
	{"payload type edited", func(f *forgery) {
		f.edit(sign, func(b *bundle) { b.DSSE.PayloadType = "text/plain" })
	}, signaturesOnly, "signature"},
	{"bundle cut in half", func(f *forgery) { f.rewrite(sign, func(b []byte) []byte { return b[:len(b)/2] }) }, signaturesOnly, "bundle"},
	{"bundle of an older version", func(f *forgery) {
		f.edit(sign, func(b *bundle) { b.MediaType = "application/vnd.dev.sigstore.bundle+json;version=0.1" })
	}, signaturesOnly, "bundle"},
	{"a byte of the bundle's blob", func(f *forgery) {
		f.flip(f.manifest(f.entries()[f.bundles(f.digest, sign)[0]].Digest).Layers[0].Digest)
	}, signaturesOnly, "bundle"},
	{"signature of the source moved over", func(f *forgery) {
		f.strip(sign)
		f.moveReferrers(f.platform().Digest, v1.Descriptor{Digest: f.digest, Size: int64(len(f.read(f.path(f.digest))))}, sign)
	}, signaturesOnly, "subject"},
	{"SBOM of another image", func(f *forgery) {
		f.moveReferrers(f.platform().Digest, v1.Descriptor{Digest: f.digest, Size: int64(len(f.read(f.path(f.digest))))}, spdx)
	}, signaturesOnly, "subject"},
	{"diff of another pair", func(f *forgery) {
		f.moveReferrers(f.platform().Digest, v1.Descriptor{Digest: f.digest, Size: int64(len(f.read(f.path(f.digest))))}, difference)
	}, signaturesOnly, "subject"},
	{"provenance of another image", func(f *forgery) {
		f.moveReferrers(f.platform().Digest, v1.Descriptor{Digest: f.digest, Size: int64(len(f.read(f.path(f.digest))))}, provenance)
	}, signaturesOnly, "subject"},
	{"an annotation of the manifest", func(f *forgery) {
		f.become(func(m *v1.Manifest) { m.Annotations["dev.nanopatch.plan.digest"] = "sha256:" + zeros })
	}, signaturesOnly, "subject"},
	{"another config", func(f *forgery) {
		f.become(func(m *v1.Manifest) {
			made := f.put(f.replace(f.read(f.path(m.Config.Digest)), `"os":"linux"`, `"os":"linux","author":"x"`))
			m.Config.Digest, m.Config.Size = made.Digest, made.Size
		})
	}, signaturesOnly, "subject"},
	{"a layer of the source", func(f *forgery) {
		f.become(func(m *v1.Manifest) { m.Layers = slices.Clone(f.manifest(f.source).Layers) })
	}, signaturesOnly, "subject"},
	{"the tag names an older image", func(f *forgery) {
		f.retag("new", v1.Descriptor{Digest: f.source, Size: int64(len(f.read(f.path(f.source))))})
	}, signaturesOnly, "signed"},
	{"an old signed image replayed", func(*forgery) {}, append([]string{"--max-age", "1h"}, signaturesOnly...), "age"},
	{"index child swapped", func(f *forgery) {
		f.reindex(func(m *v1.IndexManifest) { m.Manifests[1].Digest = m.Manifests[0].Digest })
	}, append([]string{"multi"}, signaturesOnly...), "subject"},
	{"index child dropped", func(f *forgery) {
		f.reindex(func(m *v1.IndexManifest) { m.Manifests = m.Manifests[:1] })
	}, append([]string{"multi"}, signaturesOnly...), "subject"},

	// Content other than its digest.
	{"a byte of a layer", func(f *forgery) { f.flip(f.rewritten()) }, nil, "content"},
	{"layer cut short", func(f *forgery) {
		b := f.read(f.path(f.rewritten()))
		f.write(f.path(f.rewritten()), b[:len(b)-9])
	}, nil, "content"},
	{"a byte of the config", func(f *forgery) { f.flip(f.manifest(f.digest).Config.Digest) }, nil, "content"},
	{"a byte of the manifest", func(f *forgery) { f.flip(f.digest) }, nil, "content"},

	// A signer who lies: a runner taken over, a mistake, mixed-up attestations.
	{"signed SBOM without a package", func(f *forgery) {
		f.resign(spdx, func(p map[string]any) { p["packages"] = p["packages"].([]any)[1:] })
	}, nil, "sbom"},
	{"signed SBOM with another version", func(f *forgery) {
		f.resign(spdx, func(p map[string]any) {
			for _, x := range p["packages"].([]any) {
				if x := x.(map[string]any); x["name"] == "np-openssl" {
					x["versionInfo"] = "9.9.9-1"
				}
			}
		})
	}, nil, "sbom"},
	{"signed diff without a change", func(f *forgery) {
		f.resign(difference, func(p map[string]any) { p["changed"] = p["changed"].([]any)[1:] })
	}, nil, "diff"},
	{"signed diff with an invented change", func(f *forgery) {
		f.resign(difference, func(p map[string]any) {
			p["added"] = []any{map[string]any{"name": "backdoor", "type": "deb", "version": "1"}}
		})
	}, nil, "diff"},
	{"signed diff between other images", func(f *forgery) {
		f.resign(difference, func(p map[string]any) { p["old"].(map[string]any)["digest"] = "sha256:" + zeros })
	}, nil, "diff"},
	{"signed provenance with another artifact", func(f *forgery) {
		f.resign(provenance, func(p map[string]any) { artifactAt(p)["digest"].(map[string]any)["sha256"] = zeros })
	}, nil, "files"},
	{"signed provenance with another's package file", func(f *forgery) {
		f.resign(provenance, func(p map[string]any) {
			all := updatesOf(lockOf(p))
			first, second := all[0].(map[string]any), all[1].(map[string]any)
			for _, d := range dependencies(p) {
				if d := d.(map[string]any); d["name"] == first["purl"] {
					d["digest"].(map[string]any)["sha256"] = second["artifact"].(map[string]any)["sha256"]
				}
			}
			first["artifact"] = second["artifact"]
		})
	}, nil, "files"},
	{"signed lockfile without an update", func(f *forgery) {
		f.resign(provenance, func(p map[string]any) {
			platform := lockOf(p)["platforms"].([]any)[0].(map[string]any)
			platform["updates"] = platform["updates"].([]any)[1:]
		})
	}, nil, "diff"},
	{"signed lockfile from another version", func(f *forgery) {
		f.resign(provenance, func(p map[string]any) { updatesOf(lockOf(p))[0].(map[string]any)["from"] = "0.1-1" })
	}, nil, "diff"},
	{"signed lockfile for another source", func(f *forgery) {
		f.resign(provenance, func(p map[string]any) { lockOf(p)["source"] = "sha256:" + zeros })
	}, nil, "provenance"},
	{"signed provenance without a lockfile", func(f *forgery) {
		f.resign(provenance, func(p map[string]any) {
			p["buildDefinition"].(map[string]any)["externalParameters"] = map[string]any{"x": 1}
		})
	}, nil, "provenance"},
	{"signed provenance that hides a rewritten layer", func(f *forgery) {
		f.resign(provenance, func(p map[string]any) {
			details := p["runDetails"].(map[string]any)
			details["byproducts"] = details["byproducts"].([]any)[:1]
		})
	}, nil, "layers"},
	{"signed provenance of a source that is gone", func(f *forgery) {
		if err := os.Remove(f.path(f.source)); err != nil {
			f.t.Fatal(err)
		}
	}, []string{"--source", "oci:DIR"}, "source"},
	{"source that the policy does not allow", func(*forgery) {}, []string{"--allow-source", "registry.example/*"}, "source"},
	{"signed image with another entry point", func(f *forgery) {
		made := f.become(func(m *v1.Manifest) {
			config := f.put(f.replace(f.read(f.path(m.Config.Digest)), `"config":{`, `"config":{"Entrypoint":["/backdoor"],`))
			m.Config.Digest, m.Config.Size = config.Digest, config.Size
		})
		f.signAs(made)
	}, nil, "config"},
	{"signed image that no rebuild gives", func(f *forgery) {
		made := f.become(func(m *v1.Manifest) { m.Annotations["made"] = "otherwise" })
		f.signAs(made)
	}, []string{"--reproduce"}, "reproduced"},
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

// TestForgeries tampers with a signed image in all ways that the table has, and expects the right check to notice.
func TestForgeries(t *testing.T) {
	original, keys := newForgery(t)
	cache := t.TempDir()
	for _, untouched := range []string{"new", "multi"} {
		if out, errs, code := run(t.Context(), t, cache, "verify", "oci:"+original.dir+":"+untouched, "--key", keys+".pub"); code != 0 {
			t.Fatalf("untouched %s: exit %d\n%s%s", untouched, code, out, errs)
		}
	}
	if _, _, code := run(t.Context(), t, cache, "verify", "oci:"+original.dir+":new", "--key", keys+"2.pub", "--signatures-only"); code != 4 {
		t.Errorf("another key: exit %d", code)
	}
	for _, c := range forgeries {
		t.Run(c.name, func(t *testing.T) {
			f := original.copy(t)
			c.forge(f)
			tag, flags := "new", c.flags
			if len(flags) > 0 && flags[0] == "multi" {
				tag, flags = flags[0], flags[1:]
			}
			flags = strings.Split(strings.ReplaceAll(strings.Join(flags, " "), "DIR", f.dir), " ")
			if len(c.flags) == 0 {
				flags = nil
			}
			used := cache
			if c.failed == "content" {
				used = t.TempDir() // the other has the right content, which is what a digest names
			}
			out, errs, code := run(t.Context(), t, used, append([]string{"verify", "oci:" + f.dir + ":" + tag, "--key", keys + ".pub", "-o", "json"}, flags...)...)
			if code != 4 || !failedCheck(t, out, errs, c.failed) {
				t.Errorf("exit %d, want 4 by check %q\n%s%s", code, c.failed, out, errs)
			}
		})
	}
	t.Logf("%d tampered images refused", len(forgeries))
}

// failedCheck tells whether a check of the name failed: in the document or, where the image cannot even be opened, in the
// message.
func failedCheck(t *testing.T, stdout, stderr, name string) bool {
	t.Helper()
	if stdout == "" {
		return strings.Contains(stderr, name+":")
	}
	var v struct {
		OK       bool
		Subjects []struct {
			Checks []struct {
				Name string
				OK   bool
			}
		}
	}
	if err := json.Unmarshal([]byte(stdout), &v); err != nil {
		t.Fatal(err)
	}
	for _, s := range v.Subjects {
		for _, c := range s.Checks {
			if c.Name == name && !c.OK {
				return !v.OK
			}
		}
	}
	return false
}
