package image

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/nanopatch/nanopatch/rebuild/image/internal/rawjson"
)

// LayerChange puts a layer into an image.
type LayerChange struct {
	// Index numbers the base image's layers from 0, whatever other changes do.
	Index int
	// New is the layer. Its digest, diffID, size and media type must be known already: no stream.
	New v1.Layer
	// Insert puts New in front of the layer at Index, or on top if Index is the number of layers; otherwise New takes
	// that layer's place. Insertions at the same index keep their order.
	Insert bool
	// HistoryComment is added to the comment of the layer's history entry.
	HistoryComment string
	// CreatedBy is the instruction in an inserted layer's history entry.
	CreatedBy string
}

// RebuildOptions say what else changes when layers do.
type RebuildOptions struct {
	// Created is the newest date of what changes. The image's own time moves up to it, never back. Entries of the history
	// keep theirs, an inserted layer's gets this one.
	Created time.Time
	// CreatedExactly moves the image's time back too: SOURCE_DATE_EPOCH is obeyed, as BuildKit does.
	CreatedExactly bool
	// Annotations are added to the manifest, of Docker's schema 2 too: readers pass over what they do not know.
	Annotations map[string]string
	// Labels are added to the config.
	Labels map[string]string
}

// Note is something that a rebuild had to do and that its user should hear of.
type Note struct {
	// Digest names the part of the base that it is about: a layer, or an index's entry.
	Digest v1.Hash
	Text   string
}

// Rebuild makes an image from base with some layers changed. Untouched layers are the base's own, so a registry can
// mount them. Everything that does not change stays byte for byte in manifest and config; without a change, the base
// itself comes back, whatever the options.
//
// Changes that do not fit the base, or each other, are [ErrUsage]; a base that contradicts itself is [ErrInvalid].
func Rebuild(base v1.Image, changes []LayerChange, opts RebuildOptions) (v1.Image, []Note, error) {
	if len(changes) == 0 {
		return base, nil, nil
	}
	e, err := newEditor(base)
	if err != nil {
		return nil, nil, err
	}
	changes, err = order(e.name, changes, len(e.layers))
	if err != nil {
		return nil, nil, err
	}
	for _, c := range changes {
		if err := e.apply(c, opts.Created); err != nil {
			return nil, nil, err
		}
	}
	img, err := e.finish(opts)
	if err != nil {
		return nil, nil, err
	}
	slices.Reverse(e.notes)
	return img, e.notes, nil
}

// order sorts changes from the top down, so that an insertion moves no index that is still to come: at one index the
// replacement first, then the insertions, the last one first.
func order(name string, changes []LayerChange, layers int) ([]LayerChange, error) {
	sorted := slices.Clone(changes)
	slices.Reverse(sorted)
	slices.SortStableFunc(sorted, func(a, b LayerChange) int {
		if a.Index != b.Index {
			return cmp.Compare(b.Index, a.Index)
		}
		return cmp.Compare(rank(a), rank(b))
	})
	for i, c := range sorted {
		switch {
		case c.New == nil:
			return nil, usageError(name, fmt.Sprintf("change of layer %d has no layer", c.Index), "")
		case c.Index < 0 || c.Index > layers || (c.Index == layers && !c.Insert):
			return nil, usageError(name, fmt.Sprintf("no layer %d to change, the image has %d", c.Index, layers), "")
		case i > 0 && !c.Insert && !sorted[i-1].Insert && sorted[i-1].Index == c.Index:
			return nil, usageError(name, fmt.Sprintf("two changes replace layer %d", c.Index), "")
		}
	}
	return sorted, nil
}

func rank(c LayerChange) int {
	if c.Insert {
		return 1
	}
	return 0
}

// editor holds an image while it changes.
type editor struct {
	name      string
	mediaType types.MediaType
	manifest  []byte
	config    []byte
	layers    []v1.Layer
	notes     []Note
	// history maps a layer of the base to its entry of the config's history; empty where there is no history.
	history []int
}

func newEditor(base v1.Image) (*editor, error) {
	digest, err := base.Digest()
	if err != nil {
		return nil, fmt.Errorf("reading the base image: %w", err)
	}
	e := &editor{name: digest.String()}
	if e.mediaType, err = base.MediaType(); err == nil {
		e.manifest, err = base.RawManifest()
	}
	if err == nil {
		e.config, err = base.RawConfigFile()
	}
	if err == nil {
		e.layers, err = base.Layers()
	}
	if err != nil {
		return nil, fmt.Errorf("reading the base image %s: %w", e.name, err)
	}
	e.layers = slices.Clone(e.layers)
	manifest, err := v1.ParseManifest(bytes.NewReader(e.manifest))
	if err != nil {
		return nil, &Error{Kind: ErrInvalid, Ref: e.name, What: "the manifest cannot be read: " + err.Error(), Cause: err}
	}
	config, err := v1.ParseConfigFile(bytes.NewReader(e.config))
	if err != nil {
		return nil, &Error{Kind: ErrInvalid, Ref: e.name, What: "the config cannot be read: " + err.Error(), Cause: err}
	}
	for i, h := range config.History {
		if !h.EmptyLayer {
			e.history = append(e.history, i)
		}
	}
	return e, checkConfig(e.name, manifest, config)
}

// apply makes one change; all that were made before are further up.
func (e *editor) apply(c LayerChange, created time.Time) error {
	desc, diffID, err := describeLayer(c.New)
	if err != nil {
		return fmt.Errorf("%s: the new layer %d: %w", e.name, c.Index, err)
	}
	if plain := distributable(desc.MediaType); plain != desc.MediaType {
		e.note(desc.Digest, "is distributable now: its content is no longer the one its URLs lead to")
		desc.MediaType = plain
		// The layer must say so too: what says that it must not be distributed is not pushed.
		c.New = &typedLayer{Layer: c.New, mediaType: plain}
	}
	if c.Insert {
		return e.insert(c, desc, diffID, created)
	}
	if err := e.replace(c.Index, desc); err != nil {
		return e.editError(err)
	}
	if e.config, err = rawjson.Set(e.config, diffID, "rootfs", "diff_ids", c.Index); err != nil {
		return e.editError(err)
	}
	e.layers[c.Index] = c.New
	return e.comment(c)
}

// replace changes the layer's descriptor in the manifest: what describes content, and nothing else.
func (e *editor) replace(index int, desc v1.Descriptor) error {
	old, err := e.layers[index].Digest()
	if err != nil {
		return err
	}
	edit := newEdit(e.manifest)
	edit.set(desc.Digest, "layers", index, "digest")
	edit.set(desc.Size, "layers", index, "size")
	if edit.text("layers", index, "mediaType") != string(desc.MediaType) {
		edit.set(desc.MediaType, "layers", index, "mediaType")
	}
	edit.remove("layers", index, "data")
	edit.remove("layers", index, "urls")
	for _, key := range edit.keys("layers", index, "annotations") {
		if describesCompression(key) {
			edit.remove("layers", index, "annotations", key)
			e.note(old, "loses its table of contents ("+key+"): the rewritten layer is plain")
		}
	}
	e.manifest = edit.doc
	return edit.err
}

// insert adds descriptor, diffID and, if the image has a history, an entry there.
func (e *editor) insert(c LayerChange, desc v1.Descriptor, diffID v1.Hash, created time.Time) error {
	var err error
	if e.manifest, err = rawjson.Insert(e.manifest, desc, c.Index, "layers"); err != nil {
		return e.editError(err)
	}
	if e.config, err = rawjson.Insert(e.config, diffID, c.Index, "rootfs", "diff_ids"); err != nil {
		return e.editError(err)
	}
	e.layers = slices.Insert(e.layers, c.Index, c.New)
	if len(e.history) == 0 {
		return nil
	}
	entry := struct {
		Created   *time.Time `json:"created,omitempty"`
		CreatedBy string     `json:"created_by,omitempty"`
		Comment   string     `json:"comment,omitempty"`
	}{CreatedBy: c.CreatedBy, Comment: c.HistoryComment}
	if !created.IsZero() {
		utc := created.UTC()
		entry.Created = &utc
	}
	// Right after the layer below, before empty entries that belong to the layer above.
	at := 0
	if c.Index > 0 {
		at = e.history[c.Index-1] + 1
	}
	if e.config, err = rawjson.Insert(e.config, entry, at, "history"); err != nil {
		return e.editError(err)
	}
	return nil
}

// comment appends to the comment of the layer's history entry.
func (e *editor) comment(c LayerChange) error {
	if c.HistoryComment == "" || len(e.history) == 0 {
		return nil
	}
	edit := newEdit(e.config)
	at := e.history[c.Index]
	comment := c.HistoryComment
	if old := edit.text("history", at, "comment"); old != "" {
		comment = old + "; " + comment
	}
	edit.set(comment, "history", at, "comment")
	e.config = edit.doc
	return e.editError(edit.err)
}

// finish writes what concerns the whole image, the config's new descriptor last, and reads the result back.
func (e *editor) finish(opts RebuildOptions) (v1.Image, error) {
	config := newEdit(e.config)
	if opts.CreatedExactly || isLater(opts.Created, config.text("created")) {
		config.set(opts.Created.UTC().Format(time.RFC3339Nano), "created")
	}
	for _, key := range slices.Sorted(maps.Keys(opts.Labels)) {
		config.set(opts.Labels[key], "config", "Labels", key)
	}
	digest, size, err := v1.SHA256(bytes.NewReader(config.doc))
	if err != nil {
		return nil, err
	}
	manifest := newEdit(e.manifest)
	manifest.set(digest, "config", "digest")
	manifest.set(size, "config", "size")
	manifest.remove("config", "data")
	for _, key := range slices.Sorted(maps.Keys(opts.Annotations)) {
		manifest.set(opts.Annotations[key], "annotations", key)
	}
	if err := cmp.Or(config.err, manifest.err); err != nil {
		return nil, e.editError(err)
	}
	img, err := newRawImage(e.mediaType, manifest.doc, config.doc, e.layers)
	if err != nil {
		return nil, e.editError(err)
	}
	return img, e.readBack(img)
}

// readBack makes sure that a reader of the edited JSON sees the layers that were meant.
func (e *editor) readBack(img *rawImage) error {
	config, err := img.ConfigFile()
	if err != nil {
		return e.editError(err)
	}
	if err := checkConfig(e.name, img.manifest, config); err != nil {
		return err
	}
	if len(img.manifest.Layers) != len(e.layers) {
		return invalidError(e.name, "the edited manifest has %d layers, not %d", len(img.manifest.Layers), len(e.layers))
	}
	for i, l := range e.layers {
		digest, err := l.Digest()
		if err != nil {
			return err
		}
		diffID, err := l.DiffID()
		if err != nil {
			return err
		}
		if img.manifest.Layers[i].Digest != digest || config.RootFS.DiffIDs[i] != diffID {
			return invalidError(e.name, "layer %d does not read back after the edit", i)
		}
	}
	return nil
}

func (e *editor) note(digest v1.Hash, text string) { e.notes = append(e.notes, Note{digest, text}) }

func (e *editor) editError(err error) error {
	if err == nil {
		return nil
	}
	return &Error{Kind: ErrInvalid, Ref: e.name, What: "the image cannot be edited: " + err.Error(), Cause: err}
}

// describeLayer is what a manifest and a config say of a layer.
func describeLayer(l v1.Layer) (desc v1.Descriptor, diffID v1.Hash, err error) {
	if desc, err = describe(l); err != nil {
		return desc, diffID, err
	}
	diffID, err = l.DiffID()
	return desc, diffID, err
}

// distributable is the media type of the same content without the mark that it must not be pushed.
func distributable(t types.MediaType) types.MediaType {
	switch t {
	case types.DockerForeignLayer:
		return types.DockerLayer
	case types.OCIRestrictedLayer:
		return types.OCILayer
	case types.OCIUncompressedRestrictedLayer:
		return types.OCIUncompressedLayer
	case "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd":
		return types.OCILayerZStd
	}
	return t
}

// typedLayer is a layer under another media type.
type typedLayer struct {
	v1.Layer
	mediaType types.MediaType
}

func (l *typedLayer) MediaType() (types.MediaType, error) { return l.mediaType, nil }

// describesCompression tells whether an annotation describes how a layer is compressed: eStargz's and zstd:chunked's
// tables of contents, by digest and offset.
func describesCompression(annotation string) bool {
	for _, prefix := range []string{
		"containerd.io/snapshot/stargz/", "io.containers.estargz.", "io.github.containers.zstd-chunked.",
	} {
		if strings.HasPrefix(annotation, prefix) {
			return true
		}
	}
	return false
}

// isLater compares a time with an image's, which may be missing or nonsense.
func isLater(t time.Time, old string) bool {
	before, err := time.Parse(time.RFC3339Nano, old)
	return !t.IsZero() && (err != nil || t.After(before))
}
