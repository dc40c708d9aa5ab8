package dpkg

import (
	"crypto/sha256"
	"os"
	"testing"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
)

// TestScriptsEqualDpkg lets the real dpkg run scripts that tell when they run, with which arguments, and what they find. That
// new configuration files lie beside the old ones for a while, as .dpkg-new, is not modelled and not looked at.
func TestScriptsEqualDpkg(t *testing.T) {
	tell := func(version, more string) files {
		text := "#!/bin/sh\nset -e\n" +
			`{ echo "` + version + ` $DPKG_MAINTSCRIPT_NAME $DPKG_MAINTSCRIPT_PACKAGE $*"; cd "$DPKG_ROOT/"; ls -d usr/bin/old usr/bin/new etc/c 2>/dev/null || :; cat etc/c 2>/dev/null || :; } >>"$DPKG_ROOT/trace"` + "\n" + more
		return files{prerm: text, preinst: text, postrm: text, postinst: text, "conffiles": "/etc/c\n"}
	}
	fails := func(version, kind string) files {
		all := tell(version, "")
		all[kind] += "[ \"$1\" != upgrade ] || exit 1\n"
		return all
	}
	version := func(n string, control files) spec {
		name := map[string]string{"1": "old", "2": "new"}[n]
		return spec{version: n, files: files{"usr/bin/" + name: n, "usr/bin/both": n, "etc/c": n}, control: control}
	}
	handler := spec{name: "handler", version: "1", files: files{"usr/share/h": "h"}, control: files{
		"triggers": "interest-noawait /usr/bin\ninterest a-word\n",
		"postinst": "#!/bin/sh\nif [ \"$1\" = triggered ]; then echo \"$*\" >>\"$DPKG_ROOT/triggered\"; fi\n",
	}}
	for _, tc := range []struct {
		name     string
		old, new files
		others   []spec
		change   func(m *machine)
	}{
		{name: "all scripts", old: tell("1", ""), new: tell("2", "")},
		{name: "an old prerm that fails", old: fails("1", prerm), new: tell("2", "")},
		{name: "an old postrm that fails", old: fails("1", postrm), new: tell("2", "")},
		{name: "a changed conffile", old: tell("1", ""), new: tell("2", ""), change: func(m *machine) { m.write("etc/c", "mine") }},
		{name: "a script that removes what it ships", old: tell("1", ""), new: tell("2", "rm -f \"$DPKG_ROOT/usr/bin/both\"\n")},
		{name: "a script that moves what is replaced", old: tell("1", ""), new: tell("2", "if [ \"$1\" = upgrade ]; then mv \"$DPKG_ROOT/usr/bin/both\" \"$DPKG_ROOT/usr/bin/aside\"; fi\n")},
		{name: "a trigger", old: tell("1", ""), new: tell("2", ""), others: []spec{handler}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := newMachine(t)
			m.programs()
			for _, s := range append(tc.others, version("1", tc.old)) {
				m.dpkg("--install", build(t, s))
			}
			for _, p := range []string{"trace", "triggered"} {
				m.remove(p)
			}
			if tc.change != nil {
				tc.change(m)
			}
			m.checkAgainstDpkg(build(t, version("2", tc.new)))
		})
	}
}

// TestMaintscriptHelper lets the real dpkg and its helper for maintainer scripts move configuration files, and swap links and
// directories.
func TestMaintscriptHelper(t *testing.T) {
	needDpkg(t)
	helper := map[string]string{"usr/bin/dpkg-maintscript-helper": "", "usr/bin/dpkg-realpath": "", "usr/share/dpkg/sh/dpkg-error.sh": ""}
	for p := range helper {
		data, err := os.ReadFile("/" + p)
		if err != nil {
			t.Skipf("dpkg's helper is not at hand: %v", err)
		}
		helper[p] = string(data)
	}
	const link, dir = "usr/share/demo", "usr/share/target"
	for _, tc := range []struct {
		name, command string
		old, new      files
		// conffiles of the old and the new version.
		was, is string
		change  func(m *machine)
	}{
		{
			name: "a directory becomes a link", command: "dir_to_symlink /" + link + " /" + dir,
			old: files{link + "/a": "1", link + "/sub/b": "1", dir + "/x": "1"}, new: files{link: "-> target", dir + "/a": "2"},
		},
		{
			name: "a link becomes a directory", command: "symlink_to_dir /" + link + " /" + dir,
			old: files{link: "-> /" + dir, dir + "/a": "1"}, new: files{link + "/a": "2", dir + "/a": "2"},
		},
		{
			name: "a link that its administrator made stays", command: "symlink_to_dir /" + link + " /usr/share/another",
			old: files{dir + "/a": "1"}, new: files{dir + "/a": "2"},
			change: func(m *machine) { m.run("ln", "-s", "target", link) },
		},
		{
			name: "a conffile goes", command: "rm_conffile /etc/demo.conf",
			old: files{"etc/demo.conf": "1"}, new: files{"usr/share/x": "2"}, was: "/etc/demo.conf\n",
		},
		{
			name: "a changed conffile goes", command: "rm_conffile /etc/demo.conf",
			old: files{"etc/demo.conf": "1"}, new: files{"usr/share/x": "2"}, was: "/etc/demo.conf\n",
			change: func(m *machine) { m.write("etc/demo.conf", "mine") },
		},
		{
			name: "a conffile moves", command: "mv_conffile /etc/demo.conf /etc/demo/conf",
			old: files{"etc/demo.conf": "1"}, new: files{"etc/demo/conf": "2"}, was: "/etc/demo.conf\n", is: "/etc/demo/conf\n",
		},
		{
			name: "a changed conffile moves", command: "mv_conffile /etc/demo.conf /etc/demo/conf",
			old: files{"etc/demo.conf": "1"}, new: files{"etc/demo/conf": "2"}, was: "/etc/demo.conf\n", is: "/etc/demo/conf\n",
			change: func(m *machine) { m.write("etc/demo.conf", "mine") },
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := newMachine(t)
			m.programs()
			for _, p := range []string{"readlink", "find", "xargs", "basename", "dirname", "sed", "md5sum", "grep", "ln", "mkdir", "rmdir", "touch", "dpkg", "dpkg-query"} {
				m.program("usr/bin/"+p, "ELF")
			}
			for p, text := range helper {
				m.program(p, text)
			}
			m.dpkg("--install", build(t, spec{version: "1", files: tc.old, control: files{"conffiles": tc.was}}))
			if tc.change != nil {
				tc.change(m)
			}
			script := "#!/bin/sh\nset -e\ndpkg-maintscript-helper " + tc.command + " 2~ demo -- \"$@\"\n"
			m.checkAgainstDpkg(build(t, spec{version: "2", files: tc.new, control: files{
				"conffiles": tc.is, prerm: script, preinst: script, postinst: script, postrm: script,
			}}))
		})
	}
}

// TestScriptSettings: what a preinst does to dpkg's own settings counts when the package is unpacked.
func TestScriptSettings(t *testing.T) {
	m := newImage(t, spec{version: "1", files: files{"etc/tool": "1", "etc/tool2": "1"}})
	m.write(diversionsPath, "")
	m.write(statOverridePath, "")
	for _, p := range []string{"dpkg-divert", "dpkg-statoverride"} {
		m.program("usr/bin/"+p, "ELF")
	}
	effect, holds := m.upgrade(ecosystem.UpgradeOptions{}, spec{version: "2", files: files{"etc/tool": "2", "etc/tool2": "2"}, control: files{
		preinst: "#!/bin/sh\nset -e\ndpkg-divert --quiet --package other --add --rename --divert /etc/tool.real /etc/tool\n" +
			"dpkg-statoverride --quiet --update --add www-data root 4750 /etc/tool2\n",
	}})
	if len(holds) > 0 {
		t.Fatal(holds)
	}
	if got, want := changes(effect), "-etc/tool +etc/tool.real +etc/tool2"; got != want {
		t.Errorf("changes are %s, want %s", got, want)
	}
	after := m.after(effect)
	if n, ok := after.Lookup("etc/tool2"); !ok || n.Mode != 0o4750 || n.UID != 33 || n.SHA256 != sha256.Sum256([]byte("2")) {
		t.Errorf("tool2 is %+v", n.Entry)
	}
	if n, ok := after.Lookup("etc/tool.real"); !ok || n.SHA256 != sha256.Sum256([]byte("2")) {
		t.Errorf("tool.real is %+v", n.Entry)
	}
}
