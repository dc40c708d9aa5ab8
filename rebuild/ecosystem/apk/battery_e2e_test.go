//go:build e2e

package apk

import (
	"maps"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// upgradeCase is an upgrade that the real apk and ours must agree on.
type upgradeCase struct {
	old, new []spec
	// prepare changes the machine after the old versions are installed.
	prepare func(m *machine)
}

func pair(old, next spec) upgradeCase {
	old.name, old.version, next.name, next.version = "demo", "1.0-r0", "demo", "1.1-r0"
	return upgradeCase{old: []spec{old}, new: []spec{next}}
}

func (c upgradeCase) after(prepare func(m *machine)) upgradeCase {
	c.prepare = prepare
	return c
}

func named(name, version string, s spec) spec {
	s.name, s.version = name, version
	return s
}

func files(namesAndContents ...string) spec {
	s := spec{files: make(map[string]string)}
	for i := 0; i < len(namesAndContents); i += 2 {
		s.files[namesAndContents[i]] = namesAndContents[i+1]
	}
	return s
}

func upgradeCases() map[string]upgradeCase {
	conf := pair(files("etc/demo/a.conf", "a1", "etc/demo/b.conf", "b1", "etc/gone.conf", "g1"),
		files("etc/demo/a.conf", "a2", "etc/demo/b.conf", "b1", "etc/new.conf", "n2"))
	cases := map[string]upgradeCase{
		"replaced, added, removed": pair(files("usr/share/demo/a", "1", "usr/share/demo/b", "1"), files("usr/share/demo/a", "2", "usr/share/demo/c", "2")),
		"directories come and go": pair(files("usr/share/demo/x/y/z", "1", "var/lib/demo/", ""),
			files("usr/share/demo2/a/b", "2", "var/lib/demo/sub/", "")),
		"a directory with other files stays": pair(files("var/lib/demo/a", "1"), files("usr/share/demo", "2")).after(func(m *machine) {
			m.write("var/lib/demo/own", "mine")
		}),
		"links": pair(files("usr/lib/libdemo.so.1 -> libdemo.so.1.0", "", "usr/lib/libdemo.so.1.0", "1"),
			files("usr/lib/libdemo.so.1 -> libdemo.so.1.1", "", "usr/lib/libdemo.so.1.1", "2", "usr/lib/dangling -> ../nowhere", "")),
		"a file becomes a link": pair(files("usr/share/demo/a", "1", "usr/share/demo/b", "x"), files("usr/share/demo/a -> b", "", "usr/share/demo/b", "x")),
		"a link becomes a file": pair(files("usr/share/demo/a -> b", "", "usr/share/demo/b", "x"), files("usr/share/demo/a", "1", "usr/share/demo/b", "x")),
		"hard links": pair(files("usr/share/demo/a", "1", "usr/share/demo/b => usr/share/demo/a", "", "usr/share/demo/c", "3"),
			files("usr/share/demo/a", "2", "usr/share/demo/b => usr/share/demo/a", "", "usr/share/demo/c => usr/share/demo/a", "")),
		"unmodified configuration": conf,
		"modified configuration": conf.after(func(m *machine) {
			m.write("etc/demo/a.conf", "mine")
			m.write("etc/demo/b.conf", "mine")
			m.write("etc/gone.conf", "mine")
			m.write("etc/new.conf", "mine")
		}),
		"configuration already new": conf.after(func(m *machine) {
			m.write("etc/demo/a.conf", "a2")
			m.write("etc/new.conf", "n2")
		}),
		"an .apk-new from before": conf.after(func(m *machine) {
			m.write("etc/demo/a.conf", "mine")
			m.write("etc/demo/a.conf.apk-new", "older")
		}),
		"more protected paths": pair(files("srv/demo/a", "1", "srv/other/b", "1", "opt/x1/y/f", "1"), files("srv/demo/a", "2", "srv/other/b", "2", "opt/x1/y/f", "2")).
			after(func(m *machine) {
				m.write("etc/apk/protected_paths.d/demo.list", "# comment\n+srv/demo\n\nopt/x?/\n")
				m.write("etc/apk/protected_paths.d/ignored", "+srv/other\n")
				m.write("srv/demo/a", "mine")
				m.write("opt/x1/y/f", "mine")
			}),
	}
	for _, more := range []map[string]upgradeCase{attributeCases(), severalPackages(), scriptCases()} {
		maps.Copy(cases, more)
	}
	return cases
}

func attributeCases() map[string]upgradeCase {
	return map[string]upgradeCase{
		"times and permissions of the new files": pair(files("usr/bin/demo", "1", "usr/bin/other", "1"), spec{
			files: map[string]string{"usr/bin/demo": "2", "usr/bin/other": "1", "usr/share/demo/": ""},
			modes: map[string]int64{"usr/bin/demo": 0o4755, "usr/share/demo": 0o2775},
		}),
		"owners by name": pair(files("usr/share/demo/a", "1"), spec{
			files: map[string]string{"usr/share/demo/a": "2", "usr/share/demo/d/b": "2", "usr/share/demo/c": "x"},
			uname: map[string]string{"usr/share/demo/a": "daemon", "usr/share/demo/d": "mail", "usr/share/demo/c": "nobody-knows"},
		}),
		"extended attributes": pair(spec{
			files: map[string]string{"usr/share/demo/a": "1", "usr/share/demo/b": "1"}, xattrs: map[string]string{"usr/share/demo/b": "old"},
		}, spec{
			files: map[string]string{"usr/share/demo/a": "1", "usr/share/demo/b": "1"}, xattrs: map[string]string{"usr/share/demo/a": "new"},
		}),
		"directory permissions change": pair(spec{files: map[string]string{"var/lib/demo/": ""}, modes: map[string]int64{"var/lib/demo": 0o755}},
			spec{files: map[string]string{"var/lib/demo/": ""}, modes: map[string]int64{"var/lib/demo": 0o700}}),
		"directory permissions widen": pair(spec{files: map[string]string{"var/lib/demo/": ""}, modes: map[string]int64{"var/lib/demo": 0o700}},
			spec{files: map[string]string{"var/lib/demo/": ""}, modes: map[string]int64{"var/lib/demo": 0o755}}),
		"directory permissions of the administrator": pair(spec{files: map[string]string{"var/lib/demo/": ""}, modes: map[string]int64{"var/lib/demo": 0o755}},
			spec{files: map[string]string{"var/lib/demo/": ""}, modes: map[string]int64{"var/lib/demo": 0o700}}).after(func(m *machine) {
			if err := os.Chmod(filepath.Join(m.dir, "var/lib/demo"), 0o711); err != nil {
				m.t.Fatal(err)
			}
		}),
		"a linked directory": pair(files("opt/demo/a", "1", "opt/demo/b", "1"), files("opt/demo/a", "2", "opt/demo/c", "2")).after(func(m *machine) {
			if err := os.Rename(filepath.Join(m.dir, "opt/demo"), filepath.Join(m.dir, "srv/demo")); err != nil {
				m.t.Fatal(err)
			}
			if err := syscall.Symlink("../srv/demo", filepath.Join(m.dir, "opt/demo")); err != nil {
				m.t.Fatal(err)
			}
		}),
		".keep files":                    pair(files("usr/share/demo/.keep_demo", "", "usr/share/demo/.hidden", "1"), files("usr/share/demo/.keep_demo", "", "usr/share/demo/.hidden", "2")),
		"a program in an applet's place": pair(files("usr/share/demo/a", "1"), files("usr/share/demo/a", "2", "usr/bin/wget", "real")),
		"the applet comes back":          pair(files("usr/bin/wget", "real"), files("usr/share/demo", "2")),
		"an inert script": pair(spec{files: map[string]string{"usr/share/demo/a": "1"}, scripts: map[string]string{"pre-deinstall": "#!/bin/sh\nexit 1\n"}},
			spec{files: map[string]string{"usr/share/demo/a": "2"}, scripts: map[string]string{"post-upgrade": "#!/bin/sh\n# nothing\nexit 0\n", "post-install": "#!/bin/sh\necho x\n"}}),
		"index fields": pair(files("usr/share/demo/a", "1"), spec{files: map[string]string{"usr/share/demo/a": "2"}, info: []string{
			"maintainer = Someone <s@example.org>", "commit = 0123abc", "depend = so:libc.musl-x86_64.so.1", "depend = !nothing<3",
			"depend = busybox>=1.30", "provides = cmd:demo=1.1-r0", "provides = demo-virtual", "provider_priority = 20",
			"replaces = other>1 busybox", "replaces_priority = 3", "install_if = busybox=1.0 musl",
		}}),
	}
}

func severalPackages() map[string]upgradeCase {
	origin := func(s spec) spec {
		s.info = append(s.info, "origin = same")
		return s
	}
	return map[string]upgradeCase{
		"a file moves to a package of the same origin": {
			old: []spec{named("one", "1-r0", origin(files("usr/share/x/f", "1", "usr/share/x/g", "1"))), named("two", "1-r0", origin(files("usr/share/y", "1")))},
			new: []spec{named("one", "2-r0", origin(files("usr/share/x/g", "2"))), named("two", "2-r0", origin(files("usr/share/y", "2", "usr/share/x/f", "2")))},
		},
		"a file is replaced in a package that stays": {
			old: []spec{named("one", "1-r0", files("usr/share/x/f", "1", "usr/share/x/g", "1", "usr/share/x/h", "1")), named("two", "1-r0", files("usr/share/y", "1"))},
			new: []spec{named("two", "2-r0", func() spec {
				s := files("usr/share/y", "2", "usr/share/x/g", "two's")
				s.info = []string{"replaces = one"}
				return s
			}())},
		},
		"the other package is more important": {
			old: []spec{named("one", "1-r0", func() spec {
				s := files("usr/share/x/f", "1")
				s.info = []string{"replaces = two", "replaces_priority = 5"}
				return s
			}()), named("two", "1-r0", files("usr/share/y", "1"))},
			new: []spec{named("two", "2-r0", func() spec {
				s := files("usr/share/y", "2", "usr/share/x/f", "two's")
				s.info = []string{"replaces = one", "replaces_priority = 1"}
				return s
			}())},
		},
		"a shared directory": {
			old: []spec{named("one", "1-r0", files("usr/share/x/a", "1")), named("two", "1-r0", files("usr/share/x/b", "1"))},
			new: []spec{named("one", "2-r0", files("usr/share/one", "2"))},
		},
		"both leave a directory": {
			old: []spec{named("one", "1-r0", files("usr/share/x/a", "1")), named("two", "1-r0", files("usr/share/x/b", "1"))},
			new: []spec{named("one", "2-r0", files("usr/share/one", "2")), named("two", "2-r0", files("usr/share/two", "2"))},
		},
		"triggers come and go": {
			old: []spec{
				named("one", "1-r0", spec{files: map[string]string{"usr/share/one": "1"}, info: []string{"triggers = /usr/share/none /x/*"}, scripts: map[string]string{"trigger": "#!/bin/sh\nexit 0\n"}}),
				named("two", "1-r0", files("usr/share/two", "1")),
			},
			new: []spec{
				named("one", "2-r0", files("usr/share/one", "2")),
				named("two", "2-r0", spec{files: map[string]string{"usr/share/two": "2"}, info: []string{"triggers = /usr/share/two.d"}, scripts: map[string]string{"trigger": "#!/bin/sh\nexit 0\n"}}),
			},
		},
	}
}

// scriptCases keep what they make below var/gen, where times are not compared.
func scriptCases() map[string]upgradeCase {
	scripted := func(kind, text string) upgradeCase {
		next := files("usr/share/demo/a", "2", "usr/share/demo/c", "2")
		next.scripts = map[string]string{kind: text}
		return pair(files("usr/share/demo/a", "1", "usr/share/demo/b", "1"), next).after(func(m *machine) {
			m.write("var/gen/kept", "kept")
		})
	}
	watching := func(script string) spec {
		return named("watch", "1-r0", spec{
			files: map[string]string{"usr/share/watch": "1"}, info: []string{"triggers = /usr/share/de* /var/*"}, scripts: map[string]string{"trigger": script},
		})
	}
	return map[string]upgradeCase{
		"a script makes files": scripted("post-upgrade", "#!/bin/sh\nmkdir -p /var/gen/d\necho \"$1 $2\" > /var/gen/d/versions\nln -s ../x /var/gen/l\nrm /var/gen/kept\n"+
			"[ -e /usr/share/demo/b ] || cat /usr/share/demo/a >> /var/gen/d/versions\nchmod 600 /var/gen/d/versions\n"),
		"a script sees the old version": scripted("pre-upgrade", "#!/bin/sh\nset -e\ncp /usr/share/demo/b /var/gen/b\ntest ! -e /usr/share/demo/c && echo \"$0\" | grep -q pre-upgrade && echo yes > /var/gen/c\nexit 0\n"),
		"accounts that are there": scripted("pre-upgrade", "#!/bin/sh\naddgroup -S -g 65533 nogroup 2>/dev/null\nadduser -S -D -H -h /dev/null -s /sbin/nologin -G nogroup -g nobody nobody 2>/dev/null\n"+
			"addgroup daemon adm 2>/dev/null\nexit 0\n"),
		"a script edits a file": scripted("post-upgrade", "#!/bin/sh\nif grep -q kept /var/gen/kept; then sed -i -e 's/kept/changed/' /var/gen/kept; fi\nfor i in 1 2; do touch /var/gen/$i; done\n"+
			"find /usr/share/demo -type f | sort > /var/gen/list\n"),
		"a script asks for versions": scripted("post-upgrade", "#!/bin/sh\nif [ \"$(apk version -t \"$2\" 1.0.5-r0)\" = '<' ]; then echo older > /var/gen/v; fi\n"+
			"apk version --test \"$1\" 1.1-r0 > /var/gen/w\napk version -t 2 \"$1\" >> /var/gen/w\nexit 0\n"),
		"a trigger": {
			old: []spec{named("demo", "1.0-r0", files("usr/share/demo/a", "1", "opt/x", "1")), watching("#!/bin/sh\nmkdir -p /var/gen\nfor i in \"$@\"; do echo $i; done | sort > /var/gen/dirs\n")},
			new: []spec{named("demo", "1.1-r0", files("usr/share/demo/a", "2", "usr/share/desk/b", "2", "opt/x", "2"))},
		},
	}
}

func TestUpgradeEqualsApk(t *testing.T) {
	for name, c := range upgradeCases() {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t, "3.19.4")
			var old, next []string
			for _, s := range c.old {
				old = append(old, s.build(t))
			}
			for _, s := range c.new {
				next = append(next, s.build(t))
			}
			m.add(old...)
			if c.prepare != nil {
				c.prepare(m)
			}
			m.check(next...)
		})
	}
}

// Older and newer releases, with other versions of apk and of busybox's scripts.
func TestOtherReleases(t *testing.T) {
	for _, release := range []string{"3.10.3", "3.20.3"} {
		t.Run(release, func(t *testing.T) {
			m := newMachine(t, release)
			c := pair(files("usr/bin/demo", "1", "etc/demo", "1", "usr/share/demo/x", "1"), files("usr/bin/demo", "2", "etc/demo", "2", "usr/bin/more", "2"))
			m.add(c.old[0].build(t))
			m.write("etc/demo", "mine")
			m.check(c.new[0].build(t))
		})
	}
}
