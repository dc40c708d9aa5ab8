package generate

import (
	"context"
	"io"
	"maps"
	"slices"
	"sync"

	stereoscope "github.com/anchore/stereoscope/pkg/file"
	"github.com/anchore/syft/syft/file"
)

// recorder is what a cataloger sees of an image, and writes down what it asks. What it gives out by locations needs no query of
// its own: it is part of the answer that had the location.
type recorder struct {
	*questioner

	mu      sync.Mutex
	queries map[string]query
	given   map[*entry]bool
	read    int64 // bytes of the files that were opened
	blind   bool  // it was asked for what has no answer, or for what no answer had
}

var _ file.Resolver = (*recorder)(nil)

// record begins a trace. given are the locations that the cataloger has from elsewhere.
func (q *questioner) record(given ...file.Location) *recorder {
	r := &recorder{questioner: q, queries: map[string]query{}, given: map[*entry]bool{}}
	r.give(given)
	return r
}

// trace is what was asked so far, not ok where that does not determine what the cataloger was told.
func (r *recorder) trace() (queries []query, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(r.queries)) {
		queries = append(queries, r.queries[key])
	}
	return queries, !r.blind
}

func (r *recorder) give(locations []file.Location) {
	for i := range locations {
		e := r.view.node(locations[i])
		r.given[e] = true
		r.blind = r.blind || e == nil
	}
}

// note takes a query down, and what it led to.
func (r *recorder) note(what query, locations []file.Location, answer func() answer) {
	a := r.once(&what, answer)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.queries[what.key()] = what
	r.blind = r.blind || !a.known
	r.give(locations)
}

func (r *recorder) noteFound(kind queryKind, args []string, locations []file.Location, err error) {
	r.note(query{Kind: kind, Args: args}, locations, func() answer { return r.answerOf(locations, err) })
}

// knows tells whether an earlier answer had what is at a location, and notes where none had.
func (r *recorder) knows(l file.Location) *entry {
	e := r.view.node(l)
	r.mu.Lock()
	defer r.mu.Unlock()
	if e == nil || !r.given[e] {
		r.blind = true
		return nil
	}
	return e
}

// HasPath asks the view.
func (r *recorder) HasPath(p string) bool {
	yes := r.view.HasPath(p)
	r.note(query{Kind: hasPath, Args: []string{p}}, nil, func() answer { return yesOrNo(yes) })
	return yes
}

// FilesByPath asks the view.
func (r *recorder) FilesByPath(paths ...string) ([]file.Location, error) {
	found, err := r.view.FilesByPath(paths...)
	r.noteFound(byPath, slices.Clone(paths), found, err)
	return found, err
}

// FilesByGlob asks the view.
func (r *recorder) FilesByGlob(patterns ...string) ([]file.Location, error) {
	found, err := r.view.FilesByGlob(patterns...)
	r.noteFound(byGlob, slices.Clone(patterns), found, err)
	return found, err
}

// FilesByMIMEType asks the view. The order of types means nothing to it, and catalogers list sets.
func (r *recorder) FilesByMIMEType(types ...string) ([]file.Location, error) {
	found, err := r.view.FilesByMIMEType(types...)
	r.noteFound(byMIMEType, slices.Sorted(slices.Values(types)), found, err)
	return found, err
}

// RelativeFileByPath asks the view.
func (r *recorder) RelativeFileByPath(beside file.Location, p string) *file.Location {
	found := r.view.RelativeFileByPath(beside, p)
	if r.knows(beside) == nil {
		return found
	}
	var locations []file.Location
	if found != nil {
		locations = append(locations, *found)
	}
	what := query{Kind: relative, Args: []string{p}}
	if r.named {
		what.Beside = &beside.Coordinates
	}
	r.note(what, locations, func() answer { return r.one(found) })
	return found
}

// FileContentsByLocation opens a file. What a link leads to is not part of the answer that had the link.
func (r *recorder) FileContentsByLocation(l file.Location) (io.ReadCloser, error) {
	if e := r.knows(l); e != nil {
		r.mu.Lock()
		r.read += e.Size
		r.blind = r.blind || e.kind() != stereoscope.TypeRegular
		r.mu.Unlock()
	}
	return r.view.FileContentsByLocation(l)
}

// FileMetadataByLocation describes what is at a location.
func (r *recorder) FileMetadataByLocation(l file.Location) (file.Metadata, error) {
	r.knows(l)
	return r.view.FileMetadataByLocation(l)
}

// AllLocations sends what the view does. A trace of it would be as long as the image, so there is none.
func (r *recorder) AllLocations(ctx context.Context) <-chan file.Location {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.blind = true
	return r.view.AllLocations(ctx)
}
