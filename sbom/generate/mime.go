package generate

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	stereoscope "github.com/anchore/stereoscope/pkg/file"
)

// mimeHead is how much of a file its MIME type is told from: what the detector of the stock source reads.
const mimeHead = 3072

// mimeTypes finds regular files by MIME type. Types are told from content, and reading all content of an image to answer
// the one question that catalogers ask ("which are executables?") would cost more than all the rest: so only
// files whose content is at hand are looked at, and only when asked, and for executables only those that begin like one.
type mimeTypes struct {
	executables func() (map[string][]*entry, error)
	all         func() (map[string][]*entry, error)
}

// newMIMETypes tells the types of the nodes' content; openKept is the tree's.
func newMIMETypes(nodes []entry, openKept func(*entry) (File, error)) *mimeTypes {
	return &mimeTypes{
		executables: sync.OnceValues(func() (map[string][]*entry, error) { return detectAll(nodes, openKept, looksExecutable) }),
		all:         sync.OnceValues(func() (map[string][]*entry, error) { return detectAll(nodes, openKept, nil) }),
	}
}

// executableTypes are the MIME types of executables: a file of one of them passes looksExecutable.
var executableTypes = map[string]bool{
	"application/x-executable":                      true,
	"application/x-mach-binary":                     true,
	"application/x-elf":                             true,
	"application/x-sharedlib":                       true,
	"application/vnd.microsoft.portable-executable": true,
}

// find returns the files of the given types, sorted by path.
func (m *mimeTypes) find(types []string) ([]*entry, error) {
	table := m.executables
	wanted := map[string]bool{}
	for _, t := range types {
		wanted[t] = true
		if !executableTypes[t] {
			table = m.all
		}
	}
	byType, err := table()
	if err != nil {
		return nil, err
	}
	var found []*entry
	for t := range wanted {
		found = append(found, byType[t]...)
	}
	sortByPath(found)
	return found, nil
}

// detectAll tells the MIME types of all files at hand whose first bytes pass the filter.
func detectAll(nodes []entry, openKept func(*entry) (File, error), filter func(head []byte) bool) (map[string][]*entry, error) {
	byType := map[string][]*entry{}
	head := make([]byte, mimeHead)
	for i := range nodes {
		e := &nodes[i]
		if e.kind() != stereoscope.TypeRegular || e.Size == 0 {
			continue
		}
		f, err := openKept(e)
		if errors.Is(err, ErrNotKept) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("opening %s: %w", e.Path, err)
		}
		t, err := detect(f, e.Path, head, filter)
		if err != nil {
			return nil, err
		}
		if t != "" {
			byType[t] = append(byType[t], e)
		}
	}
	return byType, nil
}

// detect tells one file's MIME type and closes the file; "" where the content does not pass the filter.
func detect(f File, p string, head []byte, filter func([]byte) bool) (string, error) {
	defer f.Close()
	if filter != nil {
		n, err := f.ReadAt(head[:magicSize], 0)
		if err != nil && !errors.Is(err, io.EOF) {
			return "", fmt.Errorf("reading %s: %w", p, err)
		}
		if !filter(head[:n]) {
			return "", nil
		}
	}
	return stereoscope.MIMEType(io.NewSectionReader(f, 0, mimeHead)), nil
}

func sortByPath(entries []*entry) {
	slices.SortFunc(entries, func(a, b *entry) int { return strings.Compare(a.Path, b.Path) })
}
