package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/nanopatch/nanopatch/rebuild/image"
	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
	"github.com/nanopatch/nanopatch/sign/cosign"
)

// record is what a run went by and what became of it, the predicate of a signed statement about the result. It lies beside
// the result, so that the next run needs no cache to see that it would come to the same. Who may only write to the
// registry cannot make one: a forged record would keep updates away.
type record struct {
	// Tool is the version that ran: another may decide otherwise.
	Tool string `json:"tool"`
	// Asked is the hash of everything that was asked for.
	Asked string `json:"asked"`
	// Source is what was rebuilt, Repository where the result lies.
	Source     v1.Hash `json:"source"`
	Repository string  `json:"repository"`
	// Inputs are the files of package repositories that may change under their URLs.
	Inputs []recordInput `json:"inputs"`
	// Until is when the answer may be another one although nothing else has changed: a minimum age is reached, a hold or
	// an index expires. Nil is never.
	Until *time.Time `json:"until"`
	// Report is what the run reported, Result, as gzip'd JSON: it names every package, and would be most of what a night
	// with nothing to do moves.
	Report []byte  `json:"report"`
	Result *Result `json:"-"`
}

type recordInput struct {
	URL string `json:"url"`
	// SHA256 is empty where there was no such file.
	SHA256 string `json:"sha256"`
}

const (
	// maxRecord bounds a record, in bytes; what is larger is not worth its transfer.
	maxRecord = 256 << 10
	// maxReport bounds the report in it, as JSON.
	maxReport = 16 << 20
	// maxInput bounds a file that a record names.
	maxInput = 256 << 20
	// maxInputs bounds how many.
	maxInputs = 1000
)

// recordTag is where the record of an image lies: a tag, as cosign once had them, because a referrer more each night would
// make the list of them grow for ever.
func recordTag(digest v1.Hash) string { return digest.Algorithm + "-" + digest.Hex + ".nanopatch" }

// asked is the hash of what a run was asked for; ok is false where that cannot be told, or the source has to be verified.
func (s *Session) asked(platforms []v1.Platform, u Updates, r *Request) (hash string, ok bool) {
	if u.Locked != nil || u.Source != nil || r.Signer == nil || !r.Attest {
		return "", false
	}
	u.Rules.Now = time.Time{}
	var files []string
	for _, name := range slices.Concat(u.Repositories, u.Keyrings, u.Advisories) {
		digest, err := fileDigest(name)
		if err != nil {
			return "", false
		}
		files = append(files, digest)
	}
	raw, err := json.Marshal([]any{u, platforms, files, r.SBOMs, r.Referrers, r.InIndex, r.Packages, r.Format})
	if err != nil {
		return "", false
	}
	sum := sha256.Sum256(raw)
	return "sha256:" + hex.EncodeToString(sum[:]), true
}

// Unchanged tells, with what the last run reported, whether a run would come to the same: nothing that it went by has
// changed, and all that it published is still there. nil is no; whatever stands in the way is no reason to fail, for then
// the run has to be made.
func (s *Session) Unchanged(ctx context.Context, source image.Ref, platforms []v1.Platform, u Updates, r Request) *Result {
	asked, ok := s.asked(platforms, u, &r)
	if !ok {
		return nil
	}
	done := s.stage("record")
	result, why := s.unchanged(ctx, source, asked, &r)
	if result == nil {
		done("a run is needed: " + why.Error())
		return nil
	}
	done("nothing has changed since the last run")
	return result
}

// errChanged is why a run is needed.
var errChanged = errors.New("something has changed")

func changed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errChanged, fmt.Sprintf(format, args...))
}

func (s *Session) unchanged(ctx context.Context, source image.Ref, asked string, r *Request) (*Result, error) {
	from, err := s.images.Digest(ctx, source)
	if err != nil {
		return nil, err
	}
	result, err := s.destinationsAt(ctx, r)
	if err != nil {
		return nil, err
	}
	var found *record
	for _, d := range r.Destinations {
		if found, err = s.readRecord(ctx, d.Ref, result, r.Signer); err != nil {
			return nil, err
		}
		if err := s.holds(found, asked, from, d.Ref); err != nil {
			return nil, err
		}
		if err := s.published(ctx, d.Ref, found.Result, r); err != nil {
			return nil, err
		}
	}
	if err := s.inputsSame(ctx, found.Inputs); err != nil {
		return nil, err
	}
	return s.repeated(found.Result, source, r), nil
}

// destinationsAt is the one image that all destinations name.
func (s *Session) destinationsAt(ctx context.Context, r *Request) (v1.Hash, error) {
	var at v1.Hash
	for _, d := range r.Destinations {
		if d.Ref.Transport != image.Registry {
			return at, changed("only registries hold records")
		}
		for _, tag := range d.Tags {
			digest, err := s.images.Digest(ctx, d.Ref.WithTag(tag))
			if err != nil {
				return at, err
			}
			if at != (v1.Hash{}) && at != digest {
				return at, changed("the destinations name several images")
			}
			at = digest
		}
	}
	return at, nil
}

// holds compares what a record went by with what is asked now.
func (s *Session) holds(rec *record, asked string, from v1.Hash, at image.Ref) error {
	switch {
	case rec.Tool != s.cfg.Version:
		return changed("another version of nanopatch ran last")
	case rec.Asked != asked:
		return changed("something else was asked for last")
	case rec.Source != from:
		return changed("the source is another image")
	case rec.Repository != at.WithTag("").String():
		return changed("the record is of another repository")
	case rec.Until != nil && !s.cfg.Now().Before(*rec.Until):
		return changed("the last answer counted until %s", rec.Until.UTC().Format(time.RFC3339))
	case len(rec.Inputs) > maxInputs:
		return changed("the record is of no use")
	}
	return nil
}

// published makes sure that what the last run attached to its result is still there; that it verified is what the record
// says.
func (s *Session) published(ctx context.Context, at image.Ref, result *Result, r *Request) error {
	repo, err := s.place(at)
	if err != nil {
		return err
	}
	there, err := repo.Referrers(ctx, result.Image.Digest)
	if err != nil {
		return err
	}
	digests := make(map[v1.Hash]bool)
	for _, img := range there {
		digest, err := img.Digest()
		if err != nil {
			return err
		}
		digests[digest] = true
	}
	if r.Format == cosign.FormatClassic {
		verifier, err := cosign.VerifierOf(ctx, r.Signer)
		if err != nil {
			return err
		}
		entries, err := cosign.ClassicEntries(ctx, repo, result.Image.Digest, verifier)
		if err != nil {
			return err
		}
		for _, digest := range entries {
			digests[digest] = true
		}
	}
	for _, st := range slices.Concat(result.Signatures, result.Attestations) {
		if st.Repository == repo.String() && st.Subject == result.Image.Digest && !digests[st.Digest] {
			return changed("a signature or attestation is gone")
		}
	}
	for _, a := range result.Attached {
		if a.Repository == repo.String() && a.Subject == result.Image.Digest && !digests[a.Digest] {
			return changed("an attached SBOM is gone")
		}
	}
	return nil
}

// inputsSame asks for every file again. All are small but for apk's indexes, which are signed as a whole.
func (s *Session) inputsSame(ctx context.Context, inputs []recordInput) error {
	for _, in := range inputs {
		was := pkgrepo.Consulted{URL: in.URL, Absent: in.SHA256 == ""}
		if raw, err := hex.DecodeString(in.SHA256); err == nil && len(raw) == sha256.Size {
			was.SHA256 = [sha256.Size]byte(raw)
		}
		same, err := s.packages.Same(ctx, was, maxInput)
		if errors.Is(err, pkgrepo.ErrLogin) {
			// A layer would have to be fetched for it, and no login is written where everybody can read it.
			return changed("%s wants a login, which may be the image's own; given with --repo-auth, it would spare the run", in.URL)
		}
		if err != nil {
			return err
		}
		if !same {
			return changed("%s is another file", in.URL)
		}
	}
	return nil
}

// repeated is the report of the last run as one of this run.
func (s *Session) repeated(last *Result, source image.Ref, r *Request) *Result {
	out := *last
	out.Source.Ref, out.Image.Ref = source.String(), r.Destinations[0].Ref.String()
	out.Tags = tagsOf(r)
	out.Signatures, out.Attestations = slices.Clone(last.Signatures), slices.Clone(last.Attestations)
	for _, statements := range [][]Statement{out.Signatures, out.Attestations} {
		for i := range statements {
			statements[i].Reused = true
		}
	}
	out.Signature = signatureOf(out.Signatures, out.Image.Digest)
	out.Bytes, out.Seconds = s.bytes(), s.seconds
	return &out
}
