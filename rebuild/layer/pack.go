package layer

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"sync"
)

// A pack file holds one index and the content that it keeps: a magic line that names the version of the
// format, the content of the files one after the other, the index, and a footer of fixed length that says
// where the index lies and holds the CRC-32C of everything before. It is written under another name and then
// moved into place, so whoever finds it finds it whole, unless the machine lost power: the checksum tells.
const (
	packMagic  = "nanopatch layer index 2\n"
	footerSize = 8 + 4 // offset of the index, checksum
)

var errCorruptPack = errors.New("corrupt cache file")

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// packWriter writes a pack file. It is the sink of a scan.
type packWriter struct {
	buf *bufio.Writer
	out *checked
	// at is how far content has been written, from where the current file's began.
	at, from int64
}

// checked sums up what passes.
type checked struct {
	w     io.Writer
	table *crc32.Table
	crc   uint32
}

func (c *checked) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.crc = crc32.Update(c.crc, c.table, p[:n])
	return n, err
}

func newPackWriter(w io.Writer) (*packWriter, error) {
	out := &checked{w: w, table: castagnoli()}
	p := &packWriter{buf: bufio.NewWriterSize(out, 256<<10), out: out}
	_, err := p.Write([]byte(packMagic))
	p.from = p.at
	return p, err
}

func (p *packWriter) Write(b []byte) (int, error) {
	n, err := p.buf.Write(b)
	p.at += int64(n)
	return n, err
}

// packed is content in a pack that is being written: it has a place but no file yet.
type packed struct{ off int64 }

func (packed) Open() (File, error) { return nil, ErrNotKept }

func (p *packWriter) cut() Content {
	c := packed{p.from}
	p.from = p.at
	return c
}

// finish writes the index, whose kept content is all in this pack, and the footer.
func (p *packWriter) finish(x *Index) error {
	footer := binary.BigEndian.AppendUint64(nil, uint64(p.at))
	err := encodeIndex(p.buf, x, func(e *Entry) int64 {
		if c, ok := e.content.(packed); ok {
			return c.off
		}
		return -1
	})
	if err != nil {
		return err
	}
	if _, err := p.out.Write(footer); err != nil {
		return err
	}
	_, err = p.out.w.Write(binary.BigEndian.AppendUint32(nil, p.out.crc))
	return err
}

// loadPack reads the index of a pack file and checks the whole file's checksum.
func loadPack(path string) (*Index, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	size := info.Size()
	if size < int64(len(packMagic)+footerSize) {
		return nil, errCorruptPack
	}
	sum := &checked{w: io.Discard, table: castagnoli()}
	var footer [footerSize]byte
	if _, err := f.ReadAt(footer[:], size-footerSize); err != nil {
		return nil, err
	}
	start := int64(binary.BigEndian.Uint64(footer[:8]))
	if start < int64(len(packMagic)) || start > size-footerSize {
		return nil, errCorruptPack
	}
	magic := make([]byte, len(packMagic))
	content := io.NewSectionReader(f, 0, start)
	if _, err := io.ReadFull(io.TeeReader(content, sum), magic); err != nil || string(magic) != packMagic {
		return nil, errCorruptPack
	}
	if _, err := io.CopyBuffer(onlyWriter{sum}, io.LimitReader(content, start), make([]byte, 256<<10)); err != nil {
		return nil, err
	}
	index := make([]byte, size-footerSize-start)
	if _, err := f.ReadAt(index, start); err != nil {
		return nil, err
	}
	_, _ = sum.Write(index)
	_, _ = sum.Write(footer[:8])
	if sum.crc != binary.BigEndian.Uint32(footer[8:]) {
		return nil, errCorruptPack
	}
	p := &pack{path: path}
	x, err := decodeIndex(string(index), func(off, n int64) Content { return &section{p, off, n} })
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errCorruptPack, err)
	}
	return x, nil
}

// pack is a pack file from which content is read. The file is open while any content is.
type pack struct {
	path string

	mu   sync.Mutex
	f    *os.File
	open int
}

// section is one file's content in a pack.
type section struct {
	p      *pack
	off, n int64
}

func (s *section) Open() (File, error) {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	if s.p.open == 0 {
		f, err := os.Open(s.p.path)
		if err != nil {
			return nil, err
		}
		s.p.f = f
	}
	s.p.open++
	read := &paged{r: s.p.f}
	return &sectionFile{SectionReader: io.NewSectionReader(read, s.off, s.n), read: read, p: s.p}, nil
}

// pageSize is how much paged reads at once, in bytes.
const pageSize = 8 << 10

var pages = sync.Pool{New: func() any { return new([pageSize]byte) }}

// paged reads ahead for reads of less than a page. Parsers of executables take headers field by field, and a system call costs as much
// as copying some ten thousand bytes.
type paged struct {
	r io.ReaderAt

	mu   sync.Mutex
	page *[pageSize]byte // nil until there is such a read, and after the release
	at   int64           // where the page begins
	n    int             // how much is in it
}

func (p *paged) ReadAt(b []byte, off int64) (int, error) {
	if len(b) >= pageSize {
		return p.r.ReadAt(b, off)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var err error
	if off < p.at || off+int64(len(b)) > p.at+int64(p.n) {
		if p.page == nil {
			p.page = pages.Get().(*[pageSize]byte)
		}
		p.at = off
		p.n, err = p.r.ReadAt(p.page[:], off)
	}
	if p.page == nil {
		return 0, nil // nothing was asked for
	}
	if n := copy(b, p.page[off-p.at:p.n]); n < len(b) {
		return n, err
	}
	return len(b), nil
}

func (p *paged) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.page != nil {
		pages.Put(p.page)
		p.page, p.n = nil, 0
	}
}

type sectionFile struct {
	*io.SectionReader
	read *paged
	p    *pack
	once sync.Once
}

func (f *sectionFile) Close() (err error) {
	f.once.Do(func() {
		f.read.release()
		f.p.mu.Lock()
		defer f.p.mu.Unlock()
		if f.p.open--; f.p.open == 0 {
			err, f.p.f = f.p.f.Close(), nil
		}
	})
	return err
}
