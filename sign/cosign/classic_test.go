package cosign_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/sigstore/cosign/v2/pkg/oci/empty"

	"github.com/nanopatch/nanopatch/sign/attest"
	"github.com/nanopatch/nanopatch/sign/cosign"
	"github.com/nanopatch/nanopatch/sign/signtest"
)

func classicOpts(s cosign.Signer) cosign.SignOptions {
	return cosign.SignOptions{Signer: s, Format: cosign.FormatClassic, Repository: "registry.example/team/base"}
}

// TestClassic signs in the classic format with each kind of signer, and verifies that with what does not know the format.
func TestClassic(t *testing.T) {
	s := newSigstore(t)
	key := signtest.Key(t, "ours")
	for name, c := range map[string]struct {
		signer   cosign.Signer
		verifier *cosign.Verifier
		stamped  bool
	}{
		"key":                      {key, signtest.Verifier(t, "ours"), false},
		"key that a log sees":      {cosign.WithServices(key, s.services(t, true, true)), signtest.Verifier(t, "ours"), false},
		"keyless":                  {s.signer(t), s.verifier(t, s.identity()), true},
		"keyless with both":        {s.signerBy(t, s.services(t, true, true)), s.verifier(t, s.identity()), true},
		"keyless and only stamped": {s.signerBy(t, s.services(t, false, true)), s.verifierBy(t, s.identity(), false), true},
	} {
		t.Run(name, func(t *testing.T) {
			repo := &signtest.Memory{}
			_, d := signtest.Image(t, "rebuilt")
			records, err := cosign.Attest(t.Context(), repo, d, classicOpts(c.signer),
				attest.Signature(d.Digest), sbom(t, d.Digest), provenance(t, d.Digest))
			if err != nil || len(records) != 3 {
				t.Fatal(records, err)
			}
			if list, err := repo.Referrers(t.Context(), d.Digest); err != nil || len(list) > 0 {
				t.Errorf("%d bundles as well, %v", len(list), err)
			}
			opts := cosign.VerifyOptions{Verifier: c.verifier, Require: []string{attest.PredicateSPDX, attest.PredicateProvenance}}
			report, err := cosign.Verify(t.Context(), repo, d.Digest, opts)
			if err != nil {
				t.Fatal(err)
			}
			if age := time.Since(report.SignedAt()); c.stamped != (age < time.Minute) || len(report.Signatures) != 1 {
				t.Errorf("signed %s ago: %+v", age, report)
			}
			opts.Format = cosign.FormatBundle
			if _, err := cosign.Verify(t.Context(), repo, d.Digest, opts); !errors.Is(err, cosign.ErrVerification) {
				t.Errorf("as bundles: %v", err)
			}
			record, err := cosign.Sign(t.Context(), repo, d, classicOpts(c.signer))
			if err != nil || !record.Reused || record.Digest != records[0].Digest {
				t.Errorf("%+v, %v", record, err)
			}
		})
	}
}

// TestClassicBeside: one image may carry both formats, and one list the signatures of several keys.
func TestClassicBeside(t *testing.T) {
	repo := &signtest.Memory{}
	_, d := signtest.Image(t, "rebuilt")
	mustSign(t, repo, d, "ours")
	for _, key := range []string{"ours", "theirs"} {
		record, err := cosign.Sign(t.Context(), repo, d, classicOpts(signtest.Key(t, key)))
		if err != nil || record.Reused {
			t.Fatalf("a bundle is no classic signature: %+v, %v", record, err)
		}
	}
	report, err := cosign.Verify(t.Context(), repo, d.Digest, cosign.VerifyOptions{Verifier: signtest.Verifier(t, "ours")})
	if err != nil || len(report.Signatures) != 2 || len(report.Ignored) != 1 {
		t.Errorf("%+v, %v", report, err)
	}
	report, err = cosign.Verify(t.Context(), repo, d.Digest, cosign.VerifyOptions{Verifier: signtest.Verifier(t, "theirs")})
	if err != nil || len(report.Signatures) != 1 {
		t.Errorf("%+v, %v", report, err)
	}
}

// TestClassicEntries: two signers' signatures are one blob, and each has its own all the same.
func TestClassicEntries(t *testing.T) {
	repo := &signtest.Memory{}
	_, d := signtest.Image(t, "rebuilt")
	records := map[string][]cosign.Record{}
	for _, key := range []string{"ours", "theirs"} {
		var err error
		records[key], err = cosign.Attest(t.Context(), repo, d, classicOpts(signtest.Key(t, key)), attest.Signature(d.Digest), sbom(t, d.Digest))
		if err != nil {
			t.Fatal(err)
		}
	}
	if records["ours"][0].Digest != records["theirs"][0].Digest {
		t.Fatal("the test means that both signatures have one digest")
	}
	list := func(key string) []v1.Hash {
		digests, err := cosign.ClassicEntries(t.Context(), repo, d.Digest, signtest.Verifier(t, key))
		if err != nil {
			t.Fatal(err)
		}
		return digests
	}
	for _, key := range []string{"ours", "theirs"} {
		for _, r := range records[key] {
			if !slices.Contains(list(key), r.Digest) {
				t.Errorf("of %s, %s is not there", key, r.PredicateType)
			}
		}
	}
	putEntries(t, repo, "sha256-"+d.Digest.Hex+".sig", entriesOf(t, repo, "sha256-"+d.Digest.Hex+".sig")[1:])
	signature := records["ours"][0].Digest
	if slices.Contains(list("ours"), signature) || !slices.Contains(list("theirs"), signature) {
		t.Errorf("ours is gone and theirs is not: %v, %v", list("ours"), list("theirs"))
	}
}

// TestClassicIsDeterministic: a key gives the same two images, byte for byte.
func TestClassicIsDeterministic(t *testing.T) {
	_, d := signtest.Image(t, "rebuilt")
	var first map[string]v1.Hash
	for range 2 {
		repo := &signtest.Memory{}
		_, err := cosign.Attest(t.Context(), repo, d, classicOpts(signtest.Key(t, "ours")), sbom(t, d.Digest), attest.Signature(d.Digest))
		if err != nil {
			t.Fatal(err)
		}
		digests := map[string]v1.Hash{}
		for _, tag := range []string{".sig", ".att"} {
			image, err := repo.Tagged(t.Context(), "sha256-"+d.Digest.Hex+tag)
			if err != nil || image == nil {
				t.Fatal(tag, err)
			}
			if digests[tag], err = image.Digest(); err != nil {
				t.Fatal(err)
			}
		}
		if first != nil && !maps.Equal(first, digests) {
			t.Errorf("%v, then %v", first, digests)
		}
		first = digests
	}
}

// entry is one of a list: what tests tamper with.
type entry struct {
	blob        []byte
	kind        types.MediaType
	annotations map[string]string
}

func entriesOf(t *testing.T, repo cosign.Tagger, tag string) []entry {
	t.Helper()
	image, err := repo.Tagged(t.Context(), tag)
	if err != nil || image == nil {
		t.Fatal(tag, err)
	}
	manifest, err := image.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	var all []entry
	for i, l := range layers {
		rc, err := l.Compressed()
		if err != nil {
			t.Fatal(err)
		}
		blob, err := io.ReadAll(rc)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, entry{blob, manifest.Layers[i].MediaType, manifest.Layers[i].Annotations})
	}
	return all
}

func putEntries(t *testing.T, repo cosign.Tagger, tag string, entries []entry) {
	t.Helper()
	var list v1.Image = empty.Signatures()
	var err error
	for _, e := range entries {
		list, err = mutate.Append(list, mutate.Addendum{Layer: static.NewLayer(e.blob, e.kind), MediaType: e.kind, Annotations: e.annotations})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := repo.PutTagged(t.Context(), tag, list); err != nil {
		t.Fatal(err)
	}
}

// TestClassicTampered: each edit of the two lists is refused, and the check that failed is named.
func TestClassicTampered(t *testing.T) {
	_, d := signtest.Image(t, "rebuilt")
	_, other := signtest.Image(t, "other")
	sig, att := "sha256-"+d.Digest.Hex+".sig", "sha256-"+d.Digest.Hex+".att"
	otherSig, otherAtt := "sha256-"+other.Digest.Hex+".sig", "sha256-"+other.Digest.Hex+".att"
	edit := func(tag string, change func(*entry)) func(*testing.T, *signtest.Memory) {
		return func(t *testing.T, repo *signtest.Memory) {
			t.Helper()
			entries := entriesOf(t, repo, tag)
			change(&entries[0])
			putEntries(t, repo, tag, entries)
		}
	}
	swap := func(to, from string) func(*testing.T, *signtest.Memory) {
		return func(t *testing.T, repo *signtest.Memory) {
			t.Helper()
			putEntries(t, repo, to, entriesOf(t, repo, from))
		}
	}
	const signature = "dev.cosignproject.cosign/signature"
	for _, c := range []struct {
		name   string
		forge  func(*testing.T, *signtest.Memory)
		failed string
	}{
		{"payload names another image", edit(sig, func(e *entry) {
			e.blob = []byte(strings.Replace(string(e.blob), d.Digest.String(), other.Digest.String(), 1))
		}), "signed"},
		{"payload edited", edit(sig, func(e *entry) { e.blob = append(e.blob, ' ') }), "signed"},
		{"signature edited", edit(sig, func(e *entry) { e.annotations[signature] = "AAAA" + e.annotations[signature][4:] }), "signed"},
		{"signature is no base64", edit(sig, func(e *entry) { e.annotations[signature] = "!" }), "bundle"},
		{"no signature", edit(sig, func(e *entry) { delete(e.annotations, signature) }), "signed"},
		{"a certificate that is none", edit(sig, func(e *entry) { e.annotations["dev.sigstore.cosign/certificate"] = "x" }), "bundle"},
		{"a log entry that is none", edit(sig, func(e *entry) { e.annotations["dev.sigstore.cosign/bundle"] = "{}" }), "bundle"},
		{"a timestamp that is none", edit(sig, func(e *entry) { e.annotations["dev.sigstore.cosign/rfc3161timestamp"] = "[" }), "bundle"},
		{"another kind of entry", edit(sig, func(e *entry) { e.kind = "text/plain" }), "signed"},
		{"the signature of another image", swap(sig, otherSig), "subject"},
		{"the attestations of another image", swap(att, otherAtt), "subject"},
		{"attestations for signatures", swap(sig, att), "signed"},
		{"no attestations", func(t *testing.T, repo *signtest.Memory) { t.Helper(); putEntries(t, repo, att, nil) }, "attested"},
		{"no signatures", func(t *testing.T, repo *signtest.Memory) { t.Helper(); putEntries(t, repo, sig, nil) }, "signed"},
		{"an envelope that is none", edit(att, func(e *entry) { e.blob = []byte("{") }), "bundle"},
		{"a statement edited", edit(att, func(e *entry) {
			var envelope map[string]any
			if err := json.Unmarshal(e.blob, &envelope); err != nil {
				t.Fatal(err)
			}
			envelope["payload"] = "e30="
			var err error
			if e.blob, err = json.Marshal(envelope); err != nil {
				t.Fatal(err)
			}
		}), "attested"},
		{"two signatures in an envelope", edit(att, func(e *entry) {
			e.blob = []byte(strings.Replace(string(e.blob), `"signatures":[`, `"signatures":[{"sig":"AAAA"},`, 1))
		}), "attested"},
		{"too many entries", func(t *testing.T, repo *signtest.Memory) {
			t.Helper()
			entries := entriesOf(t, repo, sig)
			for range 512 {
				entries = append(entries, entries[0])
			}
			putEntries(t, repo, sig, entries)
		}, "bundle"},
	} {
		t.Run(c.name, func(t *testing.T) {
			repo := &signtest.Memory{}
			for _, image := range []v1.Descriptor{d, other} {
				_, err := cosign.Attest(t.Context(), repo, image, classicOpts(signtest.Key(t, "ours")), attest.Signature(image.Digest), sbom(t, image.Digest))
				if err != nil {
					t.Fatal(err)
				}
			}
			if failed, _ := failures(t, repo, d.Digest, "ours", attest.PredicateSPDX); failed != "" {
				t.Fatalf("failed before: %s", failed)
			}
			c.forge(t, repo)
			if failed, _ := failures(t, repo, d.Digest, "ours", attest.PredicateSPDX); !strings.Contains(failed, c.failed) {
				t.Errorf("failed %q, want %q", failed, c.failed)
			}
		})
	}
}

// TestClassicKeylessTampered: what an identity signed and somebody edited is no other's signature, but a forged one.
func TestClassicKeylessTampered(t *testing.T) {
	s, repo := newSigstore(t), &signtest.Memory{}
	_, d := signtest.Image(t, "rebuilt")
	sig := "sha256-" + d.Digest.Hex + ".sig"
	for name, c := range map[string]struct {
		forge  func(*entry)
		failed string
	}{
		"no log entry":   {func(e *entry) { delete(e.annotations, "dev.sigstore.cosign/bundle") }, "signature"},
		"payload edited": {func(e *entry) { e.blob = append(e.blob, ' ') }, "signature"},
		"no certificate": {func(e *entry) { delete(e.annotations, "dev.sigstore.cosign/certificate") }, "signed"},
	} {
		if _, err := cosign.Sign(t.Context(), repo, d, classicOpts(s.signer(t))); err != nil {
			t.Fatal(err)
		}
		entries := entriesOf(t, repo, sig)
		c.forge(&entries[0])
		putEntries(t, repo, sig, entries)
		report, err := cosign.Verify(t.Context(), repo, d.Digest, cosign.VerifyOptions{Verifier: s.verifier(t, s.identity())})
		if err == nil || !strings.Contains(failedNames(report), c.failed) {
			t.Errorf("%s: failed %q, want %q: %v", name, failedNames(report), c.failed, err)
		}
		putEntries(t, repo, sig, nil)
	}
}

// contested is a repository whose tags another writes at the same time.
type contested struct {
	signtest.Memory

	rounds int
}

func (c *contested) PutTagged(ctx context.Context, tag string, image v1.Image) error {
	if c.rounds > 0 {
		c.rounds--
		return nil // the other's write came last
	}
	return c.Memory.PutTagged(ctx, tag, image)
}

// TestClassicLostUpdate: an entry that another's write took away is written again, but not for ever.
func TestClassicLostUpdate(t *testing.T) {
	_, d := signtest.Image(t, "rebuilt")
	for rounds, ok := range map[int]bool{3: true, 100: false} {
		repo := &contested{rounds: rounds}
		_, err := cosign.Sign(t.Context(), repo, d, classicOpts(signtest.Key(t, "ours")))
		if (err == nil) != ok {
			t.Errorf("%d writes lost: %v", rounds, err)
		}
	}
}

// onlyReferrers is a repository without tags.
type onlyReferrers struct{ cosign.Repository }

// TestClassicNeedsTags: a place without tags is an error to sign in, and has no classic signatures.
func TestClassicNeedsTags(t *testing.T) {
	repo := onlyReferrers{&signtest.Memory{}}
	_, d := signtest.Image(t, "rebuilt")
	if _, err := cosign.Sign(t.Context(), repo, d, classicOpts(signtest.Key(t, "ours"))); !errors.Is(err, cosign.ErrFormat) {
		t.Errorf("%v", err)
	}
	if failed, _ := failures(t, repo, d.Digest, "ours"); failed != "signed" {
		t.Errorf("failed %q", failed)
	}
	for name, ok := range map[string]bool{"bundle": true, "classic": true, "": false, "Bundle": false} {
		if _, err := cosign.ParseFormat(name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// damaged is a repository in which somebody let the tags of the lists name something else.
type damaged struct{ signtest.Memory }

func (*damaged) Tagged(context.Context, string) (v1.Image, error) {
	return nil, fmt.Errorf("%w: no JSON", cosign.ErrMalformed)
}

// TestClassicDamaged: a list that cannot be read is a finding, whatever else is there, and one that is full takes no more.
func TestClassicDamaged(t *testing.T) {
	_, d := signtest.Image(t, "rebuilt")
	repo := &damaged{}
	if _, err := cosign.Sign(t.Context(), repo, d, cosign.SignOptions{Signer: signtest.Key(t, "ours")}); err != nil {
		t.Fatal(err)
	}
	if failed, _ := failures(t, repo, d.Digest, "ours"); !strings.Contains(failed, "bundle") {
		t.Errorf("failed %q", failed)
	}
	full, sig := &signtest.Memory{}, "sha256-"+d.Digest.Hex+".sig"
	if _, err := cosign.Sign(t.Context(), full, d, classicOpts(signtest.Key(t, "theirs"))); err != nil {
		t.Fatal(err)
	}
	entries := entriesOf(t, full, sig)
	for len(entries) < 512 {
		entries = append(entries, entries[0])
	}
	putEntries(t, full, sig, entries)
	if _, err := cosign.Sign(t.Context(), full, d, classicOpts(signtest.Key(t, "ours"))); !errors.Is(err, cosign.ErrFormat) {
		t.Errorf("a full list: %v", err)
	}
	if got := entriesOf(t, full, sig); len(got) != 512 {
		t.Errorf("the full list has %d entries now", len(got))
	}
}
