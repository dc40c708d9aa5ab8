package image

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// RebuildIndex makes an index from base in which images take the place of others, named by their digests in base; also
// in indexes within it. Order, annotations, platforms and unknown fields stay byte for byte. Attestation manifests of
// BuildKit that speak of a replaced image are dropped, for what they state is no longer so, and noted. Annotations are
// added to the index itself.
//
// Without an image that differs, base itself comes back. A digest that base does not hold is [ErrUsage].
func RebuildIndex(
	base v1.ImageIndex, images map[v1.Hash]v1.Image, annotations map[string]string,
) (v1.ImageIndex, []Note, error) {
	digest, err := base.Digest()
	if err != nil {
		return nil, nil, fmt.Errorf("reading the index: %w", err)
	}
	r := &indexRebuild{
		name: digest.String(), images: make(map[v1.Hash]v1.Descriptor), used: make(map[v1.Hash]bool),
		rebuilt: make(map[v1.Hash]v1.ImageIndex),
	}
	replaced := make(map[v1.Hash]v1.Image)
	for old, img := range images {
		desc, err := describe(img)
		if err != nil {
			return nil, nil, fmt.Errorf("reading the new image for %s: %w", old, err)
		}
		r.images[old], replaced[desc.Digest] = desc, img
	}
	r.replaced = replaced
	idx, err := r.rebuild(base, annotations, 0)
	if err != nil {
		return nil, nil, err
	}
	for old := range images {
		if !r.used[old] {
			return nil, nil, usageError(r.name, "the index holds no "+old.String(), "")
		}
	}
	slices.Reverse(r.notes)
	return idx, r.notes, nil
}

type indexRebuild struct {
	name string
	// images are the descriptors of the new images by the digests of the old, replaced the images by their own.
	images   map[v1.Hash]v1.Descriptor
	replaced map[v1.Hash]v1.Image
	used     map[v1.Hash]bool
	// rebuilt are the indexes within base by the digests of the old: each is made once, however often it is named.
	rebuilt map[v1.Hash]v1.ImageIndex
	entries int
	notes   []Note
}

func (r *indexRebuild) rebuild(base v1.ImageIndex, annotations map[string]string, depth int) (v1.ImageIndex, error) {
	raw, err := base.RawManifest()
	if err != nil {
		return nil, fmt.Errorf("reading index %s: %w", r.name, err)
	}
	manifest, err := v1.ParseIndexManifest(bytes.NewReader(raw))
	if err != nil {
		return nil, &Error{Kind: ErrInvalid, Ref: r.name, What: "the index cannot be read: " + err.Error(), Cause: err}
	}
	if r.entries += len(manifest.Manifests); depth > maxNesting || r.entries > maxIndexEntries {
		return nil, invalidError(r.name, "the index is nested too deep or has too many entries")
	}
	edit := newEdit(raw)
	nested := make(map[v1.Hash]v1.ImageIndex)
	// From the end, so that dropping an entry moves none that is still to come.
	for i := len(manifest.Manifests) - 1; i >= 0; i-- {
		if err := r.entry(base, edit, manifest.Manifests[i], i, nested, depth); err != nil {
			return nil, err
		}
	}
	if bytes.Equal(edit.doc, raw) && edit.err == nil {
		return base, nil
	}
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		edit.set(annotations[key], "annotations", key)
	}
	if edit.err != nil {
		return nil, &Error{Kind: ErrInvalid, Ref: r.name, What: "the index cannot be edited: " + edit.err.Error(), Cause: edit.err}
	}
	return r.build(base, edit.doc, nested)
}

// entry edits one entry of the index, where it must change.
func (r *indexRebuild) entry(
	base v1.ImageIndex, edit *edit, entry v1.Descriptor, i int, nested map[v1.Hash]v1.ImageIndex, depth int,
) error {
	if subject, ok := r.staleAttestation(entry); ok {
		edit.remove("manifests", i)
		r.notes = append(r.notes, Note{entry.Digest, "attestation of " + subject + " dropped: that image was rebuilt"})
		return nil
	}
	if entry.MediaType.IsIndex() {
		rebuilt, err := r.child(base, entry.Digest, depth+1)
		if err != nil {
			return err
		}
		desc, err := describe(rebuilt)
		if err != nil {
			return err
		}
		nested[desc.Digest] = rebuilt
		repoint(edit, entry, desc, i)
		return nil
	}
	if desc, ok := r.images[entry.Digest]; ok {
		r.used[entry.Digest] = true
		repoint(edit, entry, desc, i)
	}
	return nil
}

// child rebuilds an index within base.
func (r *indexRebuild) child(base v1.ImageIndex, digest v1.Hash, depth int) (v1.ImageIndex, error) {
	if made, ok := r.rebuilt[digest]; ok {
		return made, nil
	}
	old, err := base.ImageIndex(digest)
	if err != nil {
		return nil, fmt.Errorf("reading index %s: %w", digest, err)
	}
	made, err := r.rebuild(old, nil, depth)
	if err != nil {
		return nil, err
	}
	r.rebuilt[digest] = made
	return made, nil
}

// repoint lets an entry name other content, if it is other.
func repoint(edit *edit, old, desc v1.Descriptor, i int) {
	if old.Digest == desc.Digest {
		return
	}
	edit.set(desc.Digest, "manifests", i, "digest")
	edit.set(desc.Size, "manifests", i, "size")
	if old.MediaType != desc.MediaType {
		edit.set(desc.MediaType, "manifests", i, "mediaType")
	}
	edit.remove("manifests", i, "data")
}

// staleAttestation tells whether an entry attests something of an image that is another now.
func (r *indexRebuild) staleAttestation(entry v1.Descriptor) (subject string, ok bool) {
	subject = entry.Annotations[attestationDigest]
	old, err := v1.NewHash(subject)
	if err != nil {
		return "", false
	}
	desc, ok := r.images[old]
	return subject, ok && desc.Digest != old
}

func (r *indexRebuild) build(base v1.ImageIndex, raw []byte, nested map[v1.Hash]v1.ImageIndex) (v1.ImageIndex, error) {
	mediaType, err := base.MediaType()
	if err != nil {
		return nil, fmt.Errorf("reading index %s: %w", r.name, err)
	}
	image := func(h v1.Hash) (v1.Image, error) {
		if img, ok := r.replaced[h]; ok {
			return img, nil
		}
		return base.Image(h)
	}
	index := func(h v1.Hash) (v1.ImageIndex, error) {
		if idx, ok := nested[h]; ok {
			return idx, nil
		}
		return base.ImageIndex(h)
	}
	return newRawIndex(mediaType, raw, image, index)
}
