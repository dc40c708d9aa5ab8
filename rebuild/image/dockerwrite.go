package image

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/nanopatch/nanopatch/rebuild/image/internal/tarfile"
)

// writeDocker writes the images of index.json as docker save does: layers not compressed, each once, under their diffIDs.
// The layers of an untouched image are what docker would save, and its config, by which docker knows it, stays byte for
// byte.
func (r *archiveRepository) writeDocker(ctx context.Context, w *tarfile.Writer, l layout) error {
	index, err := v1.ParseIndexManifest(bytes.NewReader(r.staged.index))
	if err != nil {
		return err
	}
	images := []dockerImage{}
	at := make(map[v1.Hash]int)
	written := make(map[string]bool)
	for _, entry := range index.Manifests {
		i, ok := at[entry.Digest]
		if !ok {
			found, err := l.openDigest(entry.Digest)
			if err != nil {
				return err
			}
			img, err := writeDockerImage(ctx, w, found.image, written)
			if err != nil {
				return err
			}
			i = len(images)
			at[entry.Digest], images = i, append(images, img)
		}
		if tag := entry.Annotations[refName]; tag != "" {
			images[i].RepoTags = append(images[i].RepoTags, tag)
		}
	}
	raw, err := json.Marshal(images)
	if err != nil {
		return err
	}
	return w.Add(dockerManifest, bytes.NewReader(raw))
}

func writeDockerImage(ctx context.Context, w *tarfile.Writer, img v1.Image, written map[string]bool) (dockerImage, error) {
	var out dockerImage
	id, err := img.ConfigName()
	if err != nil {
		return out, err
	}
	config, err := img.RawConfigFile()
	if err != nil {
		return out, err
	}
	out = dockerImage{Config: id.Hex + ".json", RepoTags: []string{}, Layers: []string{}}
	if !written[out.Config] {
		written[out.Config] = true
		if err := w.Add(out.Config, bytes.NewReader(config)); err != nil {
			return out, err
		}
	}
	layers, err := img.Layers()
	if err != nil {
		return out, err
	}
	for _, l := range layers {
		diffID, err := l.DiffID()
		if err != nil {
			return out, err
		}
		name := diffID.Hex + ".tar"
		out.Layers = append(out.Layers, name)
		if written[name] {
			continue
		}
		written[name] = true
		if err := writePlain(ctx, w, name, l, diffID); err != nil {
			return out, err
		}
	}
	return out, nil
}

// writePlain copies a layer's content, checked.
func writePlain(ctx context.Context, w *tarfile.Writer, name string, l v1.Layer, diffID v1.Hash) error {
	rc, err := l.Uncompressed()
	if err != nil {
		return err
	}
	defer rc.Close()
	h, err := v1.Hasher(diffID.Algorithm)
	if err != nil {
		return err
	}
	if err := w.Add(name, io.TeeReader(&stoppable{Reader: rc, stop: ctx.Err}, h)); err != nil {
		return err
	}
	return checkSum(name, h, diffID)
}

// readBack opens what was written, as a stranger would.
func (r *archiveRepository) readBack(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	archive, err := tarfile.Open(f)
	if err != nil {
		return err
	}
	defer archive.Close()
	written := layout{place: r.String(), files: tarFiles{archive}}
	if r.ref.Transport == DockerArchive {
		if written, err = readDocker(r.String(), archive); err != nil {
			return err
		}
	}
	index, err := written.readIndex()
	if err != nil {
		return err
	}
	manifest, err := v1.ParseIndexManifest(bytes.NewReader(index))
	if err != nil {
		return err
	}
	for _, e := range manifest.Manifests {
		if _, err := written.openDigest(e.Digest); err != nil {
			return err
		}
	}
	return nil
}
