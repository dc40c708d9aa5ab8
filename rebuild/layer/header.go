package layer

import (
	"archive/tar"
	"bytes"
	"fmt"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// The PAX records that say what a header's own fields say, or that describe a moment of the machine on which
// the entry was made. New headers get those of the first kind where a field cannot hold its value.
func derivedRecord(key string) bool {
	switch key {
	case "path", "linkpath", "size", "uid", "gid", "uname", "gname", "mtime", "atime", "ctime":
		return true
	}
	return strings.HasPrefix(key, paxSparse)
}

// records are the PAX records of e that a new header carries: extended attributes above all.
func (e *Entry) records() map[string]string {
	var m map[string]string
	for k, v := range e.PAX {
		if derivedRecord(k) {
			continue
		}
		if m == nil {
			m = make(map[string]string, len(e.PAX))
		}
		m[k] = v
	}
	return m
}

// encode makes the headers of a new entry, and the entry as a scan of these headers sees it. The format is
// USTAR where that can hold everything, PAX where not, so that equal entries make equal bytes.
func encode(e *Entry) ([]byte, *Entry, error) {
	h := &tar.Header{
		Format: tar.FormatUSTAR, Typeflag: e.Type, Name: e.Path, Linkname: e.Linkname, Size: e.Size,
		Mode: e.Mode & 0o7777, Uid: e.UID, Gid: e.GID, Uname: e.Uname, Gname: e.Gname, ModTime: e.ModTime,
		Devmajor: e.Devmajor, Devminor: e.Devminor, PAXRecords: e.records(),
	}
	if e.IsDir() {
		h.Name += "/"
	}
	var raw bytes.Buffer
	if h.PAXRecords != nil || h.ModTime.Nanosecond() != 0 || tar.NewWriter(&raw).WriteHeader(h) != nil {
		h.Format = tar.FormatPAX
		raw.Reset()
		if err := tar.NewWriter(&raw).WriteHeader(h); err != nil {
			return nil, nil, fmt.Errorf("encoding the header: %w", err)
		}
	}
	limits := Limits{}.withDefaults()
	fr, err := newFramer(bytes.NewReader(raw.Bytes()), v1.Hash{}, limits.Header).next()
	if err != nil {
		return nil, nil, fmt.Errorf("reading back the header: %w", err)
	}
	seen, err := fr.entry(limits.Path)
	if err != nil {
		return nil, nil, err
	}
	seen.content, seen.SHA256, seen.md5, seen.offset = e.content, e.SHA256, e.md5, 0
	return raw.Bytes(), &seen, nil
}
