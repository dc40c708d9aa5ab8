package layer

import (
	"archive/tar"
	"context"
	"crypto/md5" //nolint:gosec // see Entry.MD5
	"crypto/sha256"
	"hash"
	"io"
	"math"
	"path"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Keep decides whether an index keeps the content of a regular file. head is its first 512 bytes, or all
// of a shorter file; it is only valid during the call.
type Keep func(e *Entry, head []byte) bool

// KeepAll keeps the content of every regular file.
func KeepAll(*Entry, []byte) bool { return true }

const headSize = 512

// Limits bound what an archive may ask for. Zero fields have the defaults named.
type Limits struct {
	// Size is the length in bytes of one uncompressed archive; 64 GiB. The holes of sparse files do not count.
	Size int64
	// Entries is the number of entries in one archive; 500 000, of some 300 bytes each beside their names.
	Entries int
	// Path is the length of a path or link target in bytes; 4096, as in Linux.
	Path int
	// Header is the length in bytes of all headers of one entry, PAX records included; 4 MiB.
	Header int
	// Names is the length in bytes of all paths, link targets and PAX records of one archive, which an
	// index holds in memory; 256 MiB.
	Names int64
	// Kept is the length in bytes of all content that an index keeps; 16 GiB.
	Kept int64
}

const maxPath = 4096

func (l Limits) withDefaults() Limits {
	defaultTo(&l.Size, 64<<30)
	l.Size = min(l.Size, math.MaxInt64-1) // one more is read, to tell
	defaultTo(&l.Entries, 500_000)
	defaultTo(&l.Path, maxPath)
	defaultTo(&l.Header, 4<<20)
	defaultTo(&l.Names, 256<<20)
	defaultTo(&l.Kept, 16<<30)
	return l
}

func defaultTo[T int | int64](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}

// ScanOptions tune Scan. The zero value keeps no content.
type ScanOptions struct {
	Keep   Keep
	Limits Limits
	// Layer names the layer in errors.
	Layer v1.Hash

	// sink takes kept content; nil is memory.
	sink sink
}

// sink stores the content of one file after the other.
type sink interface {
	io.Writer
	// cut ends a file: it returns all bytes written since the cut before.
	cut() Content
}

// memorySink keeps content in memory.
type memorySink struct{ buf []byte }

func (m *memorySink) Write(p []byte) (int, error) {
	m.buf = append(m.buf, p...)
	return len(p), nil
}

func (m *memorySink) cut() Content {
	b := m.buf
	m.buf = nil
	return Bytes(b)
}

// Scan indexes an uncompressed tar archive in one pass. Kept content is held in memory, for small archives
// and tests; a Store keeps it on disk. What is wrong with the archive is a FormatError; errors of r are
// returned as they are. Bytes behind the end of the archive are read, counted in Size and else ignored.
func Scan(ctx context.Context, r io.Reader, opts ScanOptions) (*Index, error) {
	opts.Limits = opts.Limits.withDefaults()
	s := scanner{
		opts: opts, f: newFramer(r, opts.Layer, opts.Limits.Header), sink: opts.sink,
		sha: sha256.New(), md: md5.New(), buf: make([]byte, 128<<10), //nolint:gosec // see Entry.MD5
	}
	if s.sink == nil {
		s.sink = &memorySink{}
	}
	x := &Index{}
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		fr, err := s.f.next()
		if ended(err) {
			break
		}
		if err != nil {
			return nil, err
		}
		// Judged by what the header announces, before anything of it is read.
		if fr.body > opts.Limits.Size-s.f.pos {
			return nil, s.f.fail(problem("more than %d bytes", opts.Limits.Size))
		}
		if fr.global() {
			continue
		}
		e, err := s.entry(ctx, fr)
		if err == nil && len(x.Entries) == opts.Limits.Entries {
			err = problem("more than %d entries", opts.Limits.Entries)
		}
		if err != nil {
			return nil, s.f.fail(err)
		}
		x.Entries = append(x.Entries, e)
	}
	x.end = s.f.pos - int64(len(s.f.raw))
	rest := io.LimitReader(until(ctx, s.f.src), opts.Limits.Size-s.f.pos+1)
	n, err := io.CopyBuffer(onlyWriter{io.Discard}, rest, s.buf)
	if x.Size = s.f.pos + n; err == nil && x.Size > opts.Limits.Size {
		return nil, s.f.fail(problem("more than %d bytes", opts.Limits.Size))
	}
	return x, err
}

// reader is a function that reads.
type reader func(p []byte) (int, error)

func (r reader) Read(p []byte) (int, error) { return r(p) }

// until reads from r until the context ends. It hides all methods of r but Read.
func until(ctx context.Context, r io.Reader) io.Reader {
	return reader(func(p []byte) (int, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		return r.Read(p)
	})
}

type scanner struct {
	opts        ScanOptions
	f           *framer
	sink        sink
	sha, md     hash.Hash
	buf         []byte
	names, kept int64
}

// entry reads the rest of a frame.
func (s *scanner) entry(ctx context.Context, fr *frame) (Entry, error) {
	e, err := fr.entry(s.opts.Limits.Path)
	if err != nil {
		return e, err
	}
	s.names += int64(len(e.Path) + len(e.Linkname))
	for k, v := range e.PAX {
		s.names += int64(len(k) + len(v))
	}
	if s.names > s.opts.Limits.Names {
		return e, problem("paths and records of more than %d bytes", s.opts.Limits.Names)
	}
	if !e.IsRegular() || e.Sparse {
		return e, nil
	}
	return e, s.content(ctx, &e)
}

// content reads a regular file's data: digests it, and keeps it if asked to.
func (s *scanner) content(ctx context.Context, e *Entry) error {
	s.sha.Reset()
	s.md.Reset()
	keep := false
	for first := true; first || s.f.left > 0; first = false {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := io.ReadFull(s.f, s.buf[:min(int64(len(s.buf)), s.f.left)])
		if err != nil {
			return err
		}
		chunk := s.buf[:n]
		s.sha.Write(chunk)
		if first {
			keep = s.opts.Keep != nil && s.opts.Keep(e, chunk[:min(n, headSize)])
		}
		if !keep {
			s.md.Write(chunk)
			continue
		}
		if s.kept += int64(n); s.kept > s.opts.Limits.Kept {
			return problem("content to keep of more than %d bytes", s.opts.Limits.Kept)
		}
		if _, err := s.sink.Write(chunk); err != nil {
			return err
		}
	}
	s.sha.Sum(e.SHA256[:0])
	switch {
	case e.Size == 0:
		e.content = Bytes(nil)
	case keep:
		e.content = s.sink.cut()
	default:
		s.md.Sum(e.md5[:0])
	}
	return nil
}

// entry reads a frame's header.
func (f *frame) entry(maxPath int) (Entry, error) {
	h := f.hdr
	e := Entry{
		Type: h.Typeflag, Mode: h.Mode & 0o7777, UID: h.Uid, GID: h.Gid, Uname: h.Uname, Gname: h.Gname,
		ModTime: h.ModTime.UTC(), Linkname: h.Linkname, PAX: h.PAXRecords, Sparse: f.sparse,
		offset: f.offset, head: int64(len(f.raw)), body: f.body,
	}
	if len(e.PAX) == 0 {
		e.PAX = nil
	}
	var err error
	if e.Path, err = cleanPath(h.Name, maxPath); err != nil {
		return e, err
	}
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeCont, tar.TypeGNUSparse:
		e.Type, e.Size, e.Linkname = tar.TypeReg, h.Size, ""
	case tar.TypeLink:
		e.Linkname, err = cleanPath(h.Linkname, maxPath)
	case tar.TypeSymlink:
		if len(h.Linkname) > maxPath {
			err = problem("a link target longer than %d bytes", maxPath)
		}
	case tar.TypeChar, tar.TypeBlock:
		e.Devmajor, e.Devminor, e.Linkname = h.Devmajor, h.Devminor, ""
	case tar.TypeDir, tar.TypeFifo:
		e.Linkname = ""
	default:
		err = problem("unknown entry type %q", h.Typeflag)
	}
	if err == nil && e.Path == "." && e.Type != tar.TypeDir {
		err = problem("the root is not a directory")
	}
	if err == nil && (outOfRange(e.UID) || outOfRange(e.GID) || e.Size < 0) {
		err = problem("a number out of range: owner %d:%d, size %d", e.UID, e.GID, e.Size)
	}
	return e, err
}

func outOfRange(id int) bool { return id < 0 || id > math.MaxUint32 }

// cleanPath makes a name of an archive relative to the root as the runtimes do: leading slashes and "."
// elements go. They would also resolve ".."; there is no honest use of it, so it is an error.
func cleanPath(name string, limit int) (string, error) {
	switch {
	case len(name) > limit:
		return "", problem("a name longer than %d bytes", limit)
	case strings.IndexByte(name, 0) >= 0:
		return "", problem("a name that holds a NUL byte")
	case strings.Contains(name, "..") && hasDotDot(name):
		return "", problem(`a name that leads out of its directory by ".."`)
	}
	p := path.Clean("/" + name)[1:]
	if p == "" {
		return ".", nil
	}
	base := path.Base(p)
	if hidden, ok := strings.CutPrefix(base, whiteoutPrefix); ok && (hidden == "" || hidden == "." || hidden == "..") {
		return "", problem("a whiteout that hides no name")
	}
	return p, nil
}

func hasDotDot(name string) bool {
	for elem := range strings.SplitSeq(name, "/") {
		if elem == ".." {
			return true
		}
	}
	return false
}
