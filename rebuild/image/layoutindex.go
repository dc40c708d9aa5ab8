package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/nanopatch/nanopatch/rebuild/image/internal/rawjson"
)

// entry is the descriptor of an image or index that is in the layout, with the platform: tools ask for it.
func (l layout) entry(digest v1.Hash) (v1.Descriptor, error) {
	found, err := l.openDigest(digest)
	if err != nil {
		return v1.Descriptor{}, err
	}
	entry := found.desc
	if found.image == nil {
		return entry, nil
	}
	config, err := found.image.ConfigFile()
	if err != nil {
		return v1.Descriptor{}, &Error{Kind: ErrInvalid, Ref: l.String(), What: "the config cannot be read: " + err.Error(), Cause: err}
	}
	if p := platformOf(config); p.OS != "" {
		entry.Platform = &p
	}
	return entry, nil
}

// tagEntry edits index.json so that tag names entry, and nothing else does. An entry of the same image that has no tag
// yet makes way, for tools would count it as another image.
func tagEntry(raw []byte, entries []v1.Descriptor, entry v1.Descriptor, tag string) ([]byte, error) {
	edit := newEdit(raw)
	placed := false
	for i := len(entries) - 1; i >= 0; i-- {
		has, tagged := entries[i].Annotations[refName]
		switch {
		case tagged && has == tag && !placed && entries[i].Digest == entry.Digest:
			placed = true
			if entries[i].Platform == nil && entry.Platform != nil {
				edit.set(entry.Platform, "manifests", i, "platform")
			}
		case tagged && has == tag, !tagged && entries[i].Digest == entry.Digest:
			if placed {
				edit.remove("manifests", i)
				continue
			}
			edit.set(entry, "manifests", i)
			placed = true
		}
	}
	if edit.err != nil || placed {
		return edit.doc, edit.err
	}
	return rawjson.Insert(edit.doc, entry, len(entries), "manifests")
}

// addEntry appends to index.json what is not there yet.
func addEntry(raw []byte, entries []v1.Descriptor, entry v1.Descriptor) ([]byte, error) {
	for _, e := range entries {
		if e.Digest == entry.Digest {
			return raw, nil
		}
	}
	return rawjson.Insert(raw, entry, len(entries), "manifests")
}

// referrerEntry is the entry of what refers to an image, as a list of referrers has it (OCI distribution spec, "Listing
// Referrers").
func referrerEntry(desc v1.Descriptor, artifact v1.Image) (v1.Descriptor, error) {
	manifest, err := artifact.Manifest()
	if err != nil {
		return desc, err
	}
	desc.ArtifactType = manifest.ArtifactType
	if desc.ArtifactType == "" {
		desc.ArtifactType = string(manifest.Config.MediaType)
	}
	desc.Annotations = manifest.Annotations
	delete(desc.Annotations, refName)
	return desc, nil
}

// editedIndex applies an edit to an index.json.
func editedIndex(where string, raw []byte, f func(raw []byte, entries []v1.Descriptor) ([]byte, error)) ([]byte, error) {
	manifest, err := v1.ParseIndexManifest(bytes.NewReader(raw))
	if err != nil {
		return nil, &Error{Kind: ErrInvalid, Ref: where, What: "index.json cannot be read: " + err.Error(), Cause: err}
	}
	if manifest.Manifests == nil {
		if raw, err = rawjson.Set(raw, []v1.Descriptor{}, "manifests"); err != nil {
			return nil, fmt.Errorf("%s: editing index.json: %w", where, err)
		}
	}
	edited, err := f(raw, manifest.Manifests)
	if err != nil {
		return nil, &Error{Kind: ErrInvalid, Ref: where, What: "index.json cannot be edited: " + err.Error(), Cause: err}
	}
	return edited, nil
}

// referrers returns what refers to a digest, sorted by digest.
func (l layout) referrers(ctx context.Context, subject v1.Hash) ([]v1.Image, error) {
	raw, err := l.readIndex()
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	manifest, err := v1.ParseIndexManifest(bytes.NewReader(raw))
	if err != nil {
		return nil, &Error{Kind: ErrInvalid, Ref: l.String(), What: "index.json cannot be read: " + err.Error(), Cause: err}
	}
	sortByDigest(manifest.Manifests)
	var found []v1.Image
	var last v1.Hash
	for _, e := range manifest.Manifests {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if !e.MediaType.IsImage() || e.Digest == last {
			continue
		}
		last = e.Digest
		raw, desc, err := l.readManifest(e.Digest)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if desc.MediaType != types.OCIManifestSchema1 || !refersTo(raw, subject) {
			continue
		}
		img, err := l.image(raw, desc)
		if err != nil {
			return nil, err
		}
		found = append(found, img)
	}
	return found, nil
}
