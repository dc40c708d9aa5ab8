package generate

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"sync"

	stereoscope "github.com/anchore/stereoscope/pkg/file"
	"github.com/anchore/syft/syft/file"
)

// query is one question of a cataloger about what files an image has.
type query struct {
	Kind queryKind `json:"kind"`
	// Args are the paths, patterns or types that are asked for.
	Args []string `json:"args"`
	// Beside is the file as whose layer a relative path is looked for, where layers have views of their own.
	Beside *file.Coordinates `json:"beside,omitempty"`
}

type queryKind string

const (
	byPath     queryKind = "path"
	byGlob     queryKind = "glob"
	byMIMEType queryKind = "mime"
	relative   queryKind = "relative"
	hasPath    queryKind = "has"
)

func (q *query) key() string {
	key := fmt.Sprintf("%s %q", q.Kind, q.Args)
	if q.Beside != nil {
		key += fmt.Sprintf(" %q %q", q.Beside.FileSystemID, q.Beside.RealPath)
	}
	return key
}

// questioner answers queries about one image and remembers the answers, of which only the digests are of interest: whether they
// are what they were in another image.
type questioner struct {
	view view
	// named says that the layers' names are part of the answers.
	named bool

	mu      sync.Mutex
	answers map[string]answer // by the query's key
}

// answer is the digest of what a query led to. One that is not known tells nothing, not even that two are the same.
type answer struct {
	digest string
	known  bool
}

func newQuestioner(v view, named bool) *questioner {
	return &questioner{view: v, named: named, answers: map[string]answer{}}
}

// inputs is the digest of queries, in any order, and their answers; not ok where an answer is not known.
func (q *questioner) inputs(queries []query) (digest string, ok bool) {
	lines := make([]string, len(queries))
	for i := range queries {
		a := q.ask(&queries[i])
		if !a.known {
			return "", false
		}
		lines[i] = queries[i].key() + " = " + a.digest
	}
	slices.Sort(lines)
	return sum(lines...), true
}

func (q *questioner) ask(what *query) answer {
	return q.once(what, func() (a answer) {
		switch what.Kind {
		case byPath:
			a = q.answerOf(q.view.FilesByPath(what.Args...))
		case byGlob:
			a = q.answerOf(q.view.FilesByGlob(what.Args...))
		case byMIMEType:
			a = q.answerOf(q.view.FilesByMIMEType(what.Args...))
		case relative:
			if beside, ok := q.beside(what); ok && len(what.Args) == 1 {
				a = q.one(q.view.RelativeFileByPath(beside, what.Args[0]))
			}
		case hasPath:
			if len(what.Args) == 1 {
				a = yesOrNo(q.view.HasPath(what.Args[0]))
			}
		}
		return a
	})
}

// once is the answer to a query, which is found out the first time.
func (q *questioner) once(what *query, find func() answer) answer {
	key := what.key()
	q.mu.Lock()
	a, ok := q.answers[key]
	q.mu.Unlock()
	if ok {
		return a
	}
	a = find()
	q.mu.Lock()
	defer q.mu.Unlock()
	q.answers[key] = a
	return a
}

// beside is the location that a query is relative to. Where layers have no names in answers, it makes none of them another.
func (q *questioner) beside(what *query) (l file.Location, ok bool) {
	if !q.named || what.Beside == nil {
		return l, !q.named
	}
	e := q.view.at(*what.Beside)
	if e == nil {
		return l, false
	}
	return file.NewLocationFromDirectory(what.Beside.RealPath, what.Beside.FileSystemID, e.ref), true
}

// answerOf is the answer of locations, in their order.
func (q *questioner) answerOf(locations []file.Location, err error) answer {
	if err != nil {
		return answer{}
	}
	lines := make([]string, len(locations))
	for i := range locations {
		line, ok := q.describe(&locations[i])
		if !ok {
			return answer{}
		}
		lines[i] = line
	}
	return answer{sum(lines...), true}
}

func (q *questioner) one(l *file.Location) answer {
	if l == nil {
		return answer{sum("nothing"), true}
	}
	return q.answerOf([]file.Location{*l}, nil)
}

func yesOrNo(yes bool) answer { return answer{fmt.Sprint(yes), true} }

// describe is all that a cataloger can learn from a location: where it is, and what the file there is and holds. Not ok is a file
// of which the content is not known.
func (q *questioner) describe(l *file.Location) (line string, ok bool) {
	e := q.view.node(*l)
	if e == nil || e.kind() == stereoscope.TypeRegular && e.Size > 0 && e.SHA256 == [sha256.Size]byte{} {
		return "", false
	}
	layer := ""
	if q.named {
		layer = l.FileSystemID
	}
	annotations := make([]string, 0, len(l.Annotations))
	for _, key := range slices.Sorted(maps.Keys(l.Annotations)) {
		annotations = append(annotations, key, l.Annotations[key])
	}
	return fmt.Sprintf("%q %q %q %q %q %q %d %o %d %d %d %d %q %x", l.RealPath, layer, l.AccessPath, l.FullPath, annotations,
		e.Path, e.Type, e.Mode, e.UID, e.GID, e.Size, e.ModTime.UnixNano(), e.Linkname, e.SHA256), true
}

// sum is a digest of strings, none of which can be taken for two.
func sum(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d %s\n", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil))
}
