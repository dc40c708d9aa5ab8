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
	// maxAnswers is how many texts are remembered: a Debian image has some twenty that are not in the format for machines.
	maxAnswers = 10_000
	// maxMatches is how many licenses an answer may name to be remembered.
	maxMatches = 50
	// maxAnswersFile bounds the file of answers, in bytes: more than the two above can come to.
	maxAnswersFile = 64 << 20
)

// recognizer tells which licenses a text holds. Licensecheck finds them, as in syft, but is only built for a text that no
// earlier run has seen, since that takes most of a second.
type recognizer struct {
	dir     string // keeps the answers from run to run; empty keeps none
	used    func(file string)
	warn    func(error)
	start   func() // begins to build the scanner, the first time it is called
	scanner func() (*licensecheck.Scanner, error)
	load    func() // reads the answers of earlier runs, the first time it is called

	mu      sync.Mutex
	answers map[string]licensecheck.Coverage // by the SHA-256 of the text, in hexadecimal
	fresh   bool                             // some of answers are in no file
	failed  error
}

// newRecognizer returns one that remembers in a directory, if that has a name. warn hears why answers cannot be used.
func newRecognizer(dir string, used func(file string), warn func(error)) *recognizer {
	r := &recognizer{dir: dir, used: used, warn: warn, answers: map[string]licensecheck.Coverage{}}
	r.scanner = sync.OnceValues(func() (*licensecheck.Scanner, error) {
		return licensecheck.NewScanner(licensecheck.BuiltinLicenses())
	})
	r.start = sync.OnceFunc(func() { go func() { _, _ = r.scanner() }() }) // whoever needs it gets the error
	r.load = sync.OnceFunc(func() {
		answers, err := r.read()
		if err != nil {
			r.warn(err)
		}
		maps.Copy(r.answers, answers)
	})
	return r
}

// file is where the answers are kept. Other licenses to be recognized give other answers, so their digest is its name.
func (r *recognizer) file() string {
	h := sha256.New()
	for _, l := range licensecheck.BuiltinLicenses() {
		fmt.Fprintf(h, "%s %d %s %d %s\n", l.ID, l.Type, l.URL, len(l.LRE), l.LRE)
	}
	return filepath.Join(r.dir, "licenses-"+hex.EncodeToString(h.Sum(nil)))
}

// prepare begins to build the scanner, unless what the next image asks may well be answered already.
func (r *recognizer) prepare() {
	r.load()
	r.mu.Lock()
	known := len(r.answers) > 0
	r.mu.Unlock()
	if !known {
		r.start()
	}
}

// scan is licensecheck.Scan, from memory where it can be. It is safe for concurrent use. What goes wrong is told by save.
func (r *recognizer) scan(text []byte) licensecheck.Coverage {
	sum := sha256.Sum256(text)
	key := hex.EncodeToString(sum[:])
	r.load()
	r.mu.Lock()
	answer, ok := r.answers[key]
	r.mu.Unlock()
	if ok {
		return answer
	}
	scanner, err := r.scanner()
	if err == nil {
		answer = scanner.Scan(text)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.failed = fmt.Errorf("preparing the license scanner: %w", err)
		return answer
	}
	if len(answer.Match) <= maxMatches && len(r.answers) < maxAnswers {
		r.answers[key] = answer
		r.fresh = true
	}
	return answer
}

// save keeps the answers for other runs, beside those that other runs have kept meanwhile.
func (r *recognizer) save() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed != nil || !r.fresh || r.dir == "" {
		return r.failed
	}
	all, err := r.read()
	if err != nil {
		all = map[string]licensecheck.Coverage{}
	}
	maps.Copy(all, r.answers)
	if len(all) > maxAnswers {
		all = r.answers // begin anew
	}
	content, err := json.Marshal(all)
	if err != nil {
		return err
	}
	if err := writeKept(r.file(), content); err != nil {
		return fmt.Errorf("keeping what licenses texts hold: %w", err)
	}
	r.fresh = false
	return nil
}

// read reads the answers of earlier runs, none where there are none.
func (r *recognizer) read() (map[string]licensecheck.Coverage, error) {
	answers := map[string]licensecheck.Coverage{}
	if r.dir == "" {
		return answers, nil
	}
	file := r.file()
	r.used(file)
	content, err := readKept(file, maxAnswersFile)
	if errors.Is(err, fs.ErrNotExist) {
		return answers, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(content, &answers); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return answers, nil
}
