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
	// maxPayload is for what a classic signature signs: some hundreds of bytes.
	maxPayload = 64 << 10
	// maxTotal bounds what is read of all of them together.
	maxTotal = 2 * maxBundle
	// parallelReads hides a registry's latency; more would multiply the memory for large bundles.
	parallelReads = 4
)

// bundlePrefix starts the media type of a bundle of any version.
const bundlePrefix = "application/vnd.dev.sigstore.bundle"

// carrier is what may hold a signed statement, before it is read: a referrer with a bundle, or an entry of a classic list.
type carrier struct {
	image v1.Image
	// digest is what it is called by: that of the referrer, or of the entry.
	digest v1.Hash
	// blob is what is to be read of the image, of at most limit bytes.
	blob  v1.Descriptor
	limit int64
	// predicateType is an annotation, which nobody signed: good for skipping, never for trust. Old entries have none.
	predicateType string
	open          func(v *Verifier, raw []byte, subject v1.Hash) finding
	// unusable is what it means that there is nothing to open.
	unusable func(v *Verifier, format string, args ...any) finding
}

// examine reads and verifies what is signed of an image, in one format or, if that is empty, in both. What want refuses is
// left out; nil wants all. An error says that the repository could not be read; whatever is wrong with what it holds is a
// finding.
func examine(
	ctx context.Context, repo Repository, subject v1.Hash, v *Verifier, format Format, want func(carrier) bool,
) ([]finding, error) {
	var carriers []carrier
	var findings []finding
	for _, list := range []struct {
		format Format
		read   func(context.Context, Repository, v1.Hash) ([]carrier, []finding, error)
	}{{FormatBundle, referrers}, {FormatClassic, entries}} {
		if format != "" && format != list.format {
			continue
		}
		c, f, err := list.read(ctx, repo, subject)
		if err != nil {
			return nil, err
		}
		carriers, findings = append(carriers, c...), append(findings, f...)
	}
	var wanted []carrier
	var total int64
	for _, c := range carriers {
		switch {
		case want != nil && !want(c):
		case c.blob.Size < 0 || c.blob.Size > c.limit:
			findings = append(findings, c.as(c.unusable(v, "a blob of %d bytes, more than %d", c.blob.Size, c.limit)))
		case total+c.blob.Size > maxTotal:
			findings = append(findings, c.as(fail(CheckBundle, "what is signed of this image takes more than %d bytes", maxTotal)))
		default:
			total += c.blob.Size
			wanted = append(wanted, c)
		}
	}
	opened, err := openAll(ctx, wanted, subject, v)
	return append(findings, opened...), err
}

// as is a finding about the carrier.
func (c carrier) as(f finding) finding {
	f.digest = c.digest
	return f
}

// referrers lists the bundles among what refers to an image, and what is wrong with the others.
func referrers(ctx context.Context, repo Repository, subject v1.Hash) ([]carrier, []finding, error) {
	images, err := repo.Referrers(ctx, subject)
	if err != nil {
		return nil, nil, fmt.Errorf("listing what refers to %s: %w", subject, err)
	}
	if len(images) > maxReferrers {
		return nil, []finding{fail(CheckBundle, "%d referrers, more than %d", len(images), maxReferrers)}, nil
	}
	var bundles []carrier
	var findings []finding
	for _, image := range images {
		c, f, err := identify(image)
		switch {
		case err != nil:
			return nil, nil, err
		case f != nil:
			findings = append(findings, *f)
		default:
			bundles = append(bundles, c)
		}
	}
	return bundles, findings, nil
}

func openAll(ctx context.Context, carriers []carrier, subject v1.Hash, v *Verifier) ([]finding, error) {
	findings := make([]finding, len(carriers))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallelReads)
	for i, c := range carriers {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			raw, err := c.read()
			switch {
			case err != nil && unreachable(err):
				return fmt.Errorf("reading what %s holds: %w", c.digest, err)
			case err != nil:
				findings[i] = c.as(c.unusable(v, "unreadable: %v", err))
			default:
				findings[i] = c.as(c.open(v, raw, subject))
			}
			return nil
		})
	}
	return findings, group.Wait()
}

// identify tells whether a referrer is a bundle, by cosign's rule: its only layer says so. The finding is
// set for what is none, or what claims to be one and cannot be.
func identify(image v1.Image) (carrier, *finding, error) {
	raw, err := image.RawManifest()
	if err != nil {
		return carrier{}, nil, fmt.Errorf("reading a referrer's manifest: %w", err)
	}
	digest, _, err := v1.SHA256(bytes.NewReader(raw))
	if err != nil {
		return carrier{}, nil, fmt.Errorf("hashing a referrer's manifest: %w", err)
	}
	about := func(f finding) *finding {
		f.digest = digest
		return &f
	}
	m, err := v1.ParseManifest(bytes.NewReader(raw))
	if err != nil {
		return carrier{}, about(fail(CheckBundle, "malformed manifest: %v", err)), nil
	}
	isBundle := len(m.Layers) == 1 && strings.HasPrefix(string(m.Layers[0].MediaType), bundlePrefix)
	switch {
	case !isBundle && strings.HasPrefix(m.ArtifactType, bundlePrefix):
		return carrier{}, about(fail(CheckBundle, "says that it is a bundle and has none")), nil
	case !isBundle:
		return carrier{}, about(ignore("not a signature bundle: %.100q", m.ArtifactType)), nil
	}
	return carrier{
		limit:         maxBundle,
		image:         image,
		digest:        digest,
		blob:          m.Layers[0],
		predicateType: m.Annotations[annotationPredicate],
		open:          (*Verifier).open,
		unusable: func(_ *Verifier, format string, args ...any) finding {
			return fail(CheckBundle, format, args...)
		},
	}, nil, nil
}

// read returns the blob, of exactly the size and digest that the manifest says.
func (c carrier) read() ([]byte, error) {
	layer, err := c.image.LayerByDigest(c.blob.Digest)
	if err != nil {
		return nil, err
	}
	rc, err := layer.Compressed()
	if err != nil {
		return nil, err
	}
	defer rc.Close()
	raw, err := io.ReadAll(io.LimitReader(rc, c.blob.Size+1))
	if err != nil {
		return nil, err
	}
	if int64(len(raw)) != c.blob.Size {
		return nil, fmt.Errorf("%d bytes or more, where the manifest says %d", len(raw), c.blob.Size)
	}
	digest, _, err := v1.SHA256(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	if digest != c.blob.Digest {
		return nil, fmt.Errorf("content is %s, where the manifest says %s", digest, c.blob.Digest)
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
