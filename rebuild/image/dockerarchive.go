package image

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/nanopatch/nanopatch/rebuild/image/internal/tarfile"
)

// dockerManifest is the name of the list of images in what docker save writes, and dockerImage an element of it (Docker
// Image Specification v1.2, "Combined Image JSON + Filesystem Changeset Format").
const dockerManifest = "manifest.json"

type dockerImage struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// maxDockerImages bounds the images of one archive.
const maxDockerImages = 1000

// readDocker shows an archive of docker's as a layout. Such an archive has no manifests: each image gets one of Docker's
// schema 2, of its config and its layers as they lie there, which is mostly not compressed. So the same archive always
// gives the same digests.
func readDocker(place string, archive *tarfile.Archive) (layout, error) {
	d := &dockerReader{archive: archive, place: place, staged: newStagedFiles(nil, nil)}
	var images []dockerImage
	if _, err := decodeMember(archive, dockerManifest, maxManifest, &images); err != nil {
		return layout{}, d.invalid(err)
	}
	if len(images) > maxDockerImages {
		return layout{}, invalidError(place, "%d images are too many", len(images))
	}
	for _, img := range images {
		if err := d.add(img); err != nil {
			return layout{}, d.invalid(err)
		}
	}
	var err error
	if d.staged.index, err = json.Marshal(v1.IndexManifest{
		SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: append([]v1.Descriptor{}, d.entries...),
	}); err != nil {
		return layout{}, err
	}
	return layout{place: place, files: d.staged}, nil
}

type dockerReader struct {
	place   string
	archive *tarfile.Archive
	staged  *stagedFiles
	entries []v1.Descriptor
}

func (d *dockerReader) invalid(err error) error {
	var typed *Error
	switch {
	case errors.As(err, &typed):
		return err
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, tarfile.ErrFormat), errors.Is(err, io.ErrUnexpectedEOF):
		return &Error{
			Kind: ErrInvalid, Ref: d.place, What: "not an archive that docker save would write: " + err.Error(), Cause: err,
			Hint: "for an archive of an OCI layout, write oci-archive:",
		}
	}
	return fmt.Errorf("%s: %w", d.place, err)
}

func (d *dockerReader) add(img dockerImage) error {
	var config v1.ConfigFile
	raw, err := decodeMember(d.archive, img.Config, maxConfig, &config)
	if err != nil {
		return err
	}
	if len(img.Layers) > maxLayers || len(img.Layers) != len(config.RootFS.DiffIDs) {
		return invalidError(d.place, "an image has %d layers, its config %d", len(img.Layers), len(config.RootFS.DiffIDs))
	}
	configDigest, err := d.staged.put(raw)
	if err != nil {
		return err
	}
	manifest := v1.Manifest{
		SchemaVersion: 2, MediaType: types.DockerManifestSchema2, Layers: []v1.Descriptor{},
		Config: v1.Descriptor{MediaType: types.DockerConfigJSON, Size: int64(len(raw)), Digest: configDigest},
	}
	for i, name := range img.Layers {
		desc, err := d.layer(name, config.RootFS.DiffIDs[i])
		if err != nil {
			return err
		}
		manifest.Layers = append(manifest.Layers, desc)
	}
	asOCI(&manifest)
	encoded, err := json.Marshal(manifest)
	if err != nil {
		return err
	}
	digest, err := d.staged.put(encoded)
	if err != nil {
		return err
	}
	entry := v1.Descriptor{MediaType: manifest.MediaType, Size: int64(len(encoded)), Digest: digest}
	for _, tag := range img.RepoTags {
		if tag, err = dockerTagOf(tag); err != nil {
			return invalidError(d.place, "%v", err)
		}
		tagged := entry
		tagged.Annotations = map[string]string{refName: tag}
		d.entries = append(d.entries, tagged)
	}
	if len(img.RepoTags) == 0 {
		d.entries = append(d.entries, entry)
	}
	return nil
}

// layer describes a layer as it lies in the archive, and lets it be found by its digest. One that is not compressed has its
// diffID for a digest, which is checked when it is read.
func (d *dockerReader) layer(name string, diffID v1.Hash) (v1.Descriptor, error) {
	section, err := d.archive.Find(name)
	if err != nil {
		return v1.Descriptor{}, err
	}
	head := make([]byte, 4)
	if _, err := section.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return v1.Descriptor{}, err
	}
	desc := v1.Descriptor{MediaType: types.DockerUncompressedLayer, Size: section.Size(), Digest: diffID}
	if inflaterOf(head) != nil {
		desc.MediaType = types.DockerLayer
		if head[0] == 0x28 {
			desc.MediaType = types.OCILayerZStd
		}
		if desc.Digest, _, err = v1.SHA256(section); err != nil {
			return desc, err
		}
	}
	d.staged.keep(desc.Digest, func() (io.ReadCloser, int64, error) {
		return io.NopCloser(io.NewSectionReader(section, 0, section.Size())), section.Size(), nil
	})
	return desc, nil
}

// asOCI turns a manifest of schema 2 into OCI's, where it has a layer that schema 2 has no name for.
func asOCI(m *v1.Manifest) {
	zstd := false
	for _, l := range m.Layers {
		zstd = zstd || l.MediaType == types.OCILayerZStd
	}
	if !zstd {
		return
	}
	m.MediaType, m.Config.MediaType = types.OCIManifestSchema1, types.OCIConfigJSON
	for i := range m.Layers {
		switch m.Layers[i].MediaType {
		case types.DockerLayer:
			m.Layers[i].MediaType = types.OCILayer
		case types.DockerUncompressedLayer:
			m.Layers[i].MediaType = types.OCIUncompressedLayer
		}
	}
}
