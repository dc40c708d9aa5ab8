package cosign

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/sigstore/cosign/v2/pkg/oci/empty"
	ctypes "github.com/sigstore/cosign/v2/pkg/types"
	"github.com/sigstore/sigstore-go/pkg/sign"
	"github.com/sigstore/sigstore/pkg/signature/payload"

	"github.com/nanopatch/nanopatch/sign/attest"
)

// The two classic lists of an image, by the suffix of their tags, and what their entries are.
const (
	suffixSignatures   = ".sig"
	suffixAttestations = ".att"

	signatureType   types.MediaType = ctypes.SimpleSigningMediaType
	attestationType types.MediaType = ctypes.DssePayloadType

	// annotationKind is where cosign notes the predicate type of an entry.
	annotationKind = "predicateType"
)

// classicTag is the tag of one of an image's lists.
func classicTag(subject v1.Hash, suffix string) string {
	return subject.Algorithm + "-" + subject.Hex + suffix
}

// entries lists what an image's classic lists hold.
func entries(ctx context.Context, repo Repository, subject v1.Hash) ([]carrier, []finding, error) {
	tagger, ok := repo.(Tagger)
	if !ok {
		return nil, nil, nil
	}
	var all []carrier
	var findings []finding
	for _, list := range []struct {
		suffix string
		kind   types.MediaType
		open   func(*Verifier, []byte, map[string]string, v1.Hash) finding
	}{
		{suffixSignatures, signatureType, (*Verifier).openSignature},
		{suffixAttestations, attestationType, (*Verifier).openAttestation},
	} {
		tag := classicTag(subject, list.suffix)
		image, err := tagger.Tagged(ctx, tag)
		if errors.Is(err, ErrMalformed) {
			findings = append(findings, fail(CheckBundle, "%s: %v", tag, err))
			continue
		}
		if err != nil {
			return nil, nil, fmt.Errorf("reading %s: %w", tag, err)
		}
		if image == nil {
			continue
		}
		layers, f, err := listed(image, tag)
		if err != nil {
			return nil, nil, err
		}
		if f != nil {
			findings = append(findings, *f)
		}
		for _, l := range layers {
			c := carrier{
				image: image, digest: l.Digest, blob: l, limit: maxBundle, predicateType: l.Annotations[annotationKind],
				open: func(v *Verifier, raw []byte, subject v1.Hash) finding {
					return list.open(v, raw, l.Annotations, subject)
				},
				unusable: func(v *Verifier, format string, args ...any) finding {
					return v.unusable(l.Annotations, format, args...)
				},
			}
			if list.suffix == suffixSignatures {
				c.predicateType, c.limit = attest.PredicateSign, maxPayload
			}
			if l.MediaType != list.kind {
				findings = append(findings, c.as(ignore("an entry of %s of another kind: %.100q", tag, l.MediaType)))
				continue
			}
			all = append(all, c)
		}
	}
	return all, findings, nil
}

// ClassicEntries lists the digests of what an image's classic lists hold, as Records name them. Signatures are only those that
// v verifies, for two signers' have one digest where both name one repository; attestations hold their signature, and are not
// read.
func ClassicEntries(ctx context.Context, repo Repository, subject v1.Hash, v *Verifier) ([]v1.Hash, error) {
	carriers, _, err := entries(ctx, repo, subject)
	if err != nil {
		return nil, err
	}
	var digests []v1.Hash
	var signatures []carrier
	for _, c := range carriers {
		switch {
		case c.blob.MediaType != signatureType:
			digests = append(digests, c.digest)
		case 0 <= c.blob.Size && c.blob.Size <= c.limit:
			signatures = append(signatures, c)
		}
	}
	findings, err := openAll(ctx, signatures, subject, v)
	for _, f := range findings {
		if f.verdict == valid {
			digests = append(digests, f.digest)
		}
	}
	return digests, err
}

// maxListConfig bounds the configuration of a list, in bytes, which is read when an entry is added: some hundreds for each.
const maxListConfig = 1 << 20

// listed are the entries of a classic list; the finding is set where they cannot be told.
func listed(image v1.Image, tag string) ([]v1.Descriptor, *finding, error) {
	raw, err := image.RawManifest()
	if err != nil {
		return nil, nil, fmt.Errorf("reading %s: %w", tag, err)
	}
	m, err := v1.ParseManifest(bytes.NewReader(raw))
	if err != nil {
		f := fail(CheckBundle, "%s: malformed manifest: %v", tag, err)
		return nil, &f, nil
	}
	if len(m.Layers) > maxReferrers {
		f := fail(CheckBundle, "%s: %d entries, more than %d", tag, len(m.Layers), maxReferrers)
		return nil, &f, nil
	}
	if m.Config.Size > maxListConfig {
		f := fail(CheckBundle, "%s: a configuration of %d bytes, more than %d", tag, m.Config.Size, int64(maxListConfig))
		return nil, &f, nil
	}
	return m.Layers, nil, nil
}

// attachClassic signs statements and puts them into an image's lists, the signature last: until it is there, nothing about
// the image verifies. The digests are those of the entries.
func attachClassic(ctx context.Context, repo Repository, subject v1.Descriptor, opts SignOptions, all []sealing) ([]v1.Hash, error) {
	tagger, ok := repo.(Tagger)
	if !ok {
		return nil, fmt.Errorf("%w %s: this place holds no tags beside an image", ErrFormat, FormatClassic)
	}
	lists := map[string][]mutate.Addendum{}
	var digests []v1.Hash
	for _, s := range all {
		suffix := suffixAttestations
		var entry mutate.Addendum
		var err error
		if s.predicateType == attest.PredicateSign {
			suffix = suffixSignatures
			entry, err = classicSignature(ctx, subject.Digest, opts)
		} else {
			entry, err = classicAttestation(ctx, opts.Signer, s)
		}
		if err != nil {
			return nil, fmt.Errorf("attesting %s of %s: %w", s.predicateType, subject.Digest, err)
		}
		digest, err := entry.Layer.Digest()
		if err != nil {
			return nil, fmt.Errorf("hashing an entry: %w", err)
		}
		digests = append(digests, digest)
		lists[suffix] = append(lists[suffix], entry)
	}
	for _, suffix := range []string{suffixAttestations, suffixSignatures} {
		if err := enlist(ctx, tagger, classicTag(subject.Digest, suffix), lists[suffix]); err != nil {
			return nil, err
		}
	}
	return digests, nil
}

// classicSignature is an entry that signs the image, as `cosign sign` makes it.
func classicSignature(ctx context.Context, subject v1.Hash, opts SignOptions) (mutate.Addendum, error) {
	var said payload.SimpleContainerImage
	said.Critical.Identity.DockerReference = opts.Repository
	said.Critical.Image.DockerManifestDigest = subject.String()
	said.Critical.Type = payload.CosignSignatureType
	raw, err := json.Marshal(said)
	if err != nil {
		return mutate.Addendum{}, fmt.Errorf("encoding a signature: %w", err)
	}
	pair, options, err := prepared(ctx, opts.Signer)
	if err != nil {
		return mutate.Addendum{}, err
	}
	b, err := sign.Bundle(&sign.PlainData{Data: raw}, pair, options)
	if err != nil {
		return mutate.Addendum{}, err
	}
	return newEntry(raw, signatureType, b.GetMessageSignature().GetSignature(), b, nil)
}

// classicAttestation is an entry that holds a statement, as `cosign attest` makes it.
func classicAttestation(ctx context.Context, signer Signer, s sealing) (mutate.Addendum, error) {
	pair, options, err := prepared(ctx, signer)
	if err != nil {
		return mutate.Addendum{}, err
	}
	b, err := sign.Bundle(inEnvelope(s.payload), pair, options)
	if err != nil {
		return mutate.Addendum{}, err
	}
	raw, err := encodeEnvelope(b.GetDsseEnvelope())
	if err != nil {
		return mutate.Addendum{}, err
	}
	return newEntry(raw, attestationType, nil, b, map[string]string{annotationKind: s.predicateType})
}

// attempts is how often a list is written again that another has written meanwhile.
const attempts = 5

// enlist appends entries to the list under a tag. Nothing compares and sets a tag in one step: it looks again until all of
// them are there.
func enlist(ctx context.Context, repo Tagger, tag string, added []mutate.Addendum) error {
	for attempt := 0; len(added) > 0; attempt++ {
		list, err := repo.Tagged(ctx, tag)
		if err != nil {
			return fmt.Errorf("reading %s: %w", tag, err)
		}
		if list == nil {
			list = empty.Signatures()
		}
		there, f, err := listed(list, tag)
		if err != nil {
			return err
		}
		if f != nil {
			return fmt.Errorf("%w %s: %s", ErrFormat, FormatClassic, f.detail)
		}
		missing, err := absent(there, added)
		if err != nil || len(missing) == 0 {
			return err
		}
		if len(there)+len(missing) > maxReferrers {
			return fmt.Errorf("%w %s: %s has %d entries, and at most %d are read", ErrFormat, FormatClassic, tag, len(there), maxReferrers)
		}
		if attempt == attempts {
			return fmt.Errorf("writing %s: it was written %d times and others write it as often; let one sign after the other", tag, attempts)
		}
		if list, err = mutate.Append(list, missing...); err != nil {
			return fmt.Errorf("writing %s: %w", tag, err)
		}
		if err := repo.PutTagged(ctx, tag, list); err != nil {
			return fmt.Errorf("writing %s: %w", tag, err)
		}
	}
	return nil
}

// absent are the entries that are not there. A signature is its blob with its annotations: that of another key may have the
// same blob.
func absent(there []v1.Descriptor, entries []mutate.Addendum) ([]mutate.Addendum, error) {
	known := map[string]bool{}
	for _, d := range there {
		known[d.Digest.String()+" "+d.Annotations[annotationSignature]] = true
	}
	var missing []mutate.Addendum
	for _, e := range entries {
		digest, err := e.Layer.Digest()
		if err != nil {
			return nil, err
		}
		if !known[digest.String()+" "+e.Annotations[annotationSignature]] {
			missing = append(missing, e)
		}
	}
	return missing, nil
}
