package cosign

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/nanopatch/nanopatch/sign/attest"
)

// Repository is where an image's referrers live: a repository of a registry, or an OCI layout.
type Repository interface {
	// Attach writes an artifact whose manifest names the subject. Where a registry has no referrers API,
	// the fallback tag sha256-<hex> is updated; concurrent updates of it are the repository's to serialise.
	Attach(ctx context.Context, subject v1.Descriptor, artifact v1.Image) error
	// Referrers lists what refers to the subject, of whatever kind. It must not filter by the artifact type
	// of a listing, which registries fill in differently. A subject without referrers has an empty list,
	// and so has one that is not there.
	Referrers(ctx context.Context, subject v1.Hash) ([]v1.Image, error)
}

// SignOptions say who signs.
type SignOptions struct {
	// Signer must be set.
	Signer Signer
	// Format is where and how signatures are stored; empty is FormatBundle. The classic one takes a Repository that is a
	// Tagger, else it is ErrFormat.
	Format Format
	// Repository is the name of the image's repository, which a classic signature carries and policies of podman and
	// skopeo compare: "registry.example/team/base"; empty where there is none. Bundles never have one.
	Repository string
	// Created goes into the artifact's annotations, as cosign's does. It is not signed. Zero leaves it out;
	// the image's own creation time keeps artifacts reproducible.
	Created time.Time
	// Logger gets debug lines; nil is silent.
	Logger *slog.Logger
}

// Record is a statement that an image now carries, signed.
type Record struct {
	PredicateType string `json:"predicateType"`
	// Digest is that of the referrer's manifest, or in the classic format that of the entry's blob.
	Digest v1.Hash `json:"digest"`
	KeyID  string  `json:"keyId"`
	// Identity is who signed, where that was not a key of its own.
	Identity *Identity `json:"identity,omitempty"`
	// Reused says that the image carried it already and nothing was written.
	Reused bool `json:"reused"`
}

// By names who signed.
func (r Record) By() string {
	if r.Identity != nil {
		return r.Identity.String()
	}
	return "key " + r.KeyID
}

// ErrNoSigner says that there is nothing to sign with.
var ErrNoSigner = errors.New("no key to sign with")

// Sign signs an image: Attest with the statement of `cosign sign`.
func Sign(ctx context.Context, repo Repository, subject v1.Descriptor, opts SignOptions) (Record, error) {
	records, err := Attest(ctx, repo, subject, opts, attest.Signature(subject.Digest))
	if err != nil {
		return Record{}, err
	}
	return records[0], nil
}

// Attest signs statements about an image and attaches them, in the order given. The subject is the image's
// (or index's) media type, digest and size; every statement must be about that digest. An equal statement
// that the image carries with a valid signature of the same key is reused. On an error, the records are
// those of the statements before the one that failed.
func Attest(
	ctx context.Context, repo Repository, subject v1.Descriptor, opts SignOptions, statements ...attest.Statement,
) ([]Record, error) {
	if opts.Signer == nil {
		return nil, ErrNoSigner
	}
	if subject.MediaType == "" || subject.Size <= 0 {
		return nil, fmt.Errorf("signing %s: its media type and size must be known", subject.Digest)
	}
	verifier, err := VerifierOf(ctx, opts.Signer)
	if err != nil {
		return nil, err
	}
	log := opts.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	all, err := encodeAll(subject.Digest, statements)
	if err != nil {
		return nil, err
	}
	if opts.Format == "" {
		opts.Format = FormatBundle
	}
	carried, err := reusable(ctx, repo, subject.Digest, verifier, opts.Format, statements)
	if err != nil {
		return nil, err
	}
	var fresh []sealing
	for _, s := range all {
		if _, there := carried[s.content]; !there {
			carried[s.content] = v1.Hash{}
			fresh = append(fresh, s)
		}
	}
	put := attachBundles
	if opts.Format == FormatClassic {
		put = attachClassic
	}
	digests, err := put(ctx, repo, subject, opts, fresh)
	made := map[[sha256.Size]byte]bool{}
	for i, digest := range digests {
		carried[fresh[i].content], made[fresh[i].content] = digest, true
	}
	var records []Record
	for _, s := range all {
		digest := carried[s.content]
		if digest == (v1.Hash{}) {
			break // it failed
		}
		record := Record{
			PredicateType: s.predicateType, Digest: digest, KeyID: verifier.KeyID(), Identity: verifier.Identity(), Reused: !made[s.content],
		}
		made[s.content] = false // the same again is not made again
		log.DebugContext(ctx, "statement attached", "subject", subject.Digest, "predicateType", s.predicateType,
			"digest", digest, "reused", record.Reused)
		records = append(records, record)
	}
	return records, err
}

// sealing is a statement that is to be signed and attached.
type sealing struct {
	content       [sha256.Size]byte // the hash of payload
	predicateType string
	payload       []byte
}

// attachBundles signs and attaches one after the other. The digests are those of the referrers; on an error, of those
// before it.
func attachBundles(ctx context.Context, repo Repository, subject v1.Descriptor, opts SignOptions, all []sealing) ([]v1.Hash, error) {
	var digests []v1.Hash
	for _, s := range all {
		digest, err := attach(ctx, repo, subject, opts, s.predicateType, s.payload)
		if err != nil {
			return digests, fmt.Errorf("attesting %s of %s: %w", s.predicateType, subject.Digest, err)
		}
		digests = append(digests, digest)
	}
	return digests, nil
}

// encodeAll gives the statements as they are signed, in order.
func encodeAll(subject v1.Hash, statements []attest.Statement) ([]sealing, error) {
	var all []sealing
	for _, st := range statements {
		if !st.About(subject) {
			return nil, fmt.Errorf("attesting %s: the statement is not about %s", st.PredicateType, subject)
		}
		payload, err := st.Encode()
		if err != nil {
			return nil, fmt.Errorf("attesting %s of %s: %w", st.PredicateType, subject, err)
		}
		all = append(all, sealing{sha256.Sum256(payload), st.PredicateType, payload})
	}
	return all, nil
}

func attach(
	ctx context.Context, repo Repository, subject v1.Descriptor, opts SignOptions, predicateType string, payload []byte,
) (v1.Hash, error) {
	bundle, err := seal(ctx, opts.Signer, payload)
	if err != nil {
		return v1.Hash{}, err
	}
	image, err := newArtifact(subject, bundle, predicateType, opts.Created)
	if err != nil {
		return v1.Hash{}, err
	}
	if err := repo.Attach(ctx, subject, image); err != nil {
		return v1.Hash{}, err
	}
	return image.Digest()
}

// reusable maps the SHA-256 of statements that the image carries in a format, validly signed, to what holds them. What
// is damaged is skipped: Verify is who complains.
func reusable(
	ctx context.Context, repo Repository, subject v1.Hash, v *Verifier, format Format, statements []attest.Statement,
) (map[[sha256.Size]byte]v1.Hash, error) {
	findings, err := examine(ctx, repo, subject, v, format, func(c carrier) bool {
		return c.predicateType == "" || slices.ContainsFunc(statements, func(st attest.Statement) bool {
			return st.PredicateType == c.predicateType
		})
	})
	if err != nil {
		return nil, err
	}
	carried := map[[sha256.Size]byte]v1.Hash{}
	for _, f := range findings {
		if f.verdict != valid {
			continue
		}
		// Encoded again, so that white space does not tell cosign's signature from ours.
		payload, err := f.statement.Encode()
		if err != nil {
			continue
		}
		carried[sha256.Sum256(payload)] = f.digest
	}
	return carried, nil
}
