package rebuild

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/nanopatch/nanopatch/rebuild/layer"
	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
	"github.com/nanopatch/nanopatch/rebuild/plan"
	"github.com/nanopatch/nanopatch/rebuild/policy"
	"github.com/nanopatch/nanopatch/rebuild/rootfs"
)

// ErrNoPackages says that an image holds no package database that this version knows.
var ErrNoPackages = errors.New("no package database found")

// ErrOptions says that repositories, keyrings or advisories that the options name cannot be used.
var ErrOptions = errors.New("unusable option")

// Options are what a plan depends on besides the image. Store, Client and Now must be set.
type Options struct {
	Store  *layer.Store
	Client *pkgrepo.Client
	// Now is the clock: what has expired, and how old a package is. It never reaches the image.
	Now   func() time.Time
	Rules policy.Rules
	// Repositories replace those that the image configures: files in the ecosystem's own format, base URLs or
	// directories. Keyrings are files or directories of keys; where given, all repositories must be signed with one of
	// them, and what the image trusts does not count.
	Repositories, Keyrings []string
	// Advisories name documents that know which CVEs an update fixes: files, https: URLs, or PublishedAdvisories. They never
	// decide what an update does.
	Advisories []string
	// Edits are the choices of the editing rules.
	Edits plan.Options
	// Lock, where set, names the updates: no repository index is read and no policy asked.
	Lock *plan.PlatformLock
	// Concurrency is how many layers are read or written at once; 0 is the number of processors.
	Concurrency int
	// Logger gets what is of interest when something is slow or odd; nil is silent.
	Logger *slog.Logger
}

func (o *Options) concurrency() int {
	if o.Concurrency > 0 {
		return o.Concurrency
	}
	return runtime.GOMAXPROCS(0)
}

func (o *Options) logger() *slog.Logger {
	if o.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return o.Logger
}

// warn logs what an image's repositories have to say, a line each.
func (o *Options) warn(ctx context.Context, notes []string) {
	for _, n := range notes {
		o.logger().WarnContext(ctx, n)
	}
}

// blame tells an error about what the options name from one about what the image configures.
func (*Options) blame(err error, named []string) error {
	if len(named) == 0 {
		return err
	}
	return fmt.Errorf("%w: %w", ErrOptions, err)
}

// Job is a plan with everything at hand to apply it.
type Job struct {
	Plan *plan.Plan
	// Tree is the source image's layers merged.
	Tree *rootfs.Stack

	opts    *Options
	image   v1.Image
	sources []v1.Layer
	edits   *plan.Edits
	// until is when the plan may be another without any change of its inputs, if lasting.
	until   time.Time
	lasting bool
}

// Because tells which update changes a path of the image, if one does.
func (j *Job) Because(path string) (string, bool) {
	if j.edits == nil {
		return "", false
	}
	key, ok := j.edits.Changed[path]
	return key.String(), ok
}

// Plan plans the rebuild of one platform's image. name is the image as the user knows it; its Digest may be zero.
//
// The error is ErrNoPackages where the image has no known package database; pkgrepo.ErrUnreachable or
// pkgrepo.ErrVerification where a repository cannot be used. What stands in the way of a single update is no error but
// a hold in the plan.
func Plan(ctx context.Context, img v1.Image, name plan.Image, opts Options) (*Job, error) {
	j := &Job{image: img, opts: &opts}
	if err := j.open(ctx, name); err != nil {
		return nil, err
	}
	var known []string
	for _, b := range backends() {
		known = append(known, b.ecosystem.Name())
		err := j.plan(ctx, b)
		if errors.Is(err, errNotHere) {
			continue
		}
		if err != nil {
			return nil, err
		}
		return j, nil
	}
	return nil, fmt.Errorf("%w: it has none of %s; such an image has to be built anew from its recipe", ErrNoPackages, strings.Join(known, ", "))
}

// Read merges an image's layers, and lists them, without planning anything.
func Read(ctx context.Context, img v1.Image, opts Options) (*rootfs.Stack, []plan.Layer, error) {
	j := &Job{image: img, opts: &opts}
	if err := j.open(ctx, plan.Image{}); err != nil {
		return nil, nil, err
	}
	return j.Tree, j.Plan.Layers, nil
}

// open indexes all layers, in parallel, and merges them.
func (j *Job) open(ctx context.Context, name plan.Image) error {
	layers, err := describe(j.image)
	if err != nil {
		return err
	}
	if j.sources, err = j.image.Layers(); err != nil {
		return fmt.Errorf("reading the manifest: %w", err)
	}
	indexes := make([]*layer.Index, len(j.sources))
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(j.opts.concurrency())
	for _, i := range largestFirst(layers) {
		group.Go(func() error {
			var err error
			if indexes[i], err = j.opts.Store.Index(gctx, j.sources[i]); err != nil {
				return fmt.Errorf("layer %d (%s): %w", i, layers[i].Digest, err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	tree, err := rootfs.New(indexes)
	if err != nil {
		return fmt.Errorf("merging the layers: %w", err)
	}
	j.Tree = tree.WithContent(func(i int, e *layer.Entry) (layer.File, error) {
		return j.opts.Store.Open(ctx, j.sources[i], e)
	})
	j.Plan = &plan.Plan{APIVersion: plan.APIVersion, Kind: "Plan", Image: name, Layers: layers}
	return nil
}

// largestFirst are the indices of layers in the order in which to read them in parallel: what is begun last should not take longest.
func largestFirst(layers []plan.Layer) []int {
	order := make([]int, len(layers))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(layers[b].Size, layers[a].Size) })
	return order
}

// describe lists an image's layers with the instructions that made them.
func describe(img v1.Image) ([]plan.Layer, error) {
	m, err := img.Manifest()
	if err != nil {
		return nil, fmt.Errorf("reading the manifest: %w", err)
	}
	c, err := img.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("reading the config: %w", err)
	}
	if len(c.RootFS.DiffIDs) != len(m.Layers) {
		return nil, fmt.Errorf("the manifest has %d layers, the config %d diffIDs", len(m.Layers), len(c.RootFS.DiffIDs))
	}
	var by []string
	for _, h := range c.History {
		if !h.EmptyLayer {
			by = append(by, h.CreatedBy)
		}
	}
	layers := make([]plan.Layer, len(m.Layers))
	for i, l := range m.Layers {
		layers[i] = plan.Layer{
			Index: i, Digest: l.Digest, DiffID: c.RootFS.DiffIDs[i], Size: l.Size, Action: plan.Keep, Because: []string{},
		}
		if len(by) == len(m.Layers) {
			layers[i].CreatedBy = by[i]
		}
	}
	return layers, nil
}

// Image is the image that the plan is for.
func (j *Job) Image() v1.Image { return j.image }
