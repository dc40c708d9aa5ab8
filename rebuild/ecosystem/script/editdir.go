package script

import (
	"archive/tar"
	"fmt"
	"path"
	"strings"
	"syscall"
	"time"
)

// Mkdir makes a directory.
func (t *Tree) Mkdir(p string, mode int64) error {
	at, f, err := t.place("mkdir", strings.TrimRight(p, "/"), false)
	if err != nil {
		return err
	}
	if f != nil {
		return pathError("mkdir", p, syscall.EEXIST)
	}
	return t.set(at, t.newInode(tar.TypeDir, mode))
}

// Symlink makes a symbolic link at p that leads to target.
func (t *Tree) Symlink(target, p string) error {
	at, f, err := t.place("symlink", p, false)
	if err != nil {
		return err
	}
	if f != nil || target == "" {
		return pathError("symlink", p, syscall.EEXIST)
	}
	in := t.newInode(tar.TypeSymlink, 0o777)
	in.Linkname = target
	return t.set(at, in)
}

// Remove removes a file, or a directory if it is empty and dir is set.
func (t *Tree) Remove(p string, dir bool) error {
	at, f, err := t.place("remove", p, false)
	switch {
	case err != nil:
		return err
	case f == nil:
		return pathError("remove", p, syscall.ENOENT)
	case at == ".":
		return pathError("remove", p, syscall.EBUSY)
	case f.IsDir() && !dir:
		return pathError("remove", p, syscall.EISDIR)
	case !f.IsDir() && dir:
		return pathError("remove", p, syscall.ENOTDIR)
	case f.IsDir() && len(t.Names(at)) > 0:
		return pathError("remove", p, syscall.ENOTEMPTY)
	}
	t.drop(at)
	return nil
}

// Rename moves a file or directory, over what is there already if it is of the same kind.
func (t *Tree) Rename(from, to string) error {
	src, f, err := t.place("rename", strings.TrimRight(from, "/"), false)
	if err != nil {
		return err
	}
	if f == nil {
		return pathError("rename", from, syscall.ENOENT)
	}
	dst, old, err := t.place("rename", strings.TrimRight(to, "/"), false)
	switch {
	case err != nil:
		return err
	case src == dst:
		return nil
	case src == "." || dst == "." || strings.HasPrefix(dst+"/", src+"/"):
		return pathError("rename", to, syscall.EINVAL)
	case old != nil && old.IsDir() != f.IsDir():
		return pathError("rename", to, map[bool]syscall.Errno{true: syscall.EISDIR, false: syscall.ENOTDIR}[old.IsDir()])
	case old != nil && old.IsDir() && len(t.Names(dst)) > 0:
		return pathError("rename", to, syscall.ENOTEMPTY)
	}
	return t.move(src, dst, *f)
}

func (t *Tree) move(src, dst string, f File) error {
	in, err := t.own(src, f)
	if err != nil {
		return err
	}
	if err := t.set(dst, in); err != nil {
		return err
	}
	if f.IsDir() {
		for _, name := range t.Names(src) {
			child, _ := t.Lookup(path.Join(src, name))
			if err := t.move(path.Join(src, name), path.Join(dst, name), child); err != nil {
				return err
			}
		}
	}
	t.drop(src)
	return nil
}

// change finds an existing file whose attributes are to be changed.
func (t *Tree) change(op, p string, follow bool) (*inode, error) {
	at, f, err := t.place(op, p, follow)
	if err != nil {
		return nil, err
	}
	if f == nil {
		return nil, pathError(op, p, syscall.ENOENT)
	}
	return t.own(at, *f)
}

// Chmod sets the mode of what a path leads to.
func (t *Tree) Chmod(p string, mode int64) error {
	if _, e, err := t.Stat(p); err == nil && e.Mode == mode {
		return nil
	}
	in, err := t.change("chmod", p, true)
	if err != nil {
		return err
	}
	in.Mode = mode & 0o7777
	return nil
}

// Chown sets the owners, of a symbolic link itself unless follow is set; a negative number leaves one alone. As in
// the kernel it takes setuid, setgid and capabilities off a file.
func (t *Tree) Chown(p string, uid, gid int, follow bool) error {
	in, err := t.change("chown", p, follow)
	if err != nil {
		return err
	}
	if uid >= 0 {
		in.UID, in.Uname = uid, ""
	}
	if gid >= 0 {
		in.GID, in.Gname = gid, ""
	}
	if in.IsRegular() {
		in.Mode &^= 0o4000
		if in.Mode&0o010 != 0 {
			in.Mode &^= 0o2000
		}
		delete(in.PAX, xattrPrefix+"security.capability")
	}
	return nil
}

// Chtimes sets the time of a file.
func (t *Tree) Chtimes(p string, mtime time.Time) error {
	in, err := t.change("utimes", p, true)
	if err != nil {
		return err
	}
	in.ModTime = mtime
	return nil
}

// SetXattr sets an extended attribute of a file; an empty value removes it.
func (t *Tree) SetXattr(p, name, value string) error {
	in, err := t.change("setxattr", p, true)
	if err != nil {
		return err
	}
	if value == "" {
		delete(in.PAX, xattrPrefix+name)
		return nil
	}
	if in.PAX == nil {
		in.PAX = make(map[string]string)
	}
	in.PAX[xattrPrefix+name] = value
	return nil
}

// Copy makes dst a copy of the file src: of content, link target or device, with mode, owners and time if
// preserve is set. Directories are made, without what is in them. An existing regular file is written in place.
func (t *Tree) Copy(src, dst string, follow, preserve bool) error {
	from, f, err := t.find("open", src, follow)
	if err != nil {
		return err
	}
	at, old, err := t.place("open", dst, f.Type != tar.TypeSymlink)
	if err != nil {
		return err
	}
	if at == from {
		return pathError("copy", dst, syscall.EEXIST)
	}
	var in *inode
	switch {
	case old == nil || f.IsDir() != old.IsDir() || f.Type == tar.TypeSymlink || old.Type == tar.TypeSymlink:
		in = t.newInode(f.Inode.Type, f.Inode.Mode&0o777&^0o022)
		if err := t.set(at, in); err != nil {
			return err
		}
	default:
		if in, err = t.own(at, *old); err != nil {
			return err
		}
	}
	switch {
	case f.Inode.IsRegular():
		in.data, in.own, in.from, in.Size, in.ModTime = nil, false, t.origin(f), f.Inode.Size, t.time
		in.SHA256 = f.Inode.SHA256
		if over := t.inodeOf(f); over != nil && over.own {
			in.data, in.own = append([]byte(nil), over.data...), true
		}
	case f.Type == tar.TypeSymlink:
		in.Linkname = f.Linkname
	case !f.IsDir():
		return &UnknownError{Detail: fmt.Sprintf("copies %s, which is no regular file", src)}
	}
	if preserve {
		in.Mode, in.UID, in.GID, in.Uname, in.Gname, in.ModTime = f.Inode.Mode, f.Inode.UID, f.Inode.GID, f.Inode.Uname, f.Inode.Gname, f.Inode.ModTime
	}
	return nil
}

// inodeOf gives the edited file behind f, nil if it is unedited.
func (t *Tree) inodeOf(f File) *inode {
	for _, in := range t.over {
		if in != nil && &in.Entry == f.Inode {
			return in
		}
	}
	return nil
}

// origin gives the file of the base that has the content of f.
func (t *Tree) origin(f File) File {
	if in := t.inodeOf(f); in != nil {
		return in.from
	}
	return f
}
