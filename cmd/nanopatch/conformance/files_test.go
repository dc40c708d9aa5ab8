//go:build e2e

package conformance

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// file is what a tool made of a path.
type file struct {
	// kind is the type as tar says it; linked says that it has another name.
	kind     byte
	linked   bool
	size     int64
	uid, gid int
	// content is the end of it, note the extended attribute user.note.
	content, note string
}

// maxContent is how much of a file's end is kept, in bytes.
const maxContent = 256

// tailOf reads a file and returns the end of it.
func tailOf(r io.Reader) (string, error) {
	all, err := io.ReadAll(r)
	return string(all[max(0, len(all)-maxContent):]), err
}

// inDirectory lists what a tool unpacked.
func inDirectory(root string) (map[string]file, error) {
	files := make(map[string]file)
	err := filepath.WalkDir(root, func(name string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		files[rel], err = onDisk(name)
		return err
	})
	return files, err
}

func onDisk(name string) (file, error) {
	var st unix.Stat_t
	if err := unix.Lstat(name, &st); err != nil {
		return file{}, err
	}
	f := file{size: st.Size, uid: int(st.Uid), gid: int(st.Gid)}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		f.kind, f.linked = tar.TypeReg, st.Nlink > 1
		r, err := os.Open(name)
		if err != nil {
			return f, err
		}
		defer r.Close()
		if f.content, err = tailOf(r); err != nil {
			return f, err
		}
		value := make([]byte, maxContent)
		if n, err := unix.Lgetxattr(name, "user.note", value); err == nil {
			f.note = string(value[:n])
		}
	case unix.S_IFDIR:
		f.kind = tar.TypeDir
	case unix.S_IFLNK:
		f.kind = tar.TypeSymlink
	case unix.S_IFCHR:
		f.kind = tar.TypeChar
	case unix.S_IFBLK:
		f.kind = tar.TypeBlock
	case unix.S_IFIFO:
		f.kind = tar.TypeFifo
	}
	return f, nil
}

// apply puts an archive over files, as a layer (OCI image specification, "Applying Changesets").
func apply(files map[string]file, r io.Reader) error {
	archive := tar.NewReader(r)
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading an archive: %w", err)
		}
		name := strings.TrimPrefix(path.Clean("/"+h.Name), "/")
		dir, base := path.Split(name)
		if base == ".wh..wh..opq" {
			remove(files, strings.TrimSuffix(dir, "/"), false)
			continue
		}
		if hidden, ok := strings.CutPrefix(base, ".wh."); ok {
			remove(files, dir+hidden, true)
			continue
		}
		if h.Typeflag != tar.TypeDir {
			remove(files, name, true)
		}
		f := file{kind: h.Typeflag, size: h.Size, uid: h.Uid, gid: h.Gid, note: h.PAXRecords["SCHILY.xattr.user.note"]}
		if f.content, err = tailOf(archive); err != nil {
			return fmt.Errorf("reading %s: %w", h.Name, err)
		}
		if h.Typeflag == tar.TypeLink {
			f = files[strings.TrimPrefix(path.Clean("/"+h.Linkname), "/")]
			f.linked = true
		}
		files[name] = f
	}
}

// remove takes away what is below a path, and perhaps what is there.
func remove(files map[string]file, name string, itself bool) {
	if itself {
		delete(files, name)
	}
	for other := range files {
		if strings.HasPrefix(other, name+"/") {
			delete(files, other)
		}
	}
}

// as tells what is not as a kind has it. The updated file is looked at in results only.
func (k *kind) as(files map[string]file, result bool) error {
	if !holds(k.name)(files[marker]) {
		return fmt.Errorf("%s holds %q", marker, files[marker].content)
	}
	if result && !holds(expected)(files[updated]) {
		return fmt.Errorf("%s holds %q", updated, files[updated].content)
	}
	for name, good := range k.there {
		if f, ok := files[name]; !ok || !good(f) {
			return fmt.Errorf("%q is there: %v, as %+v", name, ok, f)
		}
	}
	for _, name := range k.gone {
		if _, ok := files[name]; ok {
			return fmt.Errorf("%q is there, and was removed", name)
		}
	}
	return nil
}
