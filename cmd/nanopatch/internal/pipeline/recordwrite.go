package pipeline

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/klauspost/compress/gzip"

	"github.com/nanopatch/nanopatch/rebuild/image"
	"github.com/nanopatch/nanopatch/sign/attest"
	"github.com/nanopatch/nanopatch/sign/cosign"
)

// remember writes the record of a run that is over, last of all. A run without one has done its work all the same, so
// what goes wrong here is only said.
func (s *Session) remember(ctx context.Context, planned *Planned, r *Request, about v1.Descriptor, result *Result) error {
	rec, ok := s.recordOf(planned, r, result)
	if !ok {
		return nil
	}
	done := s.stage("record")
	written := 0
	for _, d := range r.Destinations {
		if d.Ref.Transport != image.Registry {
			continue
		}
		rec.Repository = d.Ref.WithTag("").String()
		err := s.writeRecord(ctx, d.Ref, about, rec, r.Signer)
		if ctx.Err() != nil {
			return err
		}
		if err != nil {
			s.cfg.Logger.WarnContext(ctx, "the run left no record, so the next one will do all of it again", "error", err)
			continue
		}
		written++
	}
	done(count(written, "record"))
	return nil
}

// recordOf describes a run, if another one with the same inputs would come to the same.
func (s *Session) recordOf(planned *Planned, r *Request, result *Result) (*record, bool) {
	asked, ok := s.asked(planned.platforms, planned.updates, r)
	if !ok {
		return nil, false
	}
	inputs, complete := s.packages.Consulted()
	if !complete {
		return nil, false
	}
	rec := &record{Tool: s.cfg.Version, Asked: asked, Source: result.Source.Digest, Inputs: []recordInput{}, Result: result}
	for _, in := range inputs {
		if secretive(in.URL) {
			return nil, false
		}
		input := recordInput{URL: in.URL}
		if !in.Absent {
			input.SHA256 = hex.EncodeToString(in.SHA256[:])
		}
		rec.Inputs = append(rec.Inputs, input)
	}
	for _, job := range planned.Jobs {
		until, lasting := job.Lasting()
		if !lasting {
			return nil, false
		}
		if !until.IsZero() && (rec.Until == nil || until.Before(*rec.Until)) {
			rec.Until = &until
		}
	}
	return rec, true
}

// secretive tells whether a URL may hold a login: a record is for everyone, so a run that needed one leaves none.
func secretive(raw string) bool {
	u, err := url.Parse(raw)
	return err != nil || u.User != nil || u.RawQuery != ""
}

func (s *Session) writeRecord(ctx context.Context, at image.Ref, about v1.Descriptor, rec *record, signer cosign.Signer) error {
	predicate, err := encodeRecord(rec)
	if err != nil {
		return fmt.Errorf("encoding the record: %w", err)
	}
	statement, err := attest.New(about.Digest, attest.PredicateRecord, predicate)
	if err != nil {
		return err
	}
	apart := &asideRepository{}
	opts := cosign.SignOptions{Signer: signer, Created: s.cfg.Now(), Logger: s.cfg.Logger}
	if _, err := cosign.Attest(ctx, apart, about, opts, statement); err != nil {
		return err
	}
	artifact, err := withoutSubject(apart.images[0])
	if err != nil {
		return err
	}
	repo, err := s.images.Repository(at)
	if err != nil {
		return err
	}
	desc, err := repo.Push(ctx, artifact)
	if err != nil {
		return err
	}
	return repo.Tag(ctx, desc.Digest, recordTag(about.Digest))
}

// readRecord reads and verifies the record of an image.
func (s *Session) readRecord(ctx context.Context, at image.Ref, digest v1.Hash, signer cosign.Signer) (*record, error) {
	artifact, err := s.images.Artifact(ctx, at.WithTag(recordTag(digest)))
	if errors.Is(err, image.ErrNotFound) {
		return nil, changed("%s has no record", digest)
	}
	if err != nil {
		return nil, err
	}
	manifest, err := artifact.Manifest()
	if err != nil {
		return nil, err
	}
	if len(manifest.Layers) != 1 || manifest.Layers[0].Size > maxRecord {
		return nil, changed("%s has no record of a usable form", digest)
	}
	verifier, err := cosign.VerifierOf(ctx, signer)
	if err != nil {
		return nil, err
	}
	report, err := cosign.Verify(ctx, &asideRepository{images: []v1.Image{artifact}}, digest, cosign.VerifyOptions{
		Verifier: verifier, Require: []string{attest.PredicateRecord}, Logger: s.cfg.Logger,
	})
	// That there is no signature of the image in it fails the report, and is as it should be.
	if report == nil {
		return nil, err
	}
	statements := report.Statements(attest.PredicateRecord)
	if len(statements) != 1 {
		return nil, changed("the record is not signed by this key")
	}
	rec, err := decodeRecord(statements[0].Predicate)
	if err != nil {
		return nil, changed("the record cannot be read: %v", err)
	}
	if rec.Result.Image.Digest != digest {
		return nil, changed("the record is of another image")
	}
	return rec, nil
}

func encodeRecord(rec *record) ([]byte, error) {
	var packed bytes.Buffer
	z, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(json.NewEncoder(z).Encode(rec.Result), z.Close()); err != nil {
		return nil, err
	}
	out := *rec
	out.Report = packed.Bytes()
	return json.Marshal(out)
}

func decodeRecord(raw []byte) (*record, error) {
	rec := &record{}
	if err := json.Unmarshal(raw, rec); err != nil {
		return nil, err
	}
	z, err := gzip.NewReader(bytes.NewReader(rec.Report))
	if err != nil {
		return nil, fmt.Errorf("its report: %w", err)
	}
	report, err := io.ReadAll(io.LimitReader(z, maxReport+1))
	if err != nil {
		return nil, fmt.Errorf("its report: %w", err)
	}
	if len(report) > maxReport {
		return nil, fmt.Errorf("its report is larger than %d MiB", maxReport>>20)
	}
	rec.Result = &Result{}
	if err := json.Unmarshal(report, rec.Result); err != nil {
		return nil, fmt.Errorf("its report: %w", err)
	}
	return rec, nil
}

// asideRepository takes what is attached and keeps it apart from all registries.
type asideRepository struct{ images []v1.Image }

// Attach implements cosign.Repository.
func (r *asideRepository) Attach(_ context.Context, _ v1.Descriptor, artifact v1.Image) error {
	r.images = append(r.images, artifact)
	return nil
}

// Referrers implements cosign.Repository.
func (r *asideRepository) Referrers(context.Context, v1.Hash) ([]v1.Image, error) {
	return r.images, nil
}

// withoutSubject takes a bundle's manifest out of the list of what refers to its image.
func withoutSubject(img v1.Image) (v1.Image, error) {
	manifest, err := img.Manifest()
	if err != nil {
		return nil, err
	}
	manifest.Subject = nil
	raw, err := json.Marshal(manifest)
	if err != nil {
		return nil, err
	}
	return partial.CompressedToImage(&recordImage{Image: img, manifest: raw})
}

// recordImage is an image under another manifest.
type recordImage struct {
	v1.Image
	manifest []byte
}

func (r *recordImage) RawManifest() ([]byte, error) { return r.manifest, nil }

func (r *recordImage) LayerByDigest(h v1.Hash) (partial.CompressedLayer, error) {
	return r.Image.LayerByDigest(h)
}

// maxFile bounds a file that an option names and whose content is part of what was asked.
const maxFile = 64 << 20

// fileDigest is the hash of what an option names, if that is a file, or of the files in a directory of keys. What is
// neither is named by a URL, whose content is among the inputs.
func fileDigest(name string) (string, error) {
	info, err := os.Stat(name)
	if err != nil {
		return "", nil //nolint:nilerr // no file: its content is no part of it
	}
	files := []string{name}
	if info.IsDir() {
		entries, err := os.ReadDir(name)
		if err != nil {
			return "", err
		}
		files = files[:0]
		for _, e := range entries {
			files = append(files, filepath.Join(name, e.Name()))
		}
	}
	sum := sha256.New()
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			return "", err
		}
		if !info.Mode().IsRegular() {
			continue
		}
		if info.Size() > maxFile {
			return "", fmt.Errorf("%s is too large to be compared", file)
		}
		f, err := os.Open(file)
		if err != nil {
			return "", err
		}
		_, err = io.Copy(sum, f)
		if err := errors.Join(err, f.Close()); err != nil {
			return "", err
		}
		sum.Write([]byte("\x00" + file + "\x00"))
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
