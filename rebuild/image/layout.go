package image

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// refName is the annotation of an index.json entry that holds its tag (OCI image spec, annotations.md).
const refName = "org.opencontainers.image.ref.name"

// layout reads an OCI image layout (OCI image spec, image-layout.md): a directory, or the same in an archive.
type layout struct {
	// place is its name in messages.
	place string
	files files
}

// files are a layout's files, by their slash-separated paths.
type files interface {
	// open returns a regular file and its size. One that is not there is fs.ErrNotExist.
	open(path string) (io.ReadCloser, int64, error)
}

func directory(dir string) layout {
	return layout{place: string(Layout) + ":" + dir, files: dirFiles(dir)}
}

func (l layout) String() string { return l.place }

// open finds the image that a reference names: a digest, a tag, or the only image there is.
func (l layout) open(ref Ref) (opened, error) {
	raw, err := l.readIndex()
	if err != nil {
		return opened{}, err
	}
	digest := ref.Digest
	if !ref.ByDigest() {
		manifest, err := v1.ParseIndexManifest(bytes.NewReader(raw))
		if err != nil {
			return opened{}, &Error{Kind: ErrInvalid, Ref: l.String(), What: "index.json cannot be read: " + err.Error(), Cause: err}
		}
		if digest, err = l.find(ref, manifest.Manifests); err != nil {
			return opened{}, err
		}
	}
	return l.openDigest(digest)
}

func (l layout) openDigest(digest v1.Hash) (opened, error) {
	raw, desc, err := l.readManifest(digest)
	if err != nil {
		return opened{}, err
	}
	out := opened{desc: desc}
	if desc.MediaType.IsIndex() {
		out.index, err = l.index(raw, desc)
	} else {
		out.image, err = l.image(raw, desc)
	}
	return out, err
}

// find picks an entry of index.json by tag; without a tag, the only one that is an image.
func (l layout) find(ref Ref, entries []v1.Descriptor) (v1.Hash, error) {
	if ref.Tag != "" {
		for _, e := range entries {
			if e.Annotations[refName] == ref.Tag {
				return e.Digest, nil
			}
		}
		return v1.Hash{}, &Error{
			Kind: ErrNotFound, Ref: ref.String(), What: "the layout has no tag " + ref.Tag, Hint: tagHint(entries),
		}
	}
	images := make(map[v1.Hash]bool)
	var last v1.Hash
	for _, e := range entries {
		ok, err := l.isImage(e)
		if err != nil {
			return v1.Hash{}, err
		}
		if ok {
			images[e.Digest], last = true, e.Digest
		}
	}
	switch len(images) {
	case 1:
		return last, nil
	case 0:
		return v1.Hash{}, &Error{Kind: ErrNotFound, Ref: ref.String(), What: "the layout holds no image"}
	default:
		return v1.Hash{}, usageError(ref.String(), fmt.Sprintf("the layout holds %d images", len(images)), tagHint(entries))
	}
}

// tagHint lists the tags that one might have meant.
func tagHint(entries []v1.Descriptor) string {
	const most = 10
	var tags []string
	for _, e := range entries {
		if tag := e.Annotations[refName]; tag != "" && !fallbackTag.MatchString(tag) && len(tags) < most {
			tags = append(tags, tag)
		}
	}
	if len(tags) == 0 {
		return "name it by its digest: @sha256:…"
	}
	return "name one by its tag; tags are " + strings.Join(tags, ", ")
}

// fallbackTag is a tag that stands for what refers to a digest: the fallback of the OCI distribution spec ("Referrers
// Tag Schema") and cosign's .sig, .att and .sbom.
var fallbackTag = regexp.MustCompile(`^sha256-[0-9a-f]{64}(\.[a-z]+)?$`)

// isImage tells whether an entry of index.json is an image or index, not something that refers to one.
func (l layout) isImage(e v1.Descriptor) (bool, error) {
	tag := e.Annotations[refName]
	switch {
	case fallbackTag.MatchString(tag):
		return false, nil
	case e.MediaType.IsIndex():
		return e.ArtifactType == "", nil
	case !e.MediaType.IsImage():
		return false, nil
	}
	raw, _, err := l.readManifest(e.Digest)
	if err != nil {
		return false, err
	}
	manifest, err := v1.ParseManifest(bytes.NewReader(raw))
	if err != nil {
		return false, &Error{Kind: ErrInvalid, Ref: l.String(), What: e.Digest.String() + " cannot be read: " + err.Error(), Cause: err}
	}
	// An image may have a subject; if nobody gave it a tag, it is there because of the subject.
	return manifest.Config.MediaType.IsConfig() && manifest.ArtifactType == "" && (manifest.Subject == nil || tag != ""), nil
}

// readIndex returns index.json.
func (l layout) readIndex() ([]byte, error) {
	raw, err := l.readFile(indexFile, maxManifest)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &Error{
			Kind: ErrNotFound, Ref: l.String(), What: "no OCI image layout (index.json) there", Cause: err,
			Hint: "check the path",
		}
	case err != nil:
		return nil, l.fileError(err)
	}
	return raw, nil
}

// readManifest returns a manifest or index, checked, and its descriptor.
func (l layout) readManifest(digest v1.Hash) ([]byte, v1.Descriptor, error) {
	raw, err := l.readBlob(digest, maxManifest)
	if err != nil {
		return nil, v1.Descriptor{}, err
	}
	mediaType, err := mediaTypeOf(l.String(), raw, "")
	if err != nil {
		return nil, v1.Descriptor{}, err
	}
	return raw, v1.Descriptor{MediaType: mediaType, Size: int64(len(raw)), Digest: digest}, nil
}

// readBlob returns a small blob, checked.
func (l layout) readBlob(digest v1.Hash, limit int64) ([]byte, error) {
	raw, err := l.readFile(blobFile(digest), limit)
	if err != nil {
		return nil, l.blobError(digest, err)
	}
	return raw, checkBytes(l.String(), raw, digest)
}

// The names of a layout's files (OCI image spec, image-layout.md).
const (
	indexFile  = "index.json"
	markerFile = "oci-layout"
	blobFiles  = "blobs/"
)

// blobFile is safe: a v1.Hash has a known algorithm and hexadecimal digits.
func blobFile(digest v1.Hash) string { return blobFiles + digest.Algorithm + "/" + digest.Hex }

func (l layout) blobError(digest v1.Hash, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return &Error{
			Kind: ErrNotFound, Ref: l.String(), What: "the layout has no blob " + digest.String(), Cause: err,
			Hint: "check the digest, or copy the image again",
		}
	}
	return l.fileError(err)
}

func (l layout) fileError(err error) error {
	var typed *Error
	switch {
	case errors.As(err, &typed):
		return err
	case errors.Is(err, fs.ErrPermission):
		return &Error{Kind: ErrUnauthorized, Ref: l.String(), What: err.Error(), Cause: err, Hint: "check the permissions"}
	}
	return fmt.Errorf("%s: %w", l, err)
}

// readFile reads a file of bounded size.
func (l layout) readFile(path string, limit int64) ([]byte, error) {
	f, size, err := l.files.open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if size > limit {
		return nil, invalidError(l.String(), "%s has %d bytes, too many", path, size)
	}
	return io.ReadAll(io.LimitReader(f, limit))
}

// dirFiles are the files of a directory.
type dirFiles string

func (d dirFiles) path(path string) string { return filepath.Join(string(d), filepath.FromSlash(path)) }

// open does not open pipes and devices, on which a read might never end.
func (d dirFiles) open(path string) (io.ReadCloser, int64, error) {
	f, size, err := openRegular(d.path(path))
	if err != nil {
		return nil, 0, err
	}
	return f, size, nil
}

func openRegular(path string) (*os.File, int64, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		return nil, 0, invalidError(path, "not a regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// image is an image or artifact of which the manifest is at hand.
func (l layout) image(raw []byte, desc v1.Descriptor) (v1.Image, error) {
	manifest, err := v1.ParseManifest(bytes.NewReader(raw))
	if err != nil {
		return nil, &Error{Kind: ErrInvalid, Ref: l.String(), What: "a manifest cannot be read: " + err.Error(), Cause: err}
	}
	config := manifest.Config.Data
	if config == nil {
		if config, err = l.readBlob(manifest.Config.Digest, maxConfig); err != nil {
			return nil, err
		}
	} else if err := checkBytes(l.String(), config, manifest.Config.Digest); err != nil {
		return nil, err
	}
	img, err := newRawImage(desc.MediaType, raw, config, nil)
	if err != nil {
		return nil, err
	}
	// It has the digest by which it was found, be it another algorithm's.
	img.digest = desc.Digest
	for i, layer := range manifest.Layers {
		img.layers = append(img.layers, &layoutBlob{layout: l, desc: layer, image: img, index: i})
	}
	return img, nil
}

func (l layout) index(raw []byte, desc v1.Descriptor) (v1.ImageIndex, error) {
	image := func(h v1.Hash) (v1.Image, error) {
		child, err := l.openDigest(h)
		if err == nil && child.image == nil {
			err = invalidError(l.String(), "%s is an index, not an image", h)
		}
		return child.image, err
	}
	index := func(h v1.Hash) (v1.ImageIndex, error) {
		child, err := l.openDigest(h)
		if err == nil && child.index == nil {
			err = invalidError(l.String(), "%s is an image, not an index", h)
		}
		return child.index, err
	}
	idx, err := newRawIndex(desc.MediaType, raw, image, index)
	if err != nil {
		return nil, err
	}
	idx.digest = desc.Digest
	return idx, nil
}

// layoutBlob is a layer in a layout.
type layoutBlob struct {
	layout layout
	desc   v1.Descriptor
	image  *rawImage
	index  int
}

func (b *layoutBlob) Digest() (v1.Hash, error)            { return b.desc.Digest, nil }
func (b *layoutBlob) Size() (int64, error)                { return b.desc.Size, nil }
func (b *layoutBlob) MediaType() (types.MediaType, error) { return b.desc.MediaType, nil }
func (b *layoutBlob) Descriptor() (*v1.Descriptor, error) { return b.desc.DeepCopy(), nil }

// DiffID comes from the config, so that nobody has to inflate the layer to learn it.
func (b *layoutBlob) DiffID() (v1.Hash, error) {
	config, err := b.image.ConfigFile()
	if err != nil {
		return v1.Hash{}, err
	}
	if b.index >= len(config.RootFS.DiffIDs) {
		return v1.Hash{}, invalidError(b.layout.String(), "the config has no diffID for layer %d", b.index)
	}
	return config.RootFS.DiffIDs[b.index], nil
}

// Compressed checks length and digest as it is read.
func (b *layoutBlob) Compressed() (io.ReadCloser, error) {
	f, err := b.CompressedUnchecked()
	if err != nil {
		return nil, err
	}
	return newVerifier(f, b.layout.String(), b.desc.Digest, b.desc.Size)
}

// Uncompressed inflates what Compressed gives.
func (b *layoutBlob) Uncompressed() (io.ReadCloser, error) {
	l, err := partial.CompressedToLayer(b)
	if err != nil {
		return nil, err
	}
	return l.Uncompressed()
}

// Damaged says where a blob lies whose content is wrong.
func (b *layoutBlob) Damaged(cause error) error {
	return damagedError(b.layout.String(), cause.Error(), cause)
}

// CompressedUnchecked checks the length only, for who looks at the digest anyway: a layer is indexed so.
func (b *layoutBlob) CompressedUnchecked() (io.ReadCloser, error) {
	f, size, err := b.layout.files.open(blobFile(b.desc.Digest))
	if err != nil {
		return nil, b.layout.blobError(b.desc.Digest, err)
	}
	if size != b.desc.Size {
		_ = f.Close()
		return nil, damagedError(b.layout.String(), fmt.Sprintf("%s has %d bytes, not %d", b.desc.Digest, size, b.desc.Size), nil)
	}
	return f, nil
}
