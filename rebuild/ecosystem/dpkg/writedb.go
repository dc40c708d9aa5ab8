package dpkg

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/layer"
)

// writeDatabase brings dpkg's database to the state after the run.
func (u *upgrade) writeDatabase() error {
	kinds := u.infoFiles()
	for _, in := range u.installs {
		if in.old.dropIn != "" {
			if err := u.writeDropIn(in); err != nil {
				return err
			}
			continue
		}
		if err := u.writeInfo(in, kinds); err != nil {
			return err
		}
	}
	if err := u.writeLists(); err != nil {
		return err
	}
	if err := u.writeInterests(); err != nil {
		return err
	}
	return u.writeStatus()
}

// writeStatus edits the status file.
func (u *upgrade) writeStatus() error {
	if u.db.status == nil {
		return nil
	}
	stanzas := make(map[ecosystem.Key]string)
	for _, in := range u.installs {
		if in.old.dropIn != "" {
			continue
		}
		conffiles, err := u.conffilesOf(in)
		if err != nil {
			return err
		}
		text, err := formatStanza(in.new.control, in.old, conffiles)
		if err != nil {
			return fmt.Errorf("writing the status of %s: %w", in.key(), err)
		}
		stanzas[in.key()] = text
	}
	for key, names := range u.obsoleted {
		if _, ours := stanzas[key]; ours || u.db.byKey[key].dropIn != "" {
			continue
		}
		stanzas[key] = markObsolete(u.db.status, u.db.byKey[key], names)
	}
	if len(stanzas) == 0 {
		return nil
	}
	return u.write(u.installs[0].key(), statusPath, replaceStanzas(u.db.status, u.db.records, stanzas))
}

// markObsolete gives a stanza in which the named conffiles, which went to another package, are obsolete.
func markObsolete(status []byte, r *record, names map[string]bool) string {
	text := string(status[r.stanza.Start:r.stanza.End])
	for _, c := range r.conffiles {
		if names[c.path] && !c.obsolete {
			line := "\n /" + c.path + " " + c.hash + "\n"
			text = strings.Replace(text, line, strings.TrimSuffix(line, "\n")+" obsolete\n", 1)
		}
	}
	return text
}

// infoFiles lists the files in dpkg's info directory by package.
func (u *upgrade) infoFiles() map[string][]string {
	all := make(map[string][]string)
	for _, n := range u.db.view.Children(u.tree.Follow(infoDir, true)) {
		if base, kind, ok := splitInfoPath(infoDir + n.Path[strings.LastIndexByte(n.Path, '/'):]); ok {
			all[base] = append(all[base], kind)
		}
	}
	return all
}

// writeInfo replaces a package's control files: pkg_infodb_update in src/main/unpack.c. Those that the new version
// lacks go; so do all under the old name if the package becomes coinstallable or ceases to be.
func (u *upgrade) writeInfo(in *install, kinds map[string][]string) error {
	oldBase, newBase := infoBase(in.old.Package, u.db.multiarch), infoBase(in.new.pkg, u.db.multiarch)
	for _, kind := range kinds[oldBase] {
		_, stays := in.new.info[kind]
		if oldBase != newBase || !stays && kind != infoList && kind != infoMD5Sums {
			u.tree.Remove(u.tree.Place(infoDir+"/"+oldBase+"."+kind), in.key(), true)
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(in.new.info)) {
		if err := u.writeControlFile(in, infoDir+"/"+newBase+"."+kind, kind, in.new.info[kind]); err != nil {
			return err
		}
	}
	queue := slices.DeleteFunc(slices.Clone(in.queue), func(p string) bool { return u.lost[in.key()][p] })
	if err := u.write(in.key(), infoDir+"/"+newBase+"."+infoList, formatList(queue)); err != nil {
		return err
	}
	if _, ships := in.new.info[infoMD5Sums]; ships {
		return nil
	}
	sums, err := u.digestsOf(in)
	if err != nil {
		return err
	}
	return u.write(in.key(), infoDir+"/"+newBase+"."+infoMD5Sums, formatMD5Sums(queue, sums))
}

// digestsOf gives the digests of the files that dpkg unpacks of a package, for one that does not bring its own.
func (u *upgrade) digestsOf(in *install) (map[string]digest, error) {
	sums := make(map[string]digest)
	for name, e := range in.shipped {
		content, err := in.new.files.Target(e)
		if err != nil {
			continue // no file
		}
		if sums[name], err = u.digestOf(content); err != nil {
			return nil, err
		}
	}
	return sums, nil
}

// writeControlFile puts a control file into the database, with the time and mode it has in the package. dpkg makes
// scripts executable when it runs them.
func (u *upgrade) writeControlFile(in *install, p, kind string, f controlFile) error {
	header := layer.Entry{Path: u.tree.Place(p), Mode: f.mode, ModTime: f.time}
	header.UID, header.GID = u.ids.of(f.uname, f.gname, f.uid, f.gid)
	if (kind == "preinst" || kind == "postinst") && f.mode&0o555 != 0o555 {
		header.Mode = 0o755
	}
	return u.writeFile(in.key(), header, f.content)
}

// write puts a file that dpkg generates into the database; one that stays as it is keeps its time, too.
func (u *upgrade) write(key ecosystem.Key, p string, content []byte) error {
	header := layer.Entry{Path: u.tree.Place(p), Mode: 0o644, ModTime: u.opts.Time.Truncate(time.Second)}
	if f, ok := u.tree.Lookup(header.Path); ok && f.Regular() != nil {
		old, err := readFile(u.tree, header.Path)
		if err != nil {
			return err
		}
		if bytes.Equal(old, content) {
			return nil
		}
		was := f.Regular()
		header.Mode, header.UID, header.GID = was.Mode, was.UID, was.GID
	}
	return u.writeFile(key, header, content)
}

func (u *upgrade) writeFile(key ecosystem.Key, header layer.Entry, content []byte) error {
	e, err := layer.NewFile(u.tree.WithNames(header), layer.Bytes(content))
	if err != nil {
		return err
	}
	u.tree.Set(e, key, true)
	return nil
}

// writeLists takes what went to upgraded packages out of the file lists of the packages that stay as they are. All
// other lines keep their bytes.
func (u *upgrade) writeLists() error {
	for key, names := range u.lost {
		r := u.db.byKey[key]
		if _, ours := u.byKey[key]; ours || r.dropIn != "" {
			continue
		}
		old, err := u.db.info(r, infoList)
		if err != nil {
			return err
		}
		var b bytes.Buffer
		for line := range bytes.Lines(old) {
			if p, err := cleanPath(strings.TrimSuffix(string(line), "\n")); err != nil || !names[p] {
				b.Write(line)
			}
		}
		if err := u.write(u.taker(names), u.db.infoPath(r, infoList), b.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

// taker names the package of the run that ships one of the paths.
func (u *upgrade) taker(names map[string]bool) ecosystem.Key {
	for _, in := range u.installs {
		for name := range names {
			if in.shipped[name] != nil {
				return in.key()
			}
		}
	}
	return u.installs[0].key()
}

// writeDropIn replaces a package's status.d file by the new control file, and its digests. A Status field that the old
// file has is kept in its place.
func (u *upgrade) writeDropIn(in *install) error {
	content := in.new.raw
	if f, ok := in.old.stanza.Field("Status"); ok {
		content = insertStatus(in.new.raw, in.old.stanza, f)
	}
	if err := u.write(in.key(), in.old.dropIn, content); err != nil {
		return err
	}
	p := u.db.infoPath(in.old, infoMD5Sums)
	if _, has := u.tree.At(p); !has {
		return nil
	}
	content = in.new.info[infoMD5Sums].content
	if content == nil {
		sums, err := u.digestsOf(in)
		if err != nil {
			return err
		}
		content = formatMD5Sums(in.queue, sums)
	}
	return u.write(in.key(), p, content)
}

// insertStatus puts a Status field behind the same field as in the old stanza.
func insertStatus(control []byte, old Stanza, status Field) []byte {
	line := "Status: " + status.Value + "\n"
	i := slices.IndexFunc(old.Fields, func(f Field) bool { return f.Line == status.Line })
	if i > 0 {
		s, ok, err := NewReader(control).Next()
		if err == nil && ok {
			lines := slices.Collect(bytes.Lines(control))
			for j, f := range s.Fields {
				if !strings.EqualFold(f.Name, old.Fields[i-1].Name) {
					continue
				}
				end := len(lines)
				if j+1 < len(s.Fields) {
					end = s.Fields[j+1].Line - 1
				}
				return bytes.Join(slices.Insert(lines, end, []byte(line)), nil)
			}
		}
	}
	return append([]byte(line), control...)
}
