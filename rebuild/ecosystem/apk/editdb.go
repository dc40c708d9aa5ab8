package apk

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/rootfs"
)

// EditDatabase returns a layer's own copy of one of the database's files with the steps' packages brought to their new
// versions. What the file does not have in the old version is left as it is.
func (Ecosystem) EditDatabase(p string, old []byte, v *rootfs.View, steps []ecosystem.Step) ([]byte, error) {
	db, err := open(v)
	if errors.Is(err, ecosystem.ErrNoDatabase) {
		return old, nil
	}
	if err != nil {
		return nil, err
	}
	name := path.Base(p)
	if name == installedFile {
		// The file itself is the truth about what it lists.
		if db.records, err = parseInstalled(old); err != nil {
			return nil, err
		}
		clear(db.byName)
		for _, r := range db.records {
			db.byName[r.Name] = r
		}
	}
	ids, err := readOwners(v)
	if err != nil {
		return nil, err
	}
	installs, err := newInstalls(db, steps, false)
	if err != nil {
		return nil, err
	}
	return editFile(name, old, newBatch(db.records, installs), ids)
}

// editFile edits one file of the database.
func editFile(name string, old []byte, b *batch, ids owners) ([]byte, error) {
	switch name {
	case installedFile:
		return b.edit(old, ids), nil
	case scriptsFile:
		return b.editScripts(old)
	case scriptsGzFile:
		return b.editCompressedScripts(old)
	case triggersFile:
		return b.editTriggers(old), nil
	}
	return nil, fmt.Errorf("%s is no file of the database", name)
}

// editTriggers edits the list of directories that triggers watch: a package's checksum and the patterns, a line each
// (apk_db_triggers_write in src/database.c).
func (b *batch) editTriggers(old []byte) []byte {
	var out bytes.Buffer
	written := make(map[*install]bool)
	byChecksum := make(map[string]*install)
	for _, in := range b.installs {
		byChecksum[in.old.checksum] = in
	}
	for line := range strings.Lines(string(old)) {
		sum, _, _ := strings.Cut(line, " ")
		in, ours := byChecksum[sum]
		if !ours {
			out.WriteString(line)
			continue
		}
		written[in] = true
		out.WriteString(in.triggerLine())
	}
	for _, in := range b.installs {
		if !written[in] {
			out.WriteString(in.triggerLine())
		}
	}
	return out.Bytes()
}

func (in *install) triggerLine() string {
	patterns := in.new.triggers()
	if len(patterns) == 0 {
		return ""
	}
	return in.new.members.Checksum.String() + " " + strings.Join(patterns, " ") + "\n"
}
