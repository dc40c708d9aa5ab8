package rebuild

import (
	"context"
	"fmt"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/nanopatch/nanopatch/rebuild/image"
	"github.com/nanopatch/nanopatch/rebuild/layer"
	"github.com/nanopatch/nanopatch/rebuild/plan"
	"github.com/nanopatch/nanopatch/rebuild/rootfs"
)

// The annotations of a rebuilt image's manifest.
const (
	AnnotationSource = "dev.nanopatch.source.digest"
	AnnotationPlan   = "dev.nanopatch.plan.digest"
)

// Applied is a rebuilt image, not yet written anywhere.
type Applied struct {
	Image v1.Image
	// Layers tells for every layer of the source what became of it.
	Layers []AppliedLayer
	// Tree is the new image's layers merged.
	Tree *rootfs.Stack
	// Notes say what else became of the source image, a line each.
	Notes []string
}

// AppliedLayer is one layer before and after; sizes are compressed bytes.
type AppliedLayer struct {
	Index     int         `json:"index"`
	Action    plan.Action `json:"action"`
	OldDigest v1.Hash     `json:"oldDigest"`
	NewDigest v1.Hash     `json:"newDigest"`
	OldSize   int64       `json:"oldSize"`
	NewSize   int64       `json:"newSize"`
	CreatedBy string      `json:"createdBy"`
}

// Apply rewrites the layers that the plan edits. With nothing to do it returns the source image itself.
// The new layers are spooled in the store and stay readable until it is closed.
func (j *Job) Apply(ctx context.Context) (*Applied, error) {
	if j.Plan.Empty() {
		layers, err := j.applied(nil)
		return &Applied{Image: j.image, Layers: layers, Tree: j.Tree}, err
	}
	rewritten := make([]v1.Layer, len(j.Plan.Layers))
	indexes := make([]*layer.Index, len(j.Plan.Layers))
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(j.opts.concurrency())
	for i := range j.Plan.Layers {
		if j.Plan.Layers[i].Action == plan.Keep {
			continue
		}
		group.Go(func() error {
			var err error
			rewritten[i], indexes[i], err = j.opts.Store.Rewrite(gctx, j.sources[i], j.edits.Old.Layer(i), j.edits.Layers[i])
			if err != nil {
				return fmt.Errorf("rewriting layer %d (%s): %w", i, j.Plan.Layers[i].Digest, err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	img, notes, err := j.assemble(rewritten)
	if err != nil {
		return nil, err
	}
	tree := j.edits.New
	for i, x := range indexes {
		if x == nil {
			continue
		}
		if tree, err = tree.Replace(i, x); err != nil {
			return nil, fmt.Errorf("layer %d: %w", i, err)
		}
	}
	layers, err := j.applied(rewritten)
	if err != nil {
		return nil, err
	}
	return &Applied{Image: img, Layers: layers, Tree: tree, Notes: notes}, nil
}

func (j *Job) assemble(rewritten []v1.Layer) (v1.Image, []string, error) {
	digest, err := j.Plan.Digest()
	if err != nil {
		return nil, nil, err
	}
	var changes []image.LayerChange
	var created time.Time
	for i, l := range rewritten {
		if l == nil {
			continue
		}
		changes = append(changes, image.LayerChange{Index: i, New: l, HistoryComment: comment(j.Plan.Layers[i].Because)})
		if j.edits.Times[i].After(created) {
			created = j.edits.Times[i]
		}
	}
	epoch := j.opts.Edits.SourceDateEpoch
	if !epoch.IsZero() {
		created = epoch
	}
	img, notes, err := image.Rebuild(j.image, changes, image.RebuildOptions{
		Created: created, CreatedExactly: !epoch.IsZero(), Annotations: map[string]string{
			AnnotationSource: j.Plan.Image.Digest.String(), AnnotationPlan: digest.String(),
		},
	})
	if err != nil {
		return nil, nil, fmt.Errorf("assembling the new image: %w", err)
	}
	texts := make([]string, 0, len(notes))
	for _, n := range notes {
		texts = append(texts, n.Text)
	}
	return img, texts, nil
}

// comment is what a rewritten layer's history entry says.
func comment(because []string) string { return "nanopatch: " + strings.Join(because, ", ") }

func (j *Job) applied(rewritten []v1.Layer) ([]AppliedLayer, error) {
	layers := make([]AppliedLayer, len(j.Plan.Layers))
	for i, l := range j.Plan.Layers {
		layers[i] = AppliedLayer{
			Index: i, Action: l.Action, OldDigest: l.Digest, NewDigest: l.Digest, OldSize: l.Size, NewSize: l.Size, CreatedBy: l.CreatedBy,
		}
		if i >= len(rewritten) || rewritten[i] == nil {
			continue
		}
		var err error
		if layers[i].NewDigest, err = rewritten[i].Digest(); err != nil {
			return nil, fmt.Errorf("layer %d: %w", i, err)
		}
		if layers[i].NewSize, err = rewritten[i].Size(); err != nil {
			return nil, fmt.Errorf("layer %d: %w", i, err)
		}
	}
	return layers, nil
}
