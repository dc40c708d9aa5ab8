package dpkg

import (
	"archive/tar"
	"bytes"
	"compress/bzip2"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/therootcompany/xz"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/layer"
)

// Bounds of what is read out of a package file, in bytes. A .deb cannot hold more than 10 GB (the ar size field), and
// the largest packages of Debian unpack to 5 GB; control archives stay below 4 MB.
const (
	maxControlArchive = 64 << 20
	maxControlFiles   = 1000
	maxDataArchive    = 32 << 30
	// The largest dictionaries that a decompressor may ask memory for: those of xz -9, which dpkg-deb -z9 gives to the
	// control archive too, and of zstd --ultra -22.
	maxDictionary = 64 << 20
	maxWindow     = 128 << 20
)

// deb is an opened package file.
type deb struct {
	pkg     ecosystem.Package
	control Stanza
	// raw is the control file's own bytes.
	raw       []byte
	conffiles []declaredConffile
	replaces  relations
	// depends are the relations of Pre-Depends and Depends.
	depends  relations
	triggers []interest
	// info are the control files for dpkg's database, by kind ("postinst"), the control file itself aside.
	info  map[string]controlFile
	date  time.Time
	files *layer.Index
}

// controlFile is a file of the control archive.
type controlFile struct {
	content      []byte
	mode         int64
	uid, gid     int
	uname, gname string
	time         time.Time
}

func (d *deb) Package() ecosystem.Package { return d.pkg }
func (d *deb) Date() time.Time            { return d.date }
func (d *deb) Files() *layer.Index        { return d.files }

// Unpack reads a binary package in the format deb(5): an ar archive of debian-binary, control.tar and data.tar, the
// latter two uncompressed or compressed by gzip, xz or zstd (data.tar also by bzip2), in this order. Members whose names
// begin with an underscore are passed over. The package is hashed, not checked: what it ought to be, its caller knows.
func (Ecosystem) Unpack(ctx context.Context, file string, files ecosystem.FileIndexer) (ecosystem.Payload, error) {
	d, err := unpack(ctx, file, files)
	if err != nil {
		return nil, fmt.Errorf("reading package %s: %w", path.Base(file), err)
	}
	return d, nil
}

func unpack(ctx context.Context, file string, files ecosystem.FileIndexer) (*deb, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	sum := sha256.New()
	size, err := io.Copy(sum, contextReader{ctx, f})
	if err != nil {
		return nil, err
	}
	members, err := debMembers(f, size)
	if err != nil {
		return nil, err
	}
	d := &deb{date: members.version.time}
	if err := d.readControl(f, members.control); err != nil {
		return nil, fmt.Errorf("%s: %w", members.control.name, err)
	}
	d.files, err = files.IndexTar(ctx, hex.EncodeToString(sum.Sum(nil)), func() (io.ReadCloser, error) {
		return openData(file, members.data)
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", members.data.name, err)
	}
	return d, checkFiles(d.files)
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

// members3 are the members that make a package.
type members3 struct {
	version, control, data member
}

// debMembers finds them, in the order that dpkg-deb insists on (extracthalf in src/deb/extract.c).
func debMembers(r io.ReaderAt, size int64) (members3, error) {
	var found members3
	all, err := readMembers(r, size)
	if err != nil {
		return found, err
	}
	want := []struct {
		prefix string
		into   *member
	}{{"debian-binary", &found.version}, {"control.tar", &found.control}, {"data.tar", &found.data}}
	for _, m := range all {
		if len(want) == 0 {
			break // dpkg-deb does not look behind data.tar
		}
		if strings.HasPrefix(m.name, "_") && want[0].into != &found.version {
			continue
		}
		if !strings.HasPrefix(m.name, want[0].prefix) {
			return found, fmt.Errorf("%w: member %.20q where %s should be", errNotDeb, m.name, want[0].prefix)
		}
		*want[0].into = m
		want = want[1:]
	}
	if len(want) > 0 {
		return found, fmt.Errorf("%w: no member %s", errNotDeb, want[0].prefix)
	}
	version := make([]byte, min(found.version.size, 16))
	if _, err := r.ReadAt(version, found.version.offset); err != nil {
		return found, err
	}
	if !bytes.HasPrefix(version, []byte("2.")) || !bytes.ContainsRune(version, '\n') {
		return found, fmt.Errorf("%w: format version %.10q", errNotDeb, version)
	}
	return found, nil
}

// openData opens the data archive, uncompressed.
func openData(file string, m member) (io.ReadCloser, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	r, err := decompress(m.name, io.NewSectionReader(f, m.offset, m.size))
	if err != nil {
		f.Close()
		return nil, err
	}
	return &dataReader{Reader: &boundedReader{r: r, left: maxDataArchive}, decompressor: r, file: f}, nil
}

type dataReader struct {
	io.Reader
	decompressor io.Closer
	file         *os.File
}

func (r *dataReader) Close() error {
	return errors.Join(r.decompressor.Close(), r.file.Close())
}

// decompress opens what a member's name says about its compression.
func decompress(name string, r io.Reader) (io.ReadCloser, error) {
	switch ext := path.Ext(name); ext {
	case ".tar":
		return io.NopCloser(r), nil
	case ".gz":
		return gzip.NewReader(r)
	case ".xz":
		x, err := xz.NewReader(r, maxDictionary)
		if err != nil {
			return nil, err
		}
		return io.NopCloser(x), nil
	case ".zst":
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, err
		}
		return z.IOReadCloser(), nil
	case ".bz2":
		return io.NopCloser(bzip2.NewReader(r)), nil
	default:
		return nil, fmt.Errorf("%w: unknown compression %.10q", errNotDeb, ext)
	}
}

// boundedReader fails where more comes than expected, unlike io.LimitReader, which ends.
type boundedReader struct {
	r    io.Reader
	left int64
}

func (b *boundedReader) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, errors.New("archive unpacks to more than is read of any package")
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left+1)])
	b.left -= int64(n)
	return n, err
}

// readControl reads the control archive into memory.
func (d *deb) readControl(f io.ReaderAt, m member) error {
	r, err := decompress(m.name, io.NewSectionReader(f, m.offset, m.size))
	if err != nil {
		return err
	}
	defer r.Close()
	d.info = make(map[string]controlFile)
	tr := tar.NewReader(&boundedReader{r: r, left: maxControlArchive})
	// What the files have is counted besides: the holes of a sparse one take no place in the archive.
	content := &boundedReader{r: tr, left: maxControlArchive}
	for n := 0; ; n++ {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if n == maxControlFiles {
			return fmt.Errorf("more than %d files", maxControlFiles)
		}
		if err := d.readControlFile(h, content); err != nil {
			return err
		}
	}
	return d.parseControl()
}

func (d *deb) readControlFile(h *tar.Header, r io.Reader) error {
	name, err := cleanPath(h.Name)
	if err != nil {
		return fmt.Errorf("entry %.100q: %w", h.Name, err)
	}
	if name == "." {
		return nil
	}
	if h.Typeflag != tar.TypeReg || strings.Contains(name, "/") {
		// dpkg refuses directories; links would be another name for something outside.
		return fmt.Errorf("entry %.100q is not a plain file", h.Name)
	}
	if h.Size > maxControlArchive || isSparse(h) {
		return fmt.Errorf("entry %.100q is a sparse file, or one of more than %d bytes", h.Name, maxControlArchive)
	}
	content, err := io.ReadAll(r)
	if err != nil {
		return fmt.Errorf("entry %.100q: %w", h.Name, err)
	}
	if name == infoControl {
		d.raw = content
		return nil
	}
	// dpkg installs no control file with a dot in its name, nor one that would be the package's file list
	// (pkg_infodb_update in src/main/unpack.c).
	if strings.Contains(name, ".") || name == infoList {
		return nil
	}
	d.info[name] = controlFile{
		content: content, mode: h.Mode & 0o7777, uid: h.Uid, gid: h.Gid, uname: h.Uname, gname: h.Gname,
		time: h.ModTime.Truncate(time.Second),
	}
	return nil
}

// isSparse tells whether a file of the PAX format has holes ("Storing Sparse Files" in GNU tar's manual); its type flag
// is that of any other file.
func isSparse(h *tar.Header) bool {
	for k := range h.PAXRecords {
		if strings.HasPrefix(k, "GNU.sparse.") {
			return true
		}
	}
	return false
}

// parseControl reads the control file and the conffiles.
func (d *deb) parseControl() error {
	if d.raw == nil {
		return errors.New("no control file")
	}
	reader := NewReader(d.raw)
	reader.Strict = true
	s, ok, err := reader.Next()
	if err == nil && !ok {
		err = errors.New("is empty")
	}
	if err == nil {
		_, ok, err = reader.Next()
		if ok {
			err = errors.New("has more than one stanza")
		}
	}
	if err != nil {
		return fmt.Errorf("control file: %w", err)
	}
	for _, name := range []string{"Status", "Config-Version", "Triggers-Pending", "Triggers-Awaited"} {
		if f, has := s.Field(name); has {
			return fmt.Errorf("control file: %w", syntaxErrorf(f.Line, "field %s belongs to the database only", name))
		}
	}
	d.control = s
	if d.pkg, err = parsePackage(s); err != nil {
		return fmt.Errorf("control file: %w", err)
	}
	if d.pkg.Version == "" || d.pkg.Arch == "" {
		return errors.New("control file: Version or Architecture is missing")
	}
	if d.replaces, err = fieldRelations(s, "Replaces"); err != nil {
		return fmt.Errorf("control file: %w", err)
	}
	for _, name := range []string{"Pre-Depends", "Depends"} {
		more, err := fieldRelations(s, name)
		if err != nil {
			return fmt.Errorf("control file: %w", err)
		}
		d.depends = append(d.depends, more...)
	}
	if d.conffiles, err = parseDeclaredConffiles(d.info[infoConffiles].content); err != nil {
		return fmt.Errorf("conffiles: %w", err)
	}
	if d.triggers, err = parseTriggers(d.info[infoTriggers].content); err != nil {
		return fmt.Errorf("triggers: %w", err)
	}
	return nil
}

// checkFiles refuses what dpkg would not unpack, or what would not stay below the root.
func checkFiles(x *layer.Index) error {
	types := make(map[string]byte, len(x.Entries))
	for i := range x.Entries {
		e := &x.Entries[i]
		if p, err := cleanPath(e.Path); err != nil || p != e.Path {
			return fmt.Errorf("data archive: entry %.200q: %w", e.Path, errEscapes)
		}
		if strings.ContainsRune(e.Path, '\n') {
			return fmt.Errorf("data archive: entry %.200q has a newline in its name", e.Path)
		}
		switch e.Type {
		case tar.TypeReg, tar.TypeDir, tar.TypeSymlink, tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
		case tar.TypeLink:
			if t, err := x.Target(e); err != nil || t.Path == e.Path {
				return fmt.Errorf("data archive: entry %.200q is a hard link that leads nowhere", e.Path)
			}
		default:
			return fmt.Errorf("data archive: entry %.200q has the unknown type %q", e.Path, e.Type)
		}
		if before, twice := types[e.Path]; twice && (before != tar.TypeDir || e.Type != tar.TypeDir) {
			// The last would win, but links to the others would change their meaning.
			return fmt.Errorf("data archive: entry %.200q is there twice", e.Path)
		}
		types[e.Path] = e.Type
		if len(e.PAX) > 0 {
			// Extended attributes, for example: tar_extractor in lib/dpkg/tarfn.c knows none of it.
			return fmt.Errorf("data archive: entry %.200q has a PAX header, which dpkg does not support", e.Path)
		}
		if e.Sparse {
			return fmt.Errorf("data archive: entry %.200q is a sparse file", e.Path)
		}
	}
	return nil
}
