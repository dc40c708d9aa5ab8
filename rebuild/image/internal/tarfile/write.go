package tarfile

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
	"time"
)

// block is the unit of a tar archive (POSIX.1-2001, pax, "ustar Interchange Format").
const block = 512

// Writer writes an archive. Members have mode 0644, no owner and the time 0, so that the same content is the same archive.
type Writer struct {
	file *os.File
	end  int64
}

// NewWriter writes into an empty file.
func NewWriter(f *os.File) *Writer { return &Writer{file: f} }

// Add copies a member's content. Its header is written afterwards, when the size is known.
func (w *Writer) Add(name string, content io.Reader) error {
	if _, err := w.file.Seek(w.end+block, io.SeekStart); err != nil {
		return err
	}
	size, err := io.Copy(w.file, content)
	if err != nil {
		return err
	}
	header, err := header(name, size)
	if err != nil {
		return err
	}
	if _, err := w.file.WriteAt(header, w.end); err != nil {
		return err
	}
	w.end += block + (size+block-1)/block*block
	return nil
}

// Close writes the end of the archive: two empty blocks, and with them the last member's padding.
func (w *Writer) Close() error { return w.file.Truncate(w.end + 2*block) }

// header is one block: GNU's format has numbers of any size.
func header(name string, size int64) ([]byte, error) {
	var b bytes.Buffer
	h := &tar.Header{
		Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644, ModTime: time.Unix(0, 0), Format: tar.FormatGNU,
	}
	if err := tar.NewWriter(&b).WriteHeader(h); err != nil {
		return nil, err
	}
	if b.Len() != block {
		return nil, fmt.Errorf("the name %q does not fit an archive's header", name)
	}
	return b.Bytes(), nil
}
