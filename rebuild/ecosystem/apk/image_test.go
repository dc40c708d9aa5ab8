package apk

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem/overlay"
	"github.com/nanopatch/nanopatch/rebuild/layer"
	"github.com/nanopatch/nanopatch/rebuild/rootfs"
)

// image is a tree with packages installed, made without apk.
type image struct {
	t        testing.TB
	packages []spec
	// dir is where the database is, libDir if empty; gz says that its scripts are compressed.
	dir string
	gz  bool
	// missing ones of the packages' files are taken away, files put over the others; a name may have " -> " as in spec.
	files   map[string]string
	missing []string
}

func (m image) index() *layer.Index {
	m.t.Helper()
	if m.dir == "" {
		m.dir = libDir
	}
	all := make(map[string]*tar.Header)
	content := make(map[string]string)
	put := func(h *tar.Header, text string) {
		name := strings.TrimSuffix(h.Name, "/")
		h.Size = 0
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(text))
		}
		h.PAXRecords = overlay.Xattrs(h.PAXRecords)
		all[name], content[name] = h, text
	}
	for i, s := range append(slices.Clone(m.packages), spec{files: m.databaseFiles()}, spec{files: m.files}) {
		if i > len(m.packages) {
			for _, p := range m.missing {
				delete(all, p)
			}
		}
		r := tar.NewReader(bytes.NewReader(s.data(m.t)))
		for h, err := r.Next(); err == nil; h, err = r.Next() {
			text, err := io.ReadAll(r)
			if err != nil {
				m.t.Fatal(err)
			}
			if e := all[strings.TrimSuffix(h.Name, "/")]; e == nil || h.Typeflag != tar.TypeDir {
				put(h, string(text))
			}
		}
	}
	var names []string
	for n := range all {
		names = append(names, n)
	}
	slices.Sort(names)
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, n := range names {
		if err := w.WriteHeader(all[n]); err != nil {
			m.t.Fatal(err)
		}
		if _, err := io.WriteString(w, content[n][:all[n].Size]); err != nil {
			m.t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		m.t.Fatal(err)
	}
	return scan(m.t, &b)
}

// databaseFiles are the files of the database, and those that it is read with.
func (m image) databaseFiles() map[string]string {
	m.t.Helper()
	installed, scripts, triggers := m.database()
	files := map[string]string{
		m.dir + "/" + installedFile: installed, m.dir + "/" + triggersFile: triggers,
		"etc/passwd": "root:x:0:0:root:/root:/bin/sh\n", "etc/group": "root:x:0:root\n",
	}
	if m.gz {
		files[m.dir+"/"+scriptsGzFile] = string(zip(m.t, []byte(scripts)))
	} else {
		files[m.dir+"/"+scriptsFile] = scripts
	}
	return files
}

// database makes the content of the three files.
func (m image) database() (installed, scripts, triggers string) {
	var list, archive strings.Builder
	for _, s := range m.packages {
		p := unpackFile(m.t, s.build(m.t))
		installs, err := newInstalls(&database{byName: map[string]*record{s.name: {Package: p.pkg}}},
			[]ecosystem.Step{{Installed: p.pkg, Payload: p}}, true)
		if err != nil {
			m.t.Fatal(err)
		}
		list.WriteString(newBatch(nil, installs).stanza(installs[0], owners{}))
		var b bytes.Buffer
		p.writeScripts(&b)
		archive.Write(b.Bytes())
		triggers += installs[0].triggerLine()
	}
	archive.Write(make([]byte, 2*block))
	return list.String(), archive.String(), triggers
}

func (m image) view() *rootfs.View { return viewOf(m.t, m.index()) }

// upgrade upgrades to new versions.
func (m image) upgrade(opts ecosystem.UpgradeOptions, specs ...spec) (map[string]ecosystem.Change, []ecosystem.KeptFile, []*ecosystem.HoldError) {
	m.t.Helper()
	v := m.view()
	var files []string
	for _, s := range specs {
		files = append(files, s.build(m.t))
	}
	opts.Time = epoch.AddDate(1, 0, 0)
	effect, holds, err := Ecosystem{}.Upgrade(context.Background(), v, stepsFor(m.t, v, files...), opts)
	if err != nil {
		m.t.Fatal(err)
	}
	if effect == nil {
		return nil, nil, holds
	}
	changes := make(map[string]ecosystem.Change)
	for i, c := range effect.Changes {
		if i > 0 && effect.Changes[i-1].Path >= c.Path || c.Entry != nil && c.Entry.Path != c.Path {
			m.t.Errorf("change %s is out of order or misnamed", c.Path)
		}
		changes[c.Path] = c
	}
	return changes, effect.Kept, holds
}

// text gives the content of a changed file, "-" for one that is removed, "" for one that does not change.
func text(t testing.TB, changes map[string]ecosystem.Change, p string) string {
	t.Helper()
	c, ok := changes[p]
	switch {
	case !ok:
		return ""
	case c.Entry == nil:
		return "-"
	case c.Entry.Type == tar.TypeSymlink:
		return "-> " + c.Entry.Linkname
	case c.Entry.Type != tar.TypeReg:
		return string(c.Entry.Type)
	}
	f, err := new(layer.Index).Open(c.Entry)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
