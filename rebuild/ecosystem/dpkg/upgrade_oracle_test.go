package dpkg

import (
	"testing"
)

// TestUpgradeEqualsDpkg upgrades one package, or several at once, both ways.
func TestUpgradeEqualsDpkg(t *testing.T) {
	script := "#!/bin/sh\nset -e\nexit 0\n"
	for _, tc := range []struct {
		name     string
		old, new []spec
		// others are installed before and stay.
		others []spec
		// change is what happens to the tree in between.
		change func(m *machine)
	}{
		{
			name: "content, new file, old file",
			old:  []spec{{version: "1", files: files{"usr/bin/a": "one", "usr/share/demo/old": "x", "usr/share/demo/same": "s"}}},
			new:  []spec{{version: "2", files: files{"usr/bin/a": "two", "usr/share/demo/new": "y", "usr/share/demo/same": "s"}}},
		},
		{
			name:   "directories come and go",
			old:    []spec{{version: "1", files: files{"usr/lib/gone/deep/f": "1", "usr/lib/shared/f": "1", "usr/lib/full/f": "1"}}},
			new:    []spec{{version: "2", files: files{"usr/lib/fresh/deep/f": "1", "usr/lib/empty/": ""}}},
			others: []spec{{name: "other", version: "1", files: files{"usr/lib/shared/g": "1"}}},
			change: func(m *machine) { m.write("usr/lib/full/mine", "do not touch") },
		},
		{
			name: "links",
			old: []spec{{version: "1", files: files{
				"usr/lib/l1": "-> a", "usr/lib/l2": "-> b", "usr/lib/file": "f", "usr/lib/link": "-> l1", "usr/lib/dir/x": "x",
			}}},
			new: []spec{{version: "2", files: files{
				"usr/lib/l1": "-> c", "usr/lib/file": "-> now/a/link", "usr/lib/link": "now a file", "usr/lib/dir/x": "x", "usr/lib/l3": "-> dir",
			}}},
		},
		{
			name: "hard links",
			old:  []spec{{version: "1", files: files{"usr/bin/h": "one", "usr/bin/h1": "= usr/bin/h", "usr/bin/single": "s"}}},
			new:  []spec{{version: "2", files: files{"usr/bin/h": "two", "usr/bin/h1": "= usr/bin/h", "usr/bin/h2": "= usr/bin/h", "usr/bin/single": "t"}}},
			change: func(m *machine) {
				// Someone's own name for a package's file keeps the old content.
				if err := linkFile(m.path("usr/bin/single"), m.path("usr/bin/mine")); err != nil {
					m.t.Fatal(err)
				}
			},
		},
		{
			name: "hard links dissolved",
			old:  []spec{{version: "1", files: files{"usr/bin/h": "one", "usr/bin/h1": "= usr/bin/h"}}},
			new:  []spec{{version: "2", files: files{"usr/bin/h": "one", "usr/bin/h1": "one"}}},
		},
		{
			name: "modes",
			old:  []spec{{version: "1", files: files{"usr/bin/s": "one", "usr/lib/d/": ""}}},
			new: []spec{{
				version: "2", files: files{"usr/bin/s": "two", "usr/lib/d/": "", "usr/lib/e/": ""},
				modes: modes{"usr/bin/s": 0o4755, "usr/lib/d/": 0o700, "usr/lib/e/": 0o1777},
			}},
		},
		{
			name: "owners by name",
			old:  []spec{{version: "1", files: files{"usr/bin/s": "one"}}},
			new: []spec{{version: "2", files: files{"usr/bin/s": "two", "usr/bin/n": "no such user", "usr/lib/d/": ""}, owners: map[string][2]string{
				"usr/bin/s": {"www-data", "mail"}, "usr/bin/n": {"no-such-user", "no-such-group"}, "usr/lib/d/": {"root", "www-data"},
			}}},
		},
		{
			name: "architecture changes",
			old:  []spec{{version: "1", files: files{"usr/bin/s": "one"}}},
			new:  []spec{{version: "2", arch: "amd64", files: files{"usr/bin/s": "two"}}},
		},
		{
			name: "symbolic link to a directory stays",
			old:  []spec{{version: "1", files: files{"usr/lib/data/f": "one"}}},
			new:  []spec{{version: "2", files: files{"usr/lib/data/f": "two", "usr/lib/data/g": "new"}}},
			change: func(m *machine) {
				m.run("mv", "usr/lib/data", "usr/data")
				m.run("ln", "-s", "../data", "usr/lib/data")
			},
		},
		{
			name: "usr is merged",
			old:  []spec{{version: "1", files: files{"bin/tool": "one", "lib/demo/x": "x", "bin/gone": "x"}}},
			new:  []spec{{version: "2", files: files{"usr/bin/tool": "two", "lib/demo/x": "y"}}},
			change: func(m *machine) {
				m.run("sh", "-c", "mkdir -p usr && mv bin usr/bin && mv lib usr/lib && ln -s usr/bin bin && ln -s usr/lib lib")
			},
		},
		{
			name: "file becomes directory, directory becomes file",
			old:  []spec{{version: "1", files: files{"usr/lib/a": "file", "usr/lib/b/c": "c"}}},
			new:  []spec{{version: "2", files: files{"usr/lib/a/x": "x", "usr/lib/b": "file"}}},
		},
		{
			name: "control files",
			old: []spec{{version: "1", files: files{"usr/bin/a": "1"}, control: files{
				"postinst": script, "prerm": script, "shlibs": "libx 1 demo\n", "templates": "Template: x\n",
			}}},
			new: []spec{{version: "2", files: files{"usr/bin/a": "1"}, control: files{
				"postinst": script + "# 2\n", "postrm": script, "symbols": "libx.so.1 demo #MINVER#\n", "with.dot": "x",
			}}},
			change: (*machine).programs,
		},
		{
			name: "status fields",
			old:  []spec{{version: "1", fields: []string{"Section: misc", "Priority: extra"}, files: files{"usr/bin/a": "1"}}},
			new: []spec{{version: "0:1.5-2", files: files{"usr/bin/a": "2"}, fields: []string{
				"Homepage: https://example.org", "Essential: yes", "Depends: b(>=1.0),c|d:any ( << 0:2 )", "Installed-Size: 12",
				"Source: demo-src (1.4)", "X-Thing:   spaced  ", "Multi-Arch: no", "Tag: a::b,\n c::d", "Provides: virt (= 3)",
				"Breaks: e (<< 1), f", "Recommends: g", "Original-Maintainer: X <x@y>",
			}}},
		},
		{
			name: "no md5sums in the package",
			old:  []spec{{name: "demo-generated", version: "1", plain: true, files: files{"usr/bin/a": "1", "etc/c": "c"}, control: files{"conffiles": "/etc/c\n"}}},
			new: []spec{{name: "demo-generated", version: "2", plain: true, files: files{
				"usr/bin/a": "2", "etc/c": "d", "usr/bin/h": "= usr/bin/a", "usr/bin/l": "-> a",
			}, control: files{"conffiles": "/etc/c\n"}}},
		},
		{
			name: "takeover by Replaces of both in the run",
			old: []spec{
				{name: "a", version: "1", files: files{"usr/lib/a": "a", "usr/lib/m": "m", "usr/lib/m2": "m"}},
				{name: "b", version: "1", files: files{"usr/lib/b": "b", "usr/lib/n": "n"}},
			},
			new: []spec{
				{name: "a", version: "2", fields: []string{"Replaces: b (<< 2)"}, files: files{"usr/lib/a": "a", "usr/lib/n": "n2"}},
				{name: "b", version: "2", fields: []string{"Replaces: a (<< 2)"}, files: files{"usr/lib/b": "b", "usr/lib/m": "m2", "usr/lib/m2": "m2"}},
			},
		},
		{
			name:   "takeover from a package that stays",
			old:    []spec{{name: "a", version: "1", files: files{"usr/lib/a": "a"}}},
			new:    []spec{{name: "a", version: "2", fields: []string{"Replaces: z"}, files: files{"usr/lib/a": "a", "usr/lib/z1": "mine now"}}},
			others: []spec{{name: "z", version: "1", files: files{"usr/lib/z1": "z", "usr/lib/z2": "z"}}},
		},
		{
			name:   "a package that replaces this one keeps its file",
			old:    []spec{{name: "a", version: "1", files: files{"usr/lib/a": "a"}}},
			new:    []spec{{name: "a", version: "2", files: files{"usr/lib/a": "a", "usr/lib/z1": "a's"}}},
			others: []spec{{name: "z", version: "1", fields: []string{"Replaces: a"}, files: files{"usr/lib/z1": "z's", "usr/lib/z2": "z"}}},
		},
		{
			name: "diversions",
			old:  []spec{{version: "1", files: files{"usr/bin/local": "one", "usr/bin/other": "one", "usr/bin/gone": "x"}}},
			new:  []spec{{version: "2", files: files{"usr/bin/local": "two", "usr/bin/other": "two", "usr/bin/fresh": "f"}}},
			change: func(m *machine) {
				for _, name := range []string{"local", "gone", "fresh"} {
					m.divert("--local", "/usr/bin/"+name)
				}
				m.divert("--package", "wrapper", "/usr/bin/other")
				m.write("usr/bin/other", "the wrapper")
			},
		},
		{
			name: "statoverride",
			old:  []spec{{version: "1", files: files{"usr/bin/a": "one", "usr/bin/b": "one"}}},
			new:  []spec{{version: "2", files: files{"usr/bin/a": "two", "usr/bin/b": "two", "usr/lib/new/": ""}}},
			change: func(m *machine) {
				m.write("var/lib/dpkg/statoverride", "root root 4750 /usr/bin/a\n#0 #0 700 /usr/lib/new\n")
			},
		},
		{
			name: "path-exclude",
			old:  []spec{{version: "1", files: files{"usr/bin/a": "1", "usr/share/doc/demo/copyright": "c", "usr/share/doc/demo/README": "r", "usr/share/man/de/x": "x"}}},
			new: []spec{{version: "2", files: files{
				"usr/bin/a": "2", "usr/share/doc/demo/copyright": "c2", "usr/share/doc/demo/README": "r2", "usr/share/doc/demo/ex/y": "y",
				"usr/share/man/de/x": "x2", "usr/share/man/fr/x": "x2",
			}}},
			change: func(m *machine) {
				m.write("etc/dpkg/dpkg.cfg.d/filters", "path-exclude=/usr/share/doc/*\npath-include=/usr/share/doc/*/copyright\npath-exclude=/usr/share/man/*\n")
			},
		},
		{
			name: "path-exclude from the start",
			old:  []spec{{version: "1", files: files{"usr/bin/a": "1", "usr/share/man/de/x": "x", "usr/share/man/de/y": "x"}}},
			new:  []spec{{version: "2", files: files{"usr/bin/a": "2", "usr/share/man/de/x": "x2", "usr/share/man/fr/x": "x2"}}},
			change: func(m *machine) {
				m.write("etc/dpkg/dpkg.cfg.d/filters", "path-exclude=/usr/share/man/*\n")
				m.remove("usr/share/man")
				m.run("mkdir", "usr/share/man")
			},
		},
		{
			name: "coinstallable instances",
			old:  instances("1", files{"usr/share/doc/lib/c": "one"}),
			new:  instances("2", files{"usr/share/doc/lib/c": "two", "usr/share/doc/lib/new": "n"}),
		},
		{
			name: "becomes coinstallable",
			old:  []spec{{name: "lib", version: "1", arch: "amd64", files: files{"usr/lib/l": "1"}, control: files{"shlibs": "x 1 lib\n"}}},
			new:  []spec{{name: "lib", version: "2", arch: "amd64", fields: []string{"Multi-Arch: same"}, files: files{"usr/lib/l": "2"}, control: files{"symbols": "x\n"}}},
		},
		{
			name:   "trigger interests",
			old:    []spec{{version: "1", files: files{"usr/bin/a": "1"}, control: files{"triggers": "interest /usr/lib/one\ninterest-noawait word\n"}}},
			new:    []spec{{version: "2", files: files{"usr/bin/a": "1"}, control: files{"triggers": "interest-noawait /usr/lib/two\ninterest other-word\n"}}},
			others: []spec{{name: "other", version: "1", files: files{"usr/bin/o": "1"}, control: files{"triggers": "interest /usr/lib/one\ninterest word\n"}}},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := newMachine(t)
			for _, s := range append(tc.others, tc.old...) {
				m.dpkg("--install", build(t, s))
			}
			if tc.change != nil {
				tc.change(m)
			}
			var debs []string
			for _, s := range tc.new {
				debs = append(debs, build(t, s))
			}
			m.checkAgainstDpkg(debs...)
		})
	}
}

// instances are the two architectures of a coinstallable package.
func instances(version string, shared files) []spec {
	var all []spec
	for _, arch := range []string{"amd64", "i386"} {
		own := files{"usr/lib/" + arch + "/lib.so": version + arch}
		for p, content := range shared {
			own[p] = content
		}
		all = append(all, spec{name: "lib", version: version, arch: arch, fields: []string{"Multi-Arch: same"}, files: own})
	}
	return all
}
