package image

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/nanopatch/nanopatch/rebuild/image/internal/tarfile"
)

// maxArchive bounds what a compressed archive, or a daemon's answer, may grow to on disk, in bytes.
const maxArchive = 256 << 30

// openArchived opens an image of an archive or a daemon. What this client has pushed there is found by its digest before
// anything of it is written.
func (c *Client) openArchived(ctx context.Context, ref Ref) (opened, error) {
	repo, err := c.Repository(ref)
	if err != nil {
		return opened{}, err
	}
	if ref.ByDigest() {
		return repo.(*archiveRepository).openDigest(ctx, ref)
	}
	l, err := c.archived(ctx, ref)
	if err != nil {
		return opened{}, err
	}
	if ref.Transport == DockerDaemon {
		// A daemon was asked for the one image, and may know it by a longer name.
		ref.Tag = ""
	}
	return l.open(ref)
}

// archived is the content of an archive, or of what a daemon saves of an image, as a layout.
func (c *Client) archived(ctx context.Context, ref Ref) (layout, error) {
	var f *os.File
	var err error
	if ref.Transport == DockerDaemon {
		f, err = c.saved(ctx, ref)
	} else {
		f, err = archiveFile(ctx, ref.Repository)
	}
	if err != nil {
		return layout{}, archiveError(ref, err)
	}
	archive, err := tarfile.Open(f)
	if err != nil {
		return layout{}, archiveError(ref, err)
	}
	c.mu.Lock()
	c.archives = append(c.archives, archive)
	c.mu.Unlock()
	if ref.Transport == LayoutArchive {
		return layout{place: ref.place(), files: tarFiles{archive}}, nil
	}
	return readDocker(ref.place(), archive)
}

// archiveError gives errors of the file system and of archives their kind.
func archiveError(ref Ref, err error) error {
	var typed *Error
	e := &Error{Ref: ref.place(), Cause: err, What: err.Error()}
	switch {
	case errors.As(err, &typed):
		return err
	case errors.Is(err, fs.ErrNotExist):
		e.Kind, e.What, e.Hint = ErrNotFound, "no such file", "check the path"
	case errors.Is(err, fs.ErrPermission):
		e.Kind, e.Hint = ErrUnauthorized, "check the permissions"
	case errors.Is(err, tarfile.ErrFormat), errors.Is(err, gzip.ErrHeader), errors.Is(err, gzip.ErrChecksum),
		errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, zstd.ErrMagicMismatch):
		e.Kind = ErrInvalid
	default:
		return fmt.Errorf("%s: %w", ref.place(), err)
	}
	return e
}

// archiveFile opens an archive. Of a compressed one, the content is inflated into a file without a name: its parts have
// to be reached in any order.
func archiveFile(ctx context.Context, path string) (*os.File, error) {
	f, _, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	head := make([]byte, 4)
	n, err := f.ReadAt(head, 0)
	if err != nil && err != io.EOF { //nolint:errorlint // io.ReaderAt promises io.EOF itself
		_ = f.Close()
		return nil, err
	}
	inflate := inflaterOf(head[:n])
	if inflate == nil {
		return f, nil
	}
	defer f.Close()
	plain, err := inflate(bufio.NewReaderSize(f, 1<<20))
	if err != nil {
		return nil, err
	}
	defer plain.Close()
	return spool(ctx, plain)
}

// inflaterOf tells from its first bytes how content is compressed, if it is.
func inflaterOf(head []byte) func(io.Reader) (io.ReadCloser, error) {
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}): // RFC 1952
		return func(r io.Reader) (io.ReadCloser, error) { return gzip.NewReader(r) }
	case bytes.Equal(head, []byte{0x28, 0xb5, 0x2f, 0xfd}): // RFC 8878
		return func(r io.Reader) (io.ReadCloser, error) {
			z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20))
			if err != nil {
				return nil, err
			}
			return z.IOReadCloser(), nil
		}
	}
	return nil
}

// spool copies a stream into a file that no longer has a name.
func spool(ctx context.Context, from io.Reader) (*os.File, error) {
	f, err := os.CreateTemp("", "nanopatch-*")
	if err != nil {
		return nil, err
	}
	err = os.Remove(f.Name())
	if err == nil {
		var n int64
		n, err = io.Copy(f, io.LimitReader(&stoppable{Reader: from, stop: ctx.Err}, maxArchive))
		if err == nil && n == maxArchive {
			err = fmt.Errorf("%w: larger than %d GiB", tarfile.ErrFormat, maxArchive>>30)
		}
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// tarFiles are a layout's files in an archive.
type tarFiles struct{ archive *tarfile.Archive }

func (t tarFiles) open(path string) (io.ReadCloser, int64, error) {
	section, err := t.archive.Find(path)
	if err != nil {
		return nil, 0, err
	}
	return io.NopCloser(section), section.Size(), nil
}

// stagedFiles are a layout's files that are kept apart until someone wants them, above those of another layout. They are
// read while more are staged.
type stagedFiles struct {
	// below may be nil.
	below files

	mu    sync.RWMutex
	index []byte
	blobs map[string]opener
}

// opener opens content and tells its size.
type opener func() (io.ReadCloser, int64, error)

func newStagedFiles(index []byte, below files) *stagedFiles {
	return &stagedFiles{index: index, below: below, blobs: make(map[string]opener)}
}

func inMemory(content []byte) opener {
	return func() (io.ReadCloser, int64, error) {
		return io.NopCloser(bytes.NewReader(content)), int64(len(content)), nil
	}
}

func (s *stagedFiles) open(path string) (io.ReadCloser, int64, error) {
	s.mu.RLock()
	open, staged := s.blobs[path]
	if path == indexFile {
		open, staged = inMemory(s.index), true
	}
	s.mu.RUnlock()
	switch {
	case staged:
		return open()
	case s.below == nil:
		return nil, 0, fmt.Errorf("%s: %w", path, fs.ErrNotExist)
	}
	return s.below.open(path)
}

// has tells whether a blob is staged, or lies below with the right size: there it is nearer than its source.
func (s *stagedFiles) has(desc v1.Descriptor) bool {
	path := blobFile(desc.Digest)
	s.mu.RLock()
	_, staged := s.blobs[path]
	s.mu.RUnlock()
	if staged || s.below == nil {
		return staged
	}
	rc, size, err := s.below.open(path)
	if err != nil {
		return false
	}
	_ = rc.Close()
	return size == desc.Size
}

func (s *stagedFiles) keep(digest v1.Hash, open opener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blobs[blobFile(digest)] = open
}

func (s *stagedFiles) replace(index []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.index = index
}

// put keeps small content under its digest.
func (s *stagedFiles) put(content []byte) (v1.Hash, error) {
	digest, _, err := v1.SHA256(bytes.NewReader(content))
	if err == nil {
		s.keep(digest, inMemory(content))
	}
	return digest, err
}

// decodeMember reads a small JSON file of an archive.
func decodeMember(archive *tarfile.Archive, name string, limit int64, into any) ([]byte, error) {
	section, err := archive.Find(name)
	if err != nil {
		return nil, err
	}
	if section.Size() > limit {
		return nil, fmt.Errorf("%w: %s has %d bytes, too many", tarfile.ErrFormat, name, section.Size())
	}
	raw, err := io.ReadAll(section)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return nil, fmt.Errorf("%w: %s cannot be read: %w", tarfile.ErrFormat, name, err)
	}
	return raw, nil
}
