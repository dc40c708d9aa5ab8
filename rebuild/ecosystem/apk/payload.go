package apk

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha1" //nolint:gosec // apk names content by SHA-1
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"time"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/layer"
)

// payload is one opened package file.
type payload struct {
	members *Members
	size    int64
	pkg     ecosystem.Package
	scripts map[string][]byte
	files   *layer.Index
	// sums are the checksums of files and links by path, as the archive states them.
	sums map[string]Checksum
}

func (p *payload) Package() ecosystem.Package { return p.pkg }
func (p *payload) Files() *layer.Index        { return p.files }

// built is the build time that the package states; zero where it states none.
func (p *payload) built() time.Time { return parseTime(p.members.Info.Get("builddate")) }

// Date is the build time. A package whose packager left it out is as old as the newest of its files.
func (p *payload) Date() time.Time {
	t := p.built()
	if !t.IsZero() {
		return t
	}
	t = time.Unix(0, 0).UTC()
	for i := range p.files.Entries {
		if m := p.files.Entries[i].ModTime; m.After(t) {
			t = m
		}
	}
	return t
}

// scriptKinds are the scripts of a package in the order in which the database lists them (src/package.c).
var scriptKinds = []string{
	"pre-install", "post-install", "pre-deinstall", "post-deinstall", "pre-upgrade", "post-upgrade", "trigger",
}

// checksumRecord is the PAX record that states a file's SHA-1, in hexadecimal.
const checksumRecord = "APK-TOOLS.checksum.SHA1"

var (
	errMismatch   = errors.New("content does not have the checksum that the archive states")
	errNoChecksum = errors.New("no checksum in the archive")
	errName       = errors.New("a name with a control character")
)

// Unpack reads a package file of version 2: it checks the data against the control member, and each file against the
// checksum that the archive states. Whether the control member is the one that an index names is for whoever fetched the
// file to check, see [ReadMembers].
func (Ecosystem) Unpack(ctx context.Context, file string, files ecosystem.FileIndexer) (ecosystem.Payload, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	m, err := ReadMembers(f, info.Size())
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", file, err)
	}
	if err := m.Verify(f); err != nil {
		return nil, fmt.Errorf("reading %s: %w", file, err)
	}
	p := &payload{members: m, size: info.Size(), pkg: m.Info.Package(), scripts: make(map[string][]byte)}
	for _, c := range m.Control {
		for _, kind := range scriptKinds {
			if c.Name == "."+kind {
				p.scripts[kind] = c.Content
			}
		}
	}
	p.files, err = files.IndexTar(ctx, hex.EncodeToString(m.DataHash[:]), func() (io.ReadCloser, error) {
		again, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		z, err := gzip.NewReader(m.Data(again))
		if err != nil {
			return nil, errors.Join(err, again.Close())
		}
		return inflated{z, again}, nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", file, err)
	}
	if err := p.checkFiles(); err != nil {
		return nil, fmt.Errorf("reading %s: %w", file, &FormatError{err})
	}
	return p, nil
}

// inflated reads a member of an open package file and closes the file.
type inflated struct {
	io.Reader
	io.Closer
}

// checkFiles checks the checksums of all files and notes them.
func (p *payload) checkFiles() error {
	p.sums = make(map[string]Checksum)
	for i := range p.files.Entries {
		e := &p.files.Entries[i]
		if !ships(e) || e.IsDir() {
			continue
		}
		if strings.ContainsFunc(e.Path, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return fmt.Errorf("%w: %q", errName, e.Path)
		}
		switch e.Type {
		case tar.TypeReg, tar.TypeSymlink:
			if err := p.checkFile(e); err != nil {
				return fmt.Errorf("%s: %w", e.Path, err)
			}
		case tar.TypeLink:
			target, err := p.files.Target(e)
			if err != nil {
				return err
			}
			p.sums[e.Path] = p.sums[target.Path]
		}
	}
	return nil
}

func (p *payload) checkFile(e *layer.Entry) error {
	stated, err := hex.DecodeString(e.PAX[checksumRecord])
	switch {
	case err != nil || len(stated) != 0 && len(stated) != sha1.Size:
		return errMismatch
	case len(stated) == 0 && e.IsRegular():
		return errNoChecksum
	case len(stated) == 0:
		return nil // apk knows nothing of such a link's target either
	}
	p.sums[e.Path] = Checksum(stated)
	if !e.IsRegular() {
		return nil // apk does not check it either, and some packagers state that of no content
	}
	f, err := p.files.Open(e)
	if err != nil {
		return err
	}
	defer f.Close()
	sum, err := sumOf(f)
	if err == nil && sum != Checksum(stated) {
		err = errMismatch
	}
	return err
}

func sumOf(r io.Reader) (Checksum, error) {
	h := sha1.New() //nolint:gosec // see Checksum
	_, err := io.Copy(h, r)
	return Checksum(h.Sum(nil)), err
}

// ships tells whether apk installs an entry of the archive: names that begin with a dot are its own, and files
// ".keep_…" only keep a directory in a source tree.
func ships(e *layer.Entry) bool {
	return e.Path[0] != '.' && (e.IsDir() || !strings.HasPrefix(path.Base(e.Path), ".keep_"))
}

// triggers are the directories that the package's trigger watches.
func (p *payload) triggers() []string { return strings.Fields(p.members.Info.Get("triggers")) }
