package cosign

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"golang.org/x/sync/errgroup"

	"github.com/nanopatch/nanopatch/sign/attest"
)

// Limits of what is read next to one image.
const (
	maxReferrers = 512
	// maxBundle holds the largest statement in base64, the signature and the rest of a bundle.
	maxBundle = attest.MaxSize/3*4 + 1<<20
	// maxTotal bounds what all bundles of an image take together.
	maxTotal = 2 * maxBundle
	// parallelReads hides a registry's latency; more would multiply the memory for large bundles.
	parallelReads = 4
)

// bundlePrefix starts the media type of a bundle of any version.
const bundlePrefix = "application/vnd.dev.sigstore.bundle"

// referrer is a manifest that refers to an image, before its bundle is read.
type referrer struct {
	image  v1.Image
	digest v1.Hash
	bundle v1.Descriptor
	// predicateType is the manifest's annotation, which nobody signed: good for skipping, never for trust.
	predicateType string
}

// examine reads and verifies the bundles among an image's referrers. Those that want refuses are left out; nil
// wants all. An error says that the referrers could not be read; whatever is wrong with one is a finding.
func examine(
	ctx context.Context, repo Repository, subject v1.Hash, v *Verifier, want func(referrer) bool,
) ([]finding, error) {
	images, err := repo.Referrers(ctx, subject)
	if err != nil {
		return nil, fmt.Errorf("listing what refers to %s: %w", subject, err)
	}
	if len(images) > maxReferrers {
		return []finding{fail(CheckBundle, "%d referrers, more than %d", len(images), maxReferrers)}, nil
	}
	findings := make([]finding, 0, len(images))
	var bundles []referrer
	var total int64
	for _, image := range images {
		r, f, err := identify(image)
		switch {
		case err != nil:
			return nil, err
		case f != nil:
			findings = append(findings, *f)
		case want != nil && !want(r):
		case total+r.bundle.Size > maxTotal:
			over := fail(CheckBundle, "the bundles of this image take more than %d bytes", maxTotal)
			over.digest = r.digest
			findings = append(findings, over)
		default:
			total += r.bundle.Size
			bundles = append(bundles, r)
		}
	}
	opened, err := openAll(ctx, bundles, subject, v)
	return append(findings, opened...), err
}

func openAll(ctx context.Context, bundles []referrer, subject v1.Hash, v *Verifier) ([]finding, error) {
	findings := make([]finding, len(bundles))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallelReads)
	for i, r := range bundles {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			raw, err := r.read()
			switch {
			case err != nil && unreachable(err):
				return fmt.Errorf("reading the bundle of %s: %w", r.digest, err)
			case err != nil:
				findings[i] = fail(CheckBundle, "unreadable: %v", err)
			default:
				findings[i] = v.open(raw, subject)
			}
			findings[i].digest = r.digest
			return nil
		})
	}
	return findings, group.Wait()
}

// identify tells whether a referrer is a bundle, by cosign's rule: its only layer says so. The finding is
// set for what is none, or what claims to be one and cannot be.
func identify(image v1.Image) (referrer, *finding, error) {
	raw, err := image.RawManifest()
	if err != nil {
		return referrer{}, nil, fmt.Errorf("reading a referrer's manifest: %w", err)
	}
	digest, _, err := v1.SHA256(bytes.NewReader(raw))
	if err != nil {
		return referrer{}, nil, fmt.Errorf("hashing a referrer's manifest: %w", err)
	}
	about := func(f finding) *finding {
		f.digest = digest
		return &f
	}
	m, err := v1.ParseManifest(bytes.NewReader(raw))
	if err != nil {
		return referrer{}, about(fail(CheckBundle, "malformed manifest: %v", err)), nil
	}
	isBundle := len(m.Layers) == 1 && strings.HasPrefix(string(m.Layers[0].MediaType), bundlePrefix)
	switch {
	case !isBundle && strings.HasPrefix(m.ArtifactType, bundlePrefix):
		return referrer{}, about(fail(CheckBundle, "says that it is a bundle and has none")), nil
	case !isBundle:
		return referrer{}, about(ignore("not a signature bundle: %.100q", m.ArtifactType)), nil
	case m.Layers[0].Size < 0 || m.Layers[0].Size > maxBundle:
		return referrer{}, about(fail(CheckBundle, "a bundle of %d bytes, more than %d", m.Layers[0].Size, maxBundle)), nil
	}
	return referrer{
		image:         image,
		digest:        digest,
		bundle:        m.Layers[0],
		predicateType: m.Annotations[annotationPredicate],
	}, nil, nil
}

// read returns the bundle, of exactly the size and digest that the manifest says.
func (r referrer) read() ([]byte, error) {
	layer, err := r.image.LayerByDigest(r.bundle.Digest)
	if err != nil {
		return nil, err
	}
	rc, err := layer.Compressed()
	if err != nil {
		return nil, err
	}
	defer rc.Close()
	raw, err := io.ReadAll(io.LimitReader(rc, r.bundle.Size+1))
	if err != nil {
		return nil, err
	}
	if int64(len(raw)) != r.bundle.Size {
		return nil, fmt.Errorf("%d bytes or more, where the manifest says %d", len(raw), r.bundle.Size)
	}
	digest, _, err := v1.SHA256(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	if digest != r.bundle.Digest {
		return nil, fmt.Errorf("content is %s, where the manifest says %s", digest, r.bundle.Digest)
	}
	return raw, nil
}

// unreachable tells a repository that does not answer from one that answers with damaged or missing content.
func unreachable(err error) bool {
	var answer *transport.Error
	if errors.As(err, &answer) {
		return answer.StatusCode != http.StatusNotFound
	}
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
