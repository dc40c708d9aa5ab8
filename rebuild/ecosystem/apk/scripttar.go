package apk

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// block is the unit of a tar archive.
const block = 512

// scriptEntry is one entry of the scripts archive: its name, the bytes it takes, and its content.
type scriptEntry struct {
	name         string
	raw, content []byte
}

// readScripts takes the scripts archive apart.
func readScripts(data []byte) ([]scriptEntry, error) {
	var all []scriptEntry
	in := bytes.NewReader(data)
	at := 0
	for r := tar.NewReader(in); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("scripts archive: %w", err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			return nil, fmt.Errorf("scripts archive: %s: %w", h.Name, err)
		}
		end := (len(data) - in.Len() + block - 1) / block * block
		if end > len(data) {
			return nil, fmt.Errorf("scripts archive: %s: %w", h.Name, io.ErrUnexpectedEOF)
		}
		all = append(all, scriptEntry{h.Name, data[at:end], content})
		at = end
	}
}

// editScripts replaces the scripts of upgraded packages, in their place; those of a package that had none come at the end.
// All other entries keep their bytes.
func (b *batch) editScripts(old []byte) ([]byte, error) {
	entries, err := readScripts(old)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	written := make(map[*install]bool)
	write := func(in *install) {
		if !written[in] {
			written[in] = true
			in.new.writeScripts(&out)
		}
	}
	for _, e := range entries {
		in := b.scriptOf(e.name)
		if in == nil {
			out.Write(e.raw)
			continue
		}
		write(in)
	}
	for _, in := range b.installs {
		write(in)
	}
	if len(old) > 0 || out.Len() > 0 {
		out.Write(make([]byte, 2*block))
	}
	return out.Bytes(), nil
}

// scriptOf finds the upgraded package whose old version a script belongs to.
func (b *batch) scriptOf(name string) *install {
	for _, in := range b.installs {
		if strings.HasPrefix(name, in.old.Name+"-"+in.old.Version+"."+checksumPrefix) {
			return in
		}
	}
	return nil
}

// writeScripts writes a package's scripts as apk_db_scriptdb_write and apk_tar_write_entry do (src/database.c, src/tar.c): the
// name says which package and which version, the time is that of the package's build.
func (p *payload) writeScripts(out *bytes.Buffer) {
	for _, kind := range scriptKinds {
		content, ok := p.scripts[kind]
		if !ok {
			continue
		}
		name := fmt.Sprintf("%s-%s.%s.%s", p.pkg.Name, p.pkg.Version, p.members.Checksum, kind)
		out.Write(scriptHeader(name, len(content), p.built()))
		out.Write(content)
		out.Write(make([]byte, (block-len(content)%block)%block))
	}
}

// scriptHeader makes an old GNU header.
func scriptHeader(name string, size int, at time.Time) []byte {
	h := make([]byte, block)
	copy(h[:99], name)
	copy(h[100:], "0000755\x00")
	copy(h[108:], "0000000\x00")
	copy(h[116:], "0000000\x00")
	copy(h[124:], fmt.Sprintf("%012o", size))
	seconds := at.Unix()
	if at.IsZero() {
		seconds = 0
	}
	copy(h[136:], fmt.Sprintf("%012o", seconds))
	copy(h[148:], "        ")
	h[156] = '0'
	copy(h[257:], "ustar  \x00")
	copy(h[265:], "root")
	copy(h[297:], "root")
	sum := 0
	for _, c := range h {
		sum += int(c)
	}
	copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
	return h
}

// editCompressedScripts edits the archive that newer versions compress.
func (b *batch) editCompressedScripts(old []byte) ([]byte, error) {
	data, err := gunzip(old)
	if err != nil {
		return nil, err
	}
	edited, err := b.editScripts(data)
	if err != nil || bytes.Equal(edited, data) {
		return old, err
	}
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write(edited); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func gunzip(data []byte) ([]byte, error) {
	if len(data) == 0 {
		return nil, nil
	}
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("scripts archive: %w", err)
	}
	out, err := io.ReadAll(io.LimitReader(z, maxDatabase+1))
	if err == nil && len(out) > maxDatabase {
		err = fmt.Errorf("more than %d bytes", maxDatabase)
	}
	if err != nil {
		return nil, fmt.Errorf("scripts archive: %w", err)
	}
	return out, nil
}

// scripts reads the scripts of installed packages by the names that the archive has for them.
func (db *database) scripts() (map[string][]byte, error) {
	data, err := db.view.ReadOptional(db.path(scriptsFile), maxDatabase)
	if err != nil {
		return nil, err
	}
	if data == nil {
		compressed, err := db.view.ReadOptional(db.path(scriptsGzFile), maxDatabase)
		if err != nil {
			return nil, err
		}
		if data, err = gunzip(compressed); err != nil {
			return nil, err
		}
	}
	entries, err := readScripts(data)
	if err != nil {
		return nil, err
	}
	all := make(map[string][]byte, len(entries))
	for _, e := range entries {
		all[e.name] = e.content
	}
	return all, nil
}
