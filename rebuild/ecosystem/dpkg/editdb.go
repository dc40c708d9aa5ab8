package dpkg

import (
	"fmt"
	"path"
	"slices"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/layer"
	"github.com/nanopatch/nanopatch/rebuild/rootfs"
)

// EditDatabase brings a layer's own copy of a database to the state after the steps, which were made in a layer below.
//
// v is the tree up to the layer of the copy, with the layers below edited already: the file lists of the steps'
// packages there say which conffiles became obsolete, which was decided where the packages are at home. The want state
// of the copy ("hold") stays.
func (Ecosystem) EditDatabase(p string, old []byte, v *rootfs.View, steps []ecosystem.Step) ([]byte, error) {
	var edited []byte
	var err error
	switch p {
	case statusPath:
		edited, err = editStatus(old, v, steps)
	case fileTriggersPath:
		edited, err = editFileTriggers(old, steps)
	default:
		err = fmt.Errorf("dpkg has no such database")
	}
	if err != nil {
		return nil, fmt.Errorf("editing %s: %w", p, err)
	}
	return edited, nil
}

func editStatus(old []byte, v *rootfs.View, steps []ecosystem.Step) ([]byte, error) {
	records, err := parseStatus(old)
	if err != nil {
		return nil, err
	}
	db, err := open(v)
	if err != nil {
		return nil, err
	}
	fs, err := db.filters()
	if err != nil {
		return nil, err
	}
	stanzas := make(map[ecosystem.Key]string)
	for _, s := range steps {
		d, ok := s.Payload.(*deb)
		if !ok {
			return nil, fmt.Errorf("upgrading %s: the payload is no Debian package", s.Installed.Key)
		}
		i := slices.IndexFunc(records, func(r *record) bool { return r.Key == s.Installed.Key })
		if i < 0 || records[i].Version != s.Installed.Version {
			continue
		}
		conffiles, err := conffilesInCopy(db, records[i], d, fs)
		if err != nil {
			return nil, err
		}
		if stanzas[records[i].Key], err = formatStanza(d.control, records[i], conffiles); err != nil {
			return nil, err
		}
	}
	for _, r := range records {
		if _, ours := stanzas[r.Key]; ours {
			continue
		}
		if names := conffilesTaken(r, steps); len(names) > 0 {
			stanzas[r.Key] = markObsolete(old, r, names)
		}
	}
	return replaceStanzas(old, records, stanzas), nil
}

// conffilesTaken are the conffiles of a package that go to upgraded packages, which replace it.
func conffilesTaken(r *record, steps []ecosystem.Step) map[string]bool {
	names := make(map[string]bool)
	for _, s := range steps {
		d, ok := s.Payload.(*deb)
		if !ok || !replaces(d.replaces, r.Package) {
			continue
		}
		for _, c := range d.conffiles {
			if isConffile(r, c.path) && !c.removeOnUpgrade {
				names[c.path] = true
			}
		}
	}
	return names
}

// conffilesInCopy lists a package's conffiles after its upgrade in a layer below.
func conffilesInCopy(db *database, r *record, d *deb, fs filters) ([]conffile, error) {
	before := func(name string) string {
		for _, c := range r.conffiles {
			if c.path == name {
				return c.hash
			}
		}
		return newConffile
	}
	configured := func(name string) *layer.Entry {
		e, ok := d.files.Lookup(name)
		if !ok || fs.skips(e) {
			return nil
		}
		content, err := d.files.Target(e)
		if err != nil {
			return nil
		}
		// The trace of a conffile that is a link: see leaveLinkedConffile.
		if n, ok := db.view.Lookup(db.resolved(path.Dir(name)) + "/" + path.Base(name) + newSuffix); ok {
			if left := n.Inode(); left != nil && left.SHA256 == content.SHA256 {
				return nil
			}
		}
		return content
	}
	// The new version's list: under its own name if it changed with the upgrade.
	list, err := db.list(&record{Package: d.pkg, state: stateInstalled})
	if err != nil {
		return nil, err
	}
	var obsolete []conffile
	for _, name := range list {
		_, ships := d.files.Lookup(name)
		if !ships && isConffile(r, name) {
			obsolete = append(obsolete, conffile{path: name, hash: before(name), obsolete: true})
		}
	}
	return conffilesAfter(d, before, configured, nil, obsolete)
}
