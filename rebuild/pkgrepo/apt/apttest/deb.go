package apttest

import (
	"archive/tar"
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strconv"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/therootcompany/xz"
)

// maxControl bounds a control file.
const maxControl = 1 << 20

// Control returns the control file of a .deb: deb(5).
func Control(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := control(bufio.NewReader(f))
	if err != nil {
		return "", fmt.Errorf("reading %s: %w", file, err)
	}
	return text, nil
}

func control(r io.Reader) (string, error) {
	magic := make([]byte, 8)
	if _, err := io.ReadFull(r, magic); err != nil || string(magic) != "!<arch>\n" {
		return "", errors.New("not an ar archive")
	}
	for {
		header := make([]byte, 60)
		if _, err := io.ReadFull(r, header); err != nil {
			return "", fmt.Errorf("no control archive: %w", err)
		}
		name := strings.TrimRight(string(header[:16]), " /")
		size, err := strconv.ParseInt(strings.TrimSpace(string(header[48:58])), 10, 64)
		if err != nil || size < 0 {
			return "", errors.New("malformed ar header")
		}
		if strings.HasPrefix(name, "control.tar") {
			return controlOf(io.LimitReader(r, size), path.Ext(name))
		}
		if _, err := io.CopyN(io.Discard, r, size+size%2); err != nil {
			return "", err
		}
	}
}

func controlOf(r io.Reader, extension string) (string, error) {
	r, err := decompress(r, extension)
	if err != nil {
		return "", err
	}
	for t := tar.NewReader(r); ; {
		h, err := t.Next()
		if err != nil {
			return "", fmt.Errorf("no control file: %w", err)
		}
		if path.Clean(h.Name) == "control" {
			text, err := io.ReadAll(io.LimitReader(t, maxControl))
			return strings.TrimRight(string(text), "\n"), err
		}
	}
}

func decompress(r io.Reader, extension string) (io.Reader, error) {
	switch extension {
	case ".tar":
		return r, nil
	case ".gz":
		return gzip.NewReader(r)
	case ".xz":
		return xz.NewReader(r, 0)
	case ".zst":
		return zstd.NewReader(r, zstd.WithDecoderConcurrency(1))
	}
	return nil, fmt.Errorf("control archive is compressed as %s", extension)
}
