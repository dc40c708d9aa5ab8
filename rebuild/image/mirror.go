package image

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"net"
	"slices"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// Mirrors are the places that are asked for images of a registry, or of a part of it, before the registry itself, in order,
// as in containers-registries.conf(5). Only [Client.Open] asks them. What they hold is believed as far as a registry is:
// content must have its digest, and a tag means what the mirror says, which may be old.
type Mirrors struct {
	// Prefix is what they are for: "host[:port]" and, for a part, path elements. Of several, the longest that fits counts.
	Prefix  string
	Mirrors []Mirror
}

// Mirror is one place; it takes the prefix's place in the image's name.
type Mirror struct {
	// Location is "host[:port]" and path elements. Plain HTTP needs the host in Options.InsecureRegistries.
	Location string
	// Pull says for which references it is asked; empty is [MirrorAll].
	Pull MirrorPull
}

// MirrorPull is which references a mirror is asked for.
type MirrorPull string

// The kinds of MirrorPull, named as in containers-registries.conf(5).
const (
	MirrorAll        MirrorPull = "all"
	MirrorDigestOnly MirrorPull = "digest-only"
	MirrorTagOnly    MirrorPull = "tag-only"
)

// fits tells whether a mirror is asked for a reference.
func (p MirrorPull) fits(ref Ref) bool {
	switch p {
	case MirrorDigestOnly:
		return ref.ByDigest()
	case MirrorTagOnly:
		return !ref.ByDigest()
	}
	return true
}

// checkMirrors refuses names that nothing can be fetched from.
func checkMirrors(all []Mirrors) error {
	for _, m := range all {
		if err := checkPrefix(m.Prefix); err != nil {
			return err
		}
		for _, at := range m.Mirrors {
			if err := checkPrefix(at.Location); err != nil {
				return err
			}
			if !slices.Contains([]MirrorPull{"", MirrorAll, MirrorDigestOnly, MirrorTagOnly}, at.Pull) {
				return usageError(at.Location, fmt.Sprintf("unknown kind of mirror %q", at.Pull), "use all, digest-only or tag-only")
			}
		}
	}
	return nil
}

// checkPrefix wants "host[:port]" and path elements in the form that names of images have.
func checkPrefix(prefix string) error {
	full := canonicalPrefix(prefix) + "/x"
	repo, err := name.NewRepository(full)
	if err == nil && (repo.Name() != full || strings.Contains(full, "//")) {
		err = errors.New("it begins with no host, or with more than that")
	}
	if err != nil {
		return &Error{
			Kind: ErrUsage, Ref: prefix, What: "not a registry or a part of one: " + err.Error(), Cause: err,
			Hint: "write host[:port], or host[:port]/path",
		}
	}
	return nil
}

// canonicalPrefix is a prefix in the words of Ref.Repository, with a host in lower case, which hosts are the same in.
func canonicalPrefix(prefix string) string {
	host, path, _ := strings.Cut(strings.TrimSuffix(prefix, "/"), "/")
	if host = strings.ToLower(host); host == "docker.io" {
		host = name.DefaultRegistry
	}
	return strings.TrimSuffix(host+"/"+path, "/")
}

// mirrorsOf lists where a reference is looked for first.
func (c *Client) mirrorsOf(ref Ref) []Ref {
	var best string
	var found []Mirror
	repository := canonicalPrefix(ref.Repository)
	for _, m := range c.opts.Mirrors {
		prefix := canonicalPrefix(m.Prefix)
		if (repository == prefix || strings.HasPrefix(repository, prefix+"/")) && len(prefix) > len(best) {
			best, found = prefix, m.Mirrors
		}
	}
	var refs []Ref
	for _, m := range found {
		if !m.Pull.fits(ref) {
			continue
		}
		at := Ref{Transport: Registry, Repository: canonicalPrefix(m.Location) + strings.TrimPrefix(repository, best)}
		if ref.ByDigest() {
			at = at.WithDigest(ref.Digest)
		} else {
			at = at.WithTag(ref.Tag)
		}
		refs = append(refs, at)
	}
	return refs
}

// openMirrored asks the mirrors of an image, and then its registry, which is the one whose error counts.
func (c *Client) openMirrored(ctx context.Context, ref Ref) (opened, error) {
	for _, at := range c.mirrorsOf(ref) {
		out, err := c.openRegistry(ctx, at)
		if err == nil {
			c.opts.Logger.DebugContext(ctx, "found in a mirror", "image", ref.String(), "mirror", at.Repository)
			return c.mirrored(ctx, ref, out)
		}
		if ctx.Err() != nil {
			return opened{}, err
		}
		c.opts.Logger.WarnContext(ctx, "a mirror cannot serve an image", "image", ref.String(), "mirror", at.Repository, "error", err)
	}
	return c.openRegistry(ctx, ref)
}

// mirrored is what a mirror holds, with the registry itself behind it.
func (c *Client) mirrored(ctx context.Context, ref Ref, out opened) (opened, error) {
	repo, err := c.repositoryName(ref)
	if err != nil {
		return opened{}, err
	}
	o := &origin{c: c, ctx: ctx, repo: repo, bad: make(map[v1.Hash]bool)}
	if out.image != nil {
		out.image = &mirroredImage{Image: out.image, origin: o}
	}
	if out.index != nil {
		out.index = &mirroredIndex{anIndex: out.index, origin: o}
	}
	return out, nil
}

// origin is the registry that a mirror stands for.
type origin struct {
	c    *Client
	ctx  context.Context //nolint:containedctx // an opened image is read while the context of Open lives
	repo name.Repository

	mu sync.Mutex
	// bad are the layers that the mirror began to give and then did not, or gave wrong.
	bad map[v1.Hash]bool
}

func (o *origin) isBad(digest v1.Hash) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.bad[digest]
}

// failed notes that the mirror did not give a layer to its end.
func (o *origin) failed(digest v1.Hash, err error) {
	if o.ctx.Err() != nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.bad[digest] {
		return
	}
	o.bad[digest] = true
	o.c.opts.Logger.WarnContext(o.ctx, "a mirror fails to give a part of an image", "image", o.repo.String(), "part", digest.String(), "error", err)
}

func (o *origin) get(digest v1.Hash) (*remote.Descriptor, error) {
	return o.c.puller.Get(o.ctx, o.repo.Digest(digest.String()))
}

// missed notes what a mirror lacks, and tells whether the registry is to be asked.
func (o *origin) missed(digest v1.Hash, err error) bool {
	if o.ctx.Err() != nil {
		return false
	}
	o.c.opts.Logger.WarnContext(o.ctx, "a mirror lacks a part of an image", "image", o.repo.String(), "part", digest.String(), "error", err)
	return true
}

// image is the registry's own.
func (o *origin) image(h v1.Hash) (v1.Image, error) {
	desc, err := o.get(h)
	if err != nil {
		return nil, err
	}
	return desc.Image()
}

// anIndex is v1.ImageIndex under a name that none of its methods has.
type anIndex interface{ v1.ImageIndex }

type mirroredIndex struct {
	anIndex
	origin *origin
}

func (i *mirroredIndex) Image(h v1.Hash) (v1.Image, error) {
	img, err := i.anIndex.Image(h)
	switch {
	case err == nil:
		return &mirroredImage{Image: img, origin: i.origin}, nil
	case i.origin.missed(h, err):
		return i.origin.image(h)
	}
	return nil, err
}

func (i *mirroredIndex) ImageIndex(h v1.Hash) (v1.ImageIndex, error) {
	idx, err := i.anIndex.ImageIndex(h)
	switch {
	case err == nil:
		return &mirroredIndex{anIndex: idx, origin: i.origin}, nil
	case i.origin.missed(h, err):
		desc, err := i.origin.get(h)
		if err != nil {
			return nil, err
		}
		return desc.ImageIndex()
	}
	return nil, err
}

type mirroredImage struct {
	v1.Image
	origin *origin

	mu     sync.Mutex
	config []byte // nil until it was read
}

// RawConfigFile remembers what was right: of a config that it found wrong, remote has the bytes ready the next time.
func (i *mirroredImage) RawConfigFile() ([]byte, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.config != nil {
		return i.config, nil
	}
	manifest, err := i.Manifest()
	if err != nil {
		return nil, err
	}
	raw, err := i.Image.RawConfigFile()
	if err == nil {
		err = checkBytes(i.origin.repo.String(), raw, manifest.Config.Digest)
	}
	if err != nil {
		if raw, err = i.ownConfig(err); err != nil {
			return nil, err
		}
	}
	i.config = raw
	return raw, nil
}

// ownConfig reads the registry's, after the mirror's error.
func (i *mirroredImage) ownConfig(err error) ([]byte, error) {
	digest, digestErr := i.Digest()
	if digestErr != nil || !i.origin.missed(digest, err) {
		return nil, err
	}
	img, err := i.origin.image(digest)
	if err != nil {
		return nil, err
	}
	return img.RawConfigFile()
}

func (i *mirroredImage) ConfigFile() (*v1.ConfigFile, error) { return partial.ConfigFile(i) }

func (i *mirroredImage) Layers() ([]v1.Layer, error) {
	layers, err := i.Image.Layers()
	if err != nil {
		return nil, err
	}
	for n, l := range layers {
		if layers[n], err = i.layer(l); err != nil {
			return nil, err
		}
	}
	return layers, nil
}

func (i *mirroredImage) LayerByDigest(h v1.Hash) (v1.Layer, error) {
	l, err := i.Image.LayerByDigest(h)
	if err != nil {
		return nil, err
	}
	return i.layer(l)
}

func (i *mirroredImage) LayerByDiffID(h v1.Hash) (v1.Layer, error) {
	digest, err := partial.DiffIDToBlob(i, h)
	if err != nil {
		return nil, err
	}
	return i.LayerByDigest(digest)
}

// layer can be mounted from the registry that the image is named after, which is where a copy of it goes most often.
func (i *mirroredImage) layer(l v1.Layer) (v1.Layer, error) {
	if m, ok := l.(*remote.MountableLayer); ok {
		l = m.Layer
	}
	digest, err := l.Digest()
	if err != nil {
		return nil, err
	}
	whole, err := partial.CompressedToLayer(&mirroredLayer{CompressedLayer: l, digest: digest, image: i, origin: i.origin})
	if err != nil {
		return nil, err
	}
	return &remote.MountableLayer{Layer: whole, Reference: i.origin.repo.Digest(digest.String())}, nil
}

// mirroredLayer is only what the manifest and its own Compressed tell: a mirror's layer would inflate the mirror's bytes, and
// look its diffID up in the mirror's config.
type mirroredLayer struct {
	partial.CompressedLayer
	digest v1.Hash
	image  *mirroredImage
	origin *origin
}

// DiffID is what the image's config says.
func (l *mirroredLayer) DiffID() (v1.Hash, error) { return partial.BlobToDiffID(l.image, l.digest) }

func (l *mirroredLayer) Compressed() (io.ReadCloser, error) {
	if l.origin.isBad(l.digest) {
		return l.own()
	}
	rc, err := l.CompressedLayer.Compressed()
	if err == nil {
		return &mirroredReader{rc: rc, layer: l, sum: sha256.New()}, nil
	}
	if !l.origin.missed(l.digest, err) {
		return nil, err
	}
	return l.own()
}

// own reads the registry's.
func (l *mirroredLayer) own() (io.ReadCloser, error) {
	own, err := l.origin.c.puller.Layer(l.origin.ctx, l.origin.repo.Digest(l.digest.String()))
	if err != nil {
		return nil, err
	}
	return own.Compressed()
}

// mirroredReader reads a mirror's layer, and the rest of the registry's where that breaks off. What is wrong shows at the end
// only, when all of it was read: who tries again gets the registry's.
type mirroredReader struct {
	layer *mirroredLayer
	// at and sum are of what was read so far.
	at  int64
	sum hash.Hash
	own bool
	err error // for good

	mu     sync.Mutex // Close may come in the middle of a Read, to end it
	rc     io.ReadCloser
	closed bool
}

func (r *mirroredReader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	return r.rc.Close()
}

func (r *mirroredReader) isClosed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.closed
}

func (r *mirroredReader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	n, err := r.rc.Read(p)
	r.at += int64(n)
	r.sum.Write(p[:n])
	if err == nil || err == io.EOF || r.own || r.isClosed() || r.layer.origin.ctx.Err() != nil {
		return n, err
	}
	r.layer.origin.failed(r.layer.digest, err)
	if isContent(err) {
		r.err = &mirrorError{err}
	} else {
		r.err = r.change()
	}
	return n, r.err
}

// change goes on with the registry's layer, if that begins as the mirror's did.
func (r *mirroredReader) change() error {
	own, err := r.layer.own()
	if err != nil {
		return err
	}
	r.mu.Lock()
	_ = r.rc.Close()
	r.rc, r.own = own, true
	closed := r.closed
	r.mu.Unlock()
	if closed {
		return errors.Join(net.ErrClosed, own.Close())
	}
	begin := sha256.New()
	_, err = io.CopyN(begin, own, r.at)
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	if err == nil && !bytes.Equal(begin.Sum(nil), r.sum.Sum(nil)) {
		err = &mirrorError{errors.New("it does not begin as the registry's")}
	}
	return err
}

// mirrorError is wrong content of a mirror, in whose place the registry is asked the next time.
type mirrorError struct{ err error }

func (e *mirrorError) Error() string { return "from a mirror: " + e.err.Error() }
func (e *mirrorError) Unwrap() error { return e.err }
