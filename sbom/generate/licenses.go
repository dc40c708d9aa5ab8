package generate

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"sync"

	"github.com/google/licensecheck"
)

const (
	// maxAnswers is how many texts are remembered. A Debian image has some twenty that are not in the format for machines.
	maxAnswers = 2_000
	// maxMatches is how many licenses an answer may name to be remembered.
	maxMatches = 50
	// maxAnswersFile bounds the file of answers, in bytes: more than the two above can come to.
	maxAnswersFile = 16 << 20
)

type answers map[string]licensecheck.Coverage // by the SHA-256 of the text, in hexadecimal

// recognizer tells which licenses a text holds. Licensecheck finds them, as in syft, but is only built for a text that no
// earlier run has seen, since that takes most of a second.
type recognizer struct {
	dir     string // keeps the answers from run to run; empty keeps none
	used    func(file string)
	warn    func(error)
	start   func() // begins to build the scanner, the first time it is called
	scanner func() (*licensecheck.Scanner, error)
	// earlier reads the answers of earlier runs, the first time it is called; nil is that there was no run.
	earlier func() answers
	saving  sync.Mutex // is held while the file is written

	mu     sync.Mutex
	asked  answers // what this run has asked
	fresh  bool    // some of that is in no file
	failed error
}

// newRecognizer returns one that remembers in a directory, if that has a name. warn hears why answers cannot be used or kept.
func newRecognizer(dir string, used func(file string), warn func(error)) *recognizer {
	r := &recognizer{dir: dir, used: used, warn: warn, asked: answers{}}
	r.scanner = sync.OnceValues(func() (*licensecheck.Scanner, error) {
		return licensecheck.NewScanner(licensecheck.BuiltinLicenses())
	})
	r.start = sync.OnceFunc(func() { go func() { _, _ = r.scanner() }() }) // whoever needs it gets the error
	r.earlier = sync.OnceValue(func() answers {
		found, err := r.read()
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			r.warn(err)
		}
		return found
	})
	return r
}

// file is where the answers are kept.
func (r *recognizer) file() string { return filepath.Join(r.dir, "licenses-"+answering()) }

// answering names what gives the answers: another build, or other licenses, may give others.
var answering = sync.OnceValue(func() string {
	parts := []string{builtWith()}
	for _, l := range licensecheck.BuiltinLicenses() {
		parts = append(parts, l.ID, fmt.Sprint(l.Type), l.URL, l.LRE)
	}
	return sum(parts...)
})

// prepare begins to build the scanner where no earlier run tells whether it will be needed.
func (r *recognizer) prepare() {
	if r.earlier() == nil {
		r.start()
	}
}

// scan is licensecheck.Scan, from memory where it can be. It is safe for concurrent use. What goes wrong is told by save.
func (r *recognizer) scan(text []byte) licensecheck.Coverage {
	digest := sha256.Sum256(text)
	key := hex.EncodeToString(digest[:])
	r.mu.Lock()
	answer, ok := r.asked[key]
	r.mu.Unlock()
	if ok {
		return answer
	}
	answer, known := r.earlier()[key]
	var err error
	if !known {
		var scanner *licensecheck.Scanner
		if scanner, err = r.scanner(); err == nil {
			answer = scanner.Scan(text)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err != nil:
		r.failed = fmt.Errorf("preparing the license scanner: %w", err)
	case len(answer.Match) <= maxMatches && len(r.asked) < maxAnswers:
		r.asked[key] = answer
		r.fresh = r.fresh || !known
	}
	return answer
}

// err tells whether a text could not be scanned.
func (r *recognizer) err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

// save keeps the answers for other runs, beside those that are kept already or, where these are too many, in their place. Of two
// runs that save at once one may lose what the other has, which is then found again. It fails where a text could not be scanned.
func (r *recognizer) save() error {
	r.saving.Lock()
	defer r.saving.Unlock()
	r.mu.Lock()
	all, fresh, failed := maps.Clone(r.asked), r.fresh, r.failed
	r.fresh = false
	r.mu.Unlock()
	if failed != nil || r.dir == "" || !fresh && r.earlier() != nil {
		return failed
	}
	kept, err := r.read()
	if err == nil && len(kept)+len(all) <= maxAnswers {
		maps.Copy(all, kept)
	}
	content, err := json.Marshal(all)
	if err != nil {
		return err
	}
	if err := writeKept(r.file(), content); err != nil {
		r.warn(fmt.Errorf("keeping what licenses texts hold: %w", err))
	}
	return nil
}

// read reads what is kept. It is not nil where something is.
func (r *recognizer) read() (answers, error) {
	if r.dir == "" {
		return nil, fs.ErrNotExist
	}
	file := r.file()
	r.used(file)
	content, err := readKept(file, maxAnswersFile)
	if err != nil {
		return nil, err
	}
	var kept answers
	if err := json.Unmarshal(content, &kept); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if kept == nil {
		kept = answers{}
	}
	return kept, nil
}
