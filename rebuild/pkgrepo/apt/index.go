package apt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/therootcompany/xz"

	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
)

// An index is read by way of a table: the same file, reduced to the fields that are read, with Package
// first in every stanza, compressed with zstd. It is derived once from the index and kept under the digest of
// the very file it was made from, and under the way that file was decoded: all repositories share the tables,
// and what one of them declares must not decide what another one's file holds.
// Bookworm's main takes a second to decode from xz, a third of one from gzip, and a twentieth as a table.

// tableKind names the table's format in the cache, before the extension of what it was made from. A change of
// the format needs a new number.
const tableKind = "apt-2"

// maxIndex bounds an index, unpacked. Debian's main has 50 MB, Ubuntu's universe 75.
const maxIndex = 2 << 30

// encoding is a compressed form of an index.
type encoding struct {
	extension string
	open      func(io.Reader) (io.ReadCloser, error)
}

// encodings are in the order of preference: gzip before the smaller xz, because it decodes four times as
// fast, which outweighs three megabytes more on any line above 40 Mbit/s.
func encodings() []encoding {
	return []encoding{
		{".zst", openZstd},
		{".gz", func(r io.Reader) (io.ReadCloser, error) { return gzip.NewReader(r) }},
		{".xz", openXZ},
		{"", func(r io.Reader) (io.ReadCloser, error) { return io.NopCloser(r), nil }},
	}
}

// maxWindow bounds the memory that a decoder takes for what it may refer back to.
const maxWindow = 64 << 20

func openXZ(r io.Reader) (io.ReadCloser, error) {
	d, err := xz.NewReader(r, maxWindow)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(d), nil
}

func openZstd(r io.Reader) (io.ReadCloser, error) {
	d, err := zstd.NewReader(r, zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, err
	}
	return d.IOReadCloser(), nil
}

// offer is one form of an index that a Release file declares.
type offer struct {
	encoding
	fileSum
	// path is relative to the Release file.
	path string
}

// offers lists the forms of the index at path, best first.
func (r *releaseFile) offers(path string) []offer {
	var out []offer
	for _, e := range encodings() {
		if sum, ok := r.files[path+e.extension]; ok {
			out = append(out, offer{e, sum, path + e.extension})
		}
	}
	return out
}

// table opens the table of an index, made from the first of its forms that is there. offers must not be empty.
func (o *opener) table(ctx context.Context, s *suite, offers []offer) (*pkgrepo.Sealed, error) {
	for _, of := range offers[:len(offers)-1] {
		// Release files declare forms that are not there, the unpacked one as a rule.
		if t, err := o.tableOf(ctx, s, of); !errors.Is(err, pkgrepo.ErrNotFound) {
			return t, err
		}
	}
	t, err := o.tableOf(ctx, s, offers[len(offers)-1])
	return t, gone(err)
}

// tableOf opens the table of one form of an index.
func (o *opener) tableOf(ctx context.Context, s *suite, of offer) (*pkgrepo.Sealed, error) {
	return o.Client.Derived(ctx, tableKind+of.extension, of.sha256, func(w io.Writer) error {
		file, err := o.fetchIndex(ctx, s, of)
		if err != nil {
			return err
		}
		if err := writeTable(w, file, of); err != nil {
			return fmt.Errorf("reading the index %s: %w", s.base+of.path, err)
		}
		return nil
	})
}

// gone makes an index that is missing a repository that does not work: ErrNotFound is for artifacts.
func gone(err error) error {
	var e *pkgrepo.Error
	if errors.As(err, &e) && errors.Is(e.Kind, pkgrepo.ErrNotFound) {
		return &pkgrepo.Error{Kind: pkgrepo.ErrUnreachable, URL: e.URL, Err: errors.New(
			"not found, although the repository's Release file declares it: is the mirror in the middle of an update?")}
	}
	return err
}

// fetchIndex fetches one form of an index, by its hash where the repository allows it, so that an update of
// the repository in between does not matter.
func (o *opener) fetchIndex(ctx context.Context, s *suite, of offer) (string, error) {
	if of.size > maxIndex {
		return "", unverified(s.base+of.path, fmt.Errorf("declared larger than %d bytes", maxIndex))
	}
	a := pkgrepo.Artifact{Size: of.size, SHA256: of.sha256}
	if s.release.byHash && !s.source.NoByHash {
		a.URL = s.base + dirOf(of.path) + fmt.Sprintf("by-hash/SHA256/%x", of.sha256)
		file, err := o.Client.FetchIndex(ctx, a)
		if !errors.Is(err, pkgrepo.ErrNotFound) {
			return file, err
		}
	}
	a.URL = s.base + of.path
	return o.Client.FetchIndex(ctx, a)
}

// dirOf is path.Dir with a slash at the end, or empty.
func dirOf(p string) string {
	for i := len(p) - 1; i >= 0; i-- {
		if p[i] == '/' {
			return p[:i+1]
		}
	}
	return ""
}

func writeTable(w io.Writer, file string, of offer) (err error) {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	r, err := of.open(f)
	if err != nil {
		return err
	}
	defer r.Close()
	z, err := zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		return err
	}
	if err := reduce(z, &boundedReader{r, maxIndex}); err != nil {
		_ = z.Close()
		return err
	}
	return z.Close()
}

// boundedReader fails where more than n bytes come: a bomb must not pass for a short file.
type boundedReader struct {
	r io.Reader
	n int64
}

func (b *boundedReader) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.n -= int64(n); b.n < 0 {
		return 0, fmt.Errorf("unpacks to more than %d bytes", maxIndex)
	}
	return n, err
}

// reduce copies a Packages file, leaving out the fields that are not read.
func reduce(w io.Writer, r io.Reader) error {
	const flushAt = 128 << 10
	fields, names := newFieldIndex(), fieldNames()
	in := newStanzaReader(r)
	var out, pkg, rest []byte
	for {
		stanza, err := in.next()
		if err != nil {
			return err
		}
		if stanza == nil || len(out) >= flushAt {
			if _, err := w.Write(out); err != nil {
				return err
			}
			out = out[:0]
		}
		if stanza == nil {
			return nil
		}
		pkg, rest = pkg[:0], rest[:0]
		eachField(stanza, func(name, value []byte) {
			switch f := fields.find(name); f {
			case fieldNone:
			case fieldPackage:
				pkg = bytes.TrimSpace(value)
			default:
				rest = append(append(append(rest, names[f]...), ':'), value...)
			}
		})
		if len(pkg) == 0 || len(rest) == 0 {
			continue
		}
		out = append(append(append(out, tablePrefix...), pkg...), '\n')
		out = append(out, rest...)
		if out[len(out)-1] != '\n' {
			out = append(out, '\n')
		}
		out = append(out, '\n')
	}
}

const tablePrefix = "package:"

// scanTable calls f with every stanza of a table whose package is wanted.
func scanTable(table io.Reader, wanted map[string]struct{}, f func(record)) error {
	z, err := openZstd(table)
	if err != nil {
		return err
	}
	defer z.Close()
	fields, in := newFieldIndex(), newStanzaReader(z)
	for {
		stanza, err := in.next()
		if stanza == nil || err != nil {
			return err
		}
		name, _, _ := bytes.Cut(stanza, []byte("\n"))
		if _, ok := wanted[string(bytes.TrimPrefix(name, []byte(tablePrefix)))]; ok {
			f(fields.record(stanza))
		}
	}
}
