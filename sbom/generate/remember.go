package generate

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/anchore/syft/syft/cataloging/pkgcataloging"
	"github.com/anchore/syft/syft/file"
)

const (
	// questionsInfix and resultsInfix are in the names of the two kinds of files, behind what is remembered: a cataloger with all
	// that it depends on but the image.
	questionsInfix = "-asked-"
	resultsInfix   = "-found-"
	// worthKeeping is how many bytes of files a cataloger must have opened for its results to be remembered: less is read as
	// quickly as they are.
	worthKeeping = 256 << 10
	// maxQuestions is how many lists of queries are tried for one cataloger. Catalogers nearly always ask the same.
	maxQuestions = 8
	// maxLearned is how many results of one image are remembered: of each program that a classifier knows by its name, and of the
	// catalogers.
	maxLearned = 256
	// maxKeptFile bounds the files of queries and of results, in bytes. That of a program of 300 Go modules is a hundredth of it.
	maxKeptFile = 32 << 20
)

// memory remembers what catalogers found in any image, for one more image. A nil memory remembers nothing.
type memory struct {
	*questioner
	dir     string
	made    string // names what all results depend on
	worth   int64
	used    func(file string)
	logger  *slog.Logger
	costly  func(pkgcataloging.Config) []costlyCataloger
	learned atomic.Int32
	// files are the names in dir, by what they are of.
	files func() map[string][]string
}

// remembering is the memory for an image, nil where nothing is to be kept. Where every path is in one layer only, the name of a
// layer is not part of the answers to queries: a file of the same content may have moved to another layer without changing what
// catalogers say of other files. They take a layer's name only into the locations of what they found.
func (g *Generator) remembering(scope Scope, v view) *memory {
	if g.cacheDir == "" {
		return nil
	}
	m := &memory{
		questioner: newQuestioner(v, scope != Squashed), dir: filepath.Join(g.cacheDir, "traces"), worth: g.worth,
		made: sum(cacheVersion, g.version, builtWith(), WantsID(), string(scope)), used: g.used, logger: g.logger, costly: g.costly,
	}
	m.files = sync.OnceValue(m.list)
	return m
}

// recall returns what a cataloger of a name and options found in an image that answered all its queries the same, or runs it. given
// are the locations that it has without asking.
func (m *memory) recall(name, options string, given []file.Location, run func(file.Resolver) (results, error)) (results, error) {
	own := m.answerOf(given, nil)
	unit := sum(m.made, name, options, own.digest)[:32]
	if own.known {
		if found, ok := m.remembered(unit); ok {
			m.logger.Debug("remembered", "cataloger", name, "packages", len(found.packages))
			return found, nil
		}
	}
	recorder := m.record(given...)
	found, err := run(recorder)
	m.logger.Debug("ran", "cataloger", name, "packages", len(found.packages), "error", err)
	// Catalogers are not told of what is wrong with the tree, so that what they find then is not all.
	if err != nil || !own.known || m.view.err() != nil {
		return found, err
	}
	if err := m.learn(unit, recorder, found); errors.Is(err, errLossy) {
		m.logger.Debug("not remembered", "cataloger", name, "error", err)
	} else if err != nil {
		m.logger.Warn("what a cataloger found cannot be remembered", "cataloger", name, "error", err)
	}
	return found, nil
}

// list finds the files of queries, by the unit that asked them.
func (m *memory) list() map[string][]string {
	files := map[string][]string{}
	all, err := os.ReadDir(m.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		m.logger.Warn("what catalogers found cannot be remembered", "error", err)
	}
	for _, f := range all {
		if unit, _, ok := strings.Cut(f.Name(), questionsInfix); ok {
			files[unit] = append(files[unit], filepath.Join(m.dir, f.Name()))
		}
	}
	return files
}

func (m *memory) questionsFile(unit string, content []byte) string {
	return filepath.Join(m.dir, unit+questionsInfix+sum(string(content))[:32])
}

func (m *memory) resultsFile(unit, inputs string) string {
	return filepath.Join(m.dir, unit+resultsInfix+inputs[:32])
}

// newest are the files that were used last, no more than maxQuestions of them.
func newest(files []string) []string {
	used := map[string]time.Time{}
	for _, f := range files {
		if info, err := os.Stat(f); err == nil {
			used[f] = info.ModTime()
		}
	}
	files = slices.Clone(files)
	slices.SortFunc(files, func(a, b string) int { return cmp.Or(used[b].Compare(used[a]), strings.Compare(a, b)) })
	return files[:min(len(files), maxQuestions)]
}

// remembered is what is kept of a unit for this image.
func (m *memory) remembered(unit string) (results, bool) {
	for _, questions := range newest(m.files()[unit]) {
		found, err := m.tryQuestions(unit, questions)
		if err == nil {
			return found, true
		}
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errElsewhere) {
			m.logger.Warn("what a cataloger found in an earlier run cannot be used", "error", err)
		}
	}
	return results{}, false
}

// tryQuestions asks this image the queries of a file, and returns what was found where the answers were the same.
func (m *memory) tryQuestions(unit, questions string) (results, error) {
	m.used(questions)
	content, err := readKept(questions, maxKeptFile)
	if err != nil {
		return results{}, err
	}
	var queries []query
	if err := json.Unmarshal(content, &queries); err != nil {
		return results{}, fmt.Errorf("%s: %w", questions, err)
	}
	inputs, ok := m.inputs(queries)
	if !ok {
		return results{}, fs.ErrNotExist
	}
	file := m.resultsFile(unit, inputs)
	m.used(file)
	if content, err = readKept(file, maxKeptFile); err != nil {
		return results{}, err
	}
	found, err := decodeResults(content, inputs, m.view)
	if err != nil {
		return results{}, fmt.Errorf("%s: %w", file, err)
	}
	return found, nil
}

// learn keeps what was found, and the queries that led to it.
func (m *memory) learn(unit string, r *recorder, found results) error {
	queries, ok := r.trace()
	if !ok || r.read < m.worth || m.learned.Add(1) > maxLearned {
		return nil
	}
	inputs, ok := m.inputs(queries)
	if !ok {
		return nil
	}
	content, err := encodeResults(found, inputs, m.view)
	if err != nil {
		return err
	}
	questions, err := json.Marshal(queries)
	if err != nil {
		return err
	}
	if len(content) > maxKeptFile/2 || len(questions) > maxKeptFile/2 {
		return fmt.Errorf("%w: too much", errLossy)
	}
	if err := os.MkdirAll(m.dir, 0o700); err != nil {
		return err
	}
	return errors.Join(writeKept(m.resultsFile(unit, inputs), content), writeKept(m.questionsFile(unit, questions), questions))
}
