//go:build linux

package ecosystemtest

import (
	"archive/tar"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem/overlay"
)

// Xattr is the extended attribute that WriteTar looks for.
const Xattr = "user.test"

// WriteTar writes a directory, in which a real package manager ran, as a layer: paths as a walk finds them, hard links to the first
// name of each file. What skip names, by its path below the directory, is left out; nil leaves nothing out.
func WriteTar(w io.Writer, root string, skip func(name string) bool) error {
	out := tar.NewWriter(w)
	inodes := make(map[uint64]string)
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == root {
			return err
		}
		name, err := filepath.Rel(root, p)
		if err != nil || skip != nil && skip(name) {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		h, err := header(p, name, info)
		if err != nil {
			return err
		}
		inode := info.Sys().(*syscall.Stat_t).Ino
		if first, seen := inodes[inode]; seen && info.Mode().IsRegular() {
			h.Typeflag, h.Linkname, h.Size = tar.TypeLink, first, 0
		}
		inodes[inode] = h.Name
		if err := out.WriteHeader(h); err != nil || h.Typeflag != tar.TypeReg {
			return err
		}
		data, err := os.ReadFile(p)
		if err == nil {
			_, err = out.Write(data)
		}
		return err
	})
	if err != nil {
		return err
	}
	return out.Close()
}

func header(p, name string, info fs.FileInfo) (*tar.Header, error) {
	target := ""
	if info.Mode()&fs.ModeSymlink != 0 {
		var err error
		if target, err = os.Readlink(p); err != nil {
			return nil, err
		}
	}
	h, err := tar.FileInfoHeader(info, target)
	if err != nil {
		return nil, err
	}
	h.Name, h.Uname, h.Gname = name, "", ""
	value := make([]byte, 256)
	if n, err := syscall.Getxattr(p, Xattr, value); err == nil {
		h.PAXRecords = map[string]string{overlay.XattrPrefix + Xattr: string(value[:n])}
	}
	return h, nil
}
