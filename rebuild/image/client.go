package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// Client opens and writes images for one run. It is safe for concurrent use.
type Client struct {
	opts   Options
	hosts  plainHosts
	counts *counts
	puller *remote.Puller
	pusher *remote.Pusher
	// slots bounds how many blobs are written at once, over all images.
	slots chan struct{}

	mu sync.Mutex
	// repositories holds each one once: what it knows and locks must be shared.
	repositories map[string]Repository
	// archives are those that images are read from.
	archives []io.Closer
}

// New makes a client. Options that cannot be are [ErrUsage].
func New(opts Options) (*Client, error) {
	opts = opts.withDefaults()
	if err := checkMirrors(opts.Mirrors); err != nil {
		return nil, err
	}
	network, err := opts.network()
	if err != nil {
		return nil, err
	}
	c := &Client{
		opts: opts, hosts: newPlainHosts(opts.InsecureRegistries), counts: &counts{},
		slots: make(chan struct{}, opts.Jobs), repositories: make(map[string]Repository),
	}
	options := []remote.Option{
		remote.WithTransport(newTransport(network, opts, c.hosts, c.counts)),
		remote.WithAuthFromKeychain(opts.Keychain),
		remote.WithUserAgent(opts.UserAgent),
		remote.WithJobs(opts.Jobs),
		// Trying again is our own business; see the package's documentation.
		remote.WithRetryStatusCodes(),
		remote.WithRetryPredicate(func(error) bool { return false }),
		remote.WithRetryBackoff(remote.Backoff{Steps: 1}),
	}
	if c.puller, err = remote.NewPuller(options...); err != nil {
		return nil, fmt.Errorf("setting up the registry client: %w", err)
	}
	if c.pusher, err = remote.NewPusher(options...); err != nil {
		return nil, fmt.Errorf("setting up the registry client: %w", err)
	}
	return c, nil
}

// Close ends all reading of archives. Images opened from them can no longer be read.
func (c *Client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs []error
	for _, a := range c.archives {
		errs = append(errs, a.Close())
	}
	c.archives = nil
	return errors.Join(errs...)
}

// Traffic is what has moved so far.
func (c *Client) Traffic() Traffic { return c.counts.traffic() }

// Repository is a place that holds images and what refers to them: a registry's repository, an OCI layout, an archive, a
// daemon. An archive is written whole, and a daemon given an image, when a tag is moved: until then, and as far as this
// client can see, what was pushed is there by its digest.
// Implementations are safe for concurrent use, also by several processes.
type Repository interface {
	// String names the place: "registry.example/app", "oci:DIR".
	String() string
	// Push writes an image under its digest, content before manifest, and returns its descriptor. No tag moves. Content
	// that is there already is not written again. Registries do not get layers that may not be distributed (media types
	// "foreign" and "nondistributable"), as with docker; layouts, archives and daemons do, and are whole.
	Push(ctx context.Context, img v1.Image) (v1.Descriptor, error)
	// PushIndex writes an index and everything in it, children first.
	PushIndex(ctx context.Context, idx v1.ImageIndex) (v1.Descriptor, error)
	// Tag lets tags name what was pushed, in order. A tag that already does is left alone, so tagging twice works with
	// immutable tags too. A tag that the registry does not let move is [ErrImmutableTag].
	Tag(ctx context.Context, digest v1.Hash, tags ...string) error
	// Attach writes an artifact, such as a signature, that refers to subject. An artifact that has no subject of its
	// own gets this one; another is [ErrInvalid]. After it returns, Referrers lists the artifact.
	Attach(ctx context.Context, subject v1.Descriptor, artifact v1.Image) error
	// Referrers returns what refers to a digest, sorted by digest. Nothing is no error. The images are read while ctx
	// lives; neither they nor their number can be trusted: anyone who may push may attach.
	Referrers(ctx context.Context, subject v1.Hash) ([]v1.Image, error)
}

// Repository returns the place that a reference names, tag and digest aside. Nothing is created or asked yet.
func (c *Client) Repository(ref Ref) (Repository, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r, ok := c.repositories[ref.place()]; ok {
		return r, nil
	}
	var made Repository
	switch ref.Transport {
	case Registry:
		repo, err := c.repositoryName(ref)
		if err != nil {
			return nil, err
		}
		made = &registryRepository{
			c: c, repo: repo, place: ref.place(), manifests: make(map[v1.Hash]manifest), whole: make(map[v1.Hash]bool),
		}
	case Layout:
		made = newLayoutRepository(c, ref.Repository)
	case LayoutArchive, DockerArchive, DockerDaemon:
		made = newArchiveRepository(c, ref)
	default:
		return nil, usageError(ref.String(), fmt.Sprintf("unknown transport %q", ref.Transport), "")
	}
	c.repositories[ref.place()] = made
	return made, nil
}

// repositoryName is a registry's repository as go-containerregistry wants it.
func (c *Client) repositoryName(ref Ref) (name.Repository, error) {
	repo, err := name.NewRepository(ref.Repository)
	if err == nil && c.hosts.allows(repo.RegistryStr()) {
		repo, err = name.NewRepository(ref.Repository, name.Insecure)
	}
	if err != nil {
		return name.Repository{}, &Error{Kind: ErrUsage, Ref: ref.String(), What: "not a repository: " + err.Error(), Cause: err}
	}
	return repo, nil
}

// try runs an operation, again as long as it fails for now.
func (c *Client) try(ctx context.Context, what string, f func(context.Context) error) error {
	return c.opts.Retry.do(ctx, c.opts.Logger, what, f)
}

// slot waits for leave to move a blob; the caller calls release when done.
func (c *Client) slot(ctx context.Context) (release func(), err error) {
	select {
	case c.slots <- struct{}{}:
		return func() { <-c.slots }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
