package advisory

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// ErrFormat says that a document is none of those that are known, or damaged.
var ErrFormat = errors.New("not advisories in a known format")

// MaxDocument bounds a document, in bytes. Debian's tracker has 80 MB.
const MaxDocument = 512 << 20

// Document is a source that the caller names.
type Document struct {
	// Name is how statements call it.
	Name string
	// Open opens its content, as often as it is asked.
	Open func(ctx context.Context) (io.ReadCloser, error)
}

// format is a kind of document with its reader.
type format struct {
	kind Kind
	// read answers a question from a document whose first token has been read; opening is that token, '{' or '['.
	read func(dec *json.Decoder, opening json.Delim, q *question) error
}

// The keys by which a document is told from all others. One of them stands in it before its bulk, or is its bulk.
var byKey = map[string]format{
	"apkurl": {SecDB, readSecDB}, "urlprefix": {SecDB, readSecDB}, "distroversion": {SecDB, readSecDB},
	"affected": {OSV, readOSV}, "schema_version": {OSV, readOSV}, "vulns": {OSV, readOSV},
	"matches": {Grype, readGrype}, "ignoredMatches": {Grype, readGrype},
	"Results": {Trivy, readTrivy}, "SchemaVersion": {Trivy, readTrivy}, "ArtifactName": {Trivy, readTrivy},
}

// maxHead bounds how far into a document what it is must show, in bytes.
const maxHead = 1 << 20

// Detect finds out what a document is, from its first keys. The error is ErrFormat for one of no known format.
func (d Document) Detect(ctx context.Context) (Kind, error) {
	var kind Kind
	err := d.with(ctx, func(r io.Reader) error {
		f, _, err := begin(r)
		kind = f.kind
		return err
	})
	return kind, err
}

// read asks the document. It is read to its end, so that one that was cut short is an error and no answer.
func (d Document) read(ctx context.Context, q *question) (Kind, error) {
	var kind Kind
	err := d.with(ctx, func(r io.Reader) error {
		f, again, err := begin(r)
		if err != nil {
			return err
		}
		kind = f.kind
		dec := json.NewDecoder(again)
		token, err := dec.Token()
		if err != nil {
			return err
		}
		opening, _ := token.(json.Delim)
		if err := f.read(dec, opening, q); err != nil {
			return err
		}
		if _, err := dec.Token(); !errors.Is(err, io.EOF) {
			return fmt.Errorf("%w: more behind its end", ErrFormat)
		}
		return nil
	})
	return kind, err
}

// with opens the document.
func (d Document) with(ctx context.Context, f func(io.Reader) error) error {
	r, err := d.Open(ctx)
	if err != nil {
		return err
	}
	defer r.Close()
	err = f(&limitedReader{r: contextReader{ctx, r}, left: MaxDocument})
	if err == nil || ctx.Err() != nil {
		return err
	}
	return fmt.Errorf("reading advisories from %s: %w", d.Name, damaged(err))
}

// begin finds out what a document is; again reads it from its beginning.
func begin(r io.Reader) (f format, again io.Reader, err error) {
	var head bytes.Buffer
	dec := json.NewDecoder(io.TeeReader(&limitedReader{r: r, left: maxHead}, &head))
	token, err := dec.Token()
	if err != nil {
		return format{}, nil, err
	}
	opening, ok := token.(json.Delim)
	if !ok {
		return format{}, nil, fmt.Errorf("%w: neither a JSON object nor a list", ErrFormat)
	}
	if f, err = detect(dec, opening); errors.Is(err, errTooLarge) {
		err = ErrFormat
	}
	if err != nil {
		return format{}, nil, err
	}
	return f, io.MultiReader(&head, r), nil
}

// damaged makes an ErrFormat of what is wrong with a document's JSON.
func damaged(err error) error {
	var (
		syntax *json.SyntaxError
		kind   *json.UnmarshalTypeError
	)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: it ends too early", ErrFormat)
	case errors.As(err, &syntax), errors.As(err, &kind), errors.Is(err, errTooLarge):
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return err
}

// contextReader ends reading when the context ends.
type contextReader struct {
	ctx context.Context //nolint:containedctx // lives no longer than the call it belongs to
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// detect tells formats apart.
func detect(dec *json.Decoder, opening json.Delim) (format, error) {
	if opening == '[' {
		return detectList(dec)
	}
	for dec.More() {
		key, err := keyOf(dec)
		if err != nil {
			return format{}, err
		}
		if f, ok := byKey[key]; ok {
			return f, nil
		}
		inner, err := firstKey(dec)
		if err != nil {
			return format{}, err
		}
		if strings.HasPrefix(inner, "CVE-") || strings.HasPrefix(inner, "TEMP-") {
			return format{Tracker, readTracker}, nil
		}
	}
	return format{}, ErrFormat
}

// detectList: a list is one of OSV records.
func detectList(dec *json.Decoder) (format, error) {
	if !dec.More() {
		return format{}, ErrFormat
	}
	token, err := dec.Token()
	if err != nil {
		return format{}, err
	}
	if token == json.Delim('{') {
		if f, err := detect(dec, '{'); err == nil && f.kind == OSV {
			return f, nil
		}
	}
	return format{}, ErrFormat
}

// firstKey passes over a value; of an object it gives the first key.
func firstKey(dec *json.Decoder) (string, error) {
	token, err := dec.Token()
	if err != nil {
		return "", err
	}
	opening, ok := token.(json.Delim)
	if !ok {
		return "", nil
	}
	first := ""
	if opening == '{' && dec.More() {
		if first, err = keyOf(dec); err != nil {
			return "", err
		}
	}
	return first, skipRest(dec)
}

// skipRest passes over what is left of the object or list that was begun, token by token: it costs no memory.
func skipRest(dec *json.Decoder) error {
	for depth := 1; depth > 0; {
		token, err := dec.Token()
		if err != nil {
			return err
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
	}
	return nil
}

// skip passes over a value.
func skip(dec *json.Decoder) error {
	_, err := firstKey(dec)
	return err
}

func keyOf(dec *json.Decoder) (string, error) {
	token, err := dec.Token()
	if err != nil {
		return "", err
	}
	key, ok := token.(string)
	if !ok {
		return "", fmt.Errorf("%w: a key is no text", ErrFormat)
	}
	return key, nil
}

// object calls visit for each key of an object whose opening was read; visit reads the value.
func object(dec *json.Decoder, visit func(key string) error) error {
	for dec.More() {
		key, err := keyOf(dec)
		if err != nil {
			return err
		}
		if err := visit(key); err != nil {
			return err
		}
	}
	_, err := dec.Token()
	return err
}

// list calls visit for each element of the list that comes next, null being an empty one; visit reads the element.
func list(dec *json.Decoder, visit func() error) error {
	token, err := dec.Token()
	switch {
	case err != nil || token == nil:
		return err
	case token != json.Delim('['):
		return fmt.Errorf("%w: %v where a list belongs", ErrFormat, token)
	}
	return rest(dec, visit)
}

// rest is list after its opening.
func rest(dec *json.Decoder, visit func() error) error {
	for dec.More() {
		if err := visit(); err != nil {
			return err
		}
	}
	_, err := dec.Token()
	return err
}
