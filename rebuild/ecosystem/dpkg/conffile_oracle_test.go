package dpkg

import (
	"strings"
	"testing"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
)

// TestConffilesEqualDpkg goes through dpkg's table of conffiles with the real one.
func TestConffilesEqualDpkg(t *testing.T) {
	const c = "etc/demo.conf"
	conf := func(version, content string, more ...string) spec {
		s := spec{version: version, files: files{"usr/bin/a": version}, control: files{}}
		if content != "" {
			s.files[c] = content
			s.control["conffiles"] = "/" + c + "\n" + strings.Join(more, "")
		}
		return s
	}
	edit := func(m *machine) { m.write(c, "edited\n"); m.run("chmod", "600", c) }
	drop := func(m *machine) { m.remove(c) }
	for _, tc := range []struct {
		name     string
		old, new spec
		others   []spec
		newOther []spec
		change   func(m *machine)
		kept     []string
	}{
		{name: "unchanged, same", old: conf("1", "one"), new: conf("2", "one")},
		{name: "unchanged, new version", old: conf("1", "one"), new: conf("2", "two")},
		{name: "unchanged but for mode, new version", old: conf("1", "one"), new: conf("2", "two"), change: func(m *machine) { m.run("chmod", "640", c) }},
		{name: "edited, same", old: conf("1", "one"), new: conf("2", "one"), change: edit, kept: []string{c}},
		{name: "edited, new version", old: conf("1", "one"), new: conf("2", "two"), change: edit, kept: []string{c}},
		{name: "edited to the new version", old: conf("1", "one"), new: conf("2", "edited\n"), change: edit},
		{name: "deleted, same", old: conf("1", "one"), new: conf("2", "one"), change: drop},
		{name: "deleted, new version", old: conf("1", "one"), new: conf("2", "two"), change: drop},
		{name: "new", old: conf("1", ""), new: conf("2", "two")},
		{name: "new, but something is there", old: conf("1", ""), new: conf("2", "two"), change: func(m *machine) {
			m.run("mkdir", "-p", "etc")
			edit(m)
		}, kept: []string{c}},
		{name: "obsolete", old: conf("1", "one"), new: conf("2", "")},
		{name: "obsolete and edited", old: conf("1", "one"), new: conf("2", ""), change: edit},
		{name: "obsolete and deleted", old: conf("1", "one"), new: conf("2", ""), change: drop},
		{name: "file becomes conffile", old: spec{version: "1", files: files{c: "one"}}, new: conf("2", "two"), kept: []string{c}},
		{name: "conffile becomes file", old: conf("1", "one"), new: spec{version: "2", files: files{c: "two"}}},
		{name: "symbolic link instead", old: conf("1", "one"), new: conf("2", "two"), change: func(m *machine) {
			m.run("mv", c, "etc/real.conf")
			m.run("ln", "-s", "real.conf", c)
		}, kept: []string{c}},
		{name: "old .dpkg-old goes", old: conf("1", "one"), new: conf("2", "two"), change: func(m *machine) {
			edit(m)
			m.write(c+".dpkg-old", "older")
			m.write(c+".dpkg-dist", "older")
		}, kept: []string{c}},
		{
			name: "remove on upgrade", old: conf("1", "one"),
			new: spec{version: "2", files: files{"usr/bin/a": "2"}, control: files{"conffiles": "remove-on-upgrade /" + c + "\n"}},
		},
		{
			name: "remove on upgrade, edited", old: conf("1", "one"), change: edit,
			new: spec{version: "2", files: files{"usr/bin/a": "2"}, control: files{"conffiles": "remove-on-upgrade /" + c + "\n"}},
		},
		{
			name: "several, some obsolete",
			old: spec{
				version: "1", files: files{"etc/d/a": "a", "etc/d/b": "b", "etc/d/c": "c", "etc/z": "z"},
				control: files{"conffiles": "/etc/d/c\n/etc/d/a\n/etc/d/b\n/etc/z\n"},
			},
			new: spec{version: "2", files: files{"etc/d/b": "b2", "etc/y": "y"}, control: files{"conffiles": "/etc/y\n/etc/d/b\n"}},
		},
		{
			name: "goes to another package", old: conf("1", "one"), new: conf("2", ""),
			others:   []spec{{name: "other", version: "1", files: files{"usr/bin/o": "1"}}},
			newOther: []spec{{name: "other", version: "2", fields: []string{"Replaces: demo (<< 2)"}, files: files{"usr/bin/o": "2", c: "one"}, control: files{"conffiles": "/" + c + "\n"}}},
			change:   edit, kept: []string{c},
		},
		{
			name: "taken from a package that stays", old: spec{version: "1", files: files{"usr/bin/a": "1"}},
			new: func() spec {
				s := conf("2", "two")
				s.fields = []string{"Replaces: other"}
				return s
			}(),
			others: []spec{{name: "other", version: "1", files: files{"usr/bin/o": "1", c: "one"}, control: files{"conffiles": "/" + c + "\n"}}},
		},
		{
			name: "path-exclude", old: conf("1", "one"), new: conf("2", "two"), change: func(m *machine) {
				m.write("etc/dpkg/dpkg.cfg.d/filters", "path-exclude=/etc/demo.conf\n")
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := newMachine(t)
			for _, s := range append(tc.others, tc.old) {
				m.dpkg("--install", build(t, s))
			}
			if tc.change != nil {
				tc.change(m)
			}
			var debs []string
			for _, s := range append([]spec{tc.new}, tc.newOther...) {
				debs = append(debs, build(t, s))
			}
			effect := m.checkAgainstDpkg(debs...)
			checkKept(t, effect, tc.kept)
		})
	}
}

func checkKept(t *testing.T, effect *ecosystem.Effect, want []string) {
	t.Helper()
	var got []string
	for _, k := range effect.Kept {
		got = append(got, k.Path)
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("kept %v, want %v", got, want)
	}
}

// TestObsoleteConffilesStay upgrades twice: what is obsolete once stays so.
func TestObsoleteConffilesStay(t *testing.T) {
	m := newMachine(t)
	m.dpkg("-i", build(t, spec{version: "1", files: files{"etc/a": "a", "etc/b": "b"}, control: files{"conffiles": "/etc/a\n/etc/b\n"}}))
	m.checkAgainstDpkg(build(t, spec{version: "2", files: files{"etc/b": "b"}, control: files{"conffiles": "/etc/b\n"}}))
	m.checkAgainstDpkg(build(t, spec{version: "3", files: files{"etc/b": "b"}, control: files{"conffiles": "/etc/b\n"}}))
	m.checkAgainstDpkg(build(t, spec{version: "4", files: files{"etc/a": "back", "etc/b": "b"}, control: files{"conffiles": "/etc/b\n/etc/a\n"}}))
}
