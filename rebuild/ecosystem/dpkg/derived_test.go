package dpkg

import (
	"testing"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
)

// infoEntry is what install-info reads of a document.
const infoEntry = "INFO-DIR-SECTION Basics\nSTART-INFO-DIR-ENTRY\n* A: (a).  About A.\nEND-INFO-DIR-ENTRY\n"

func TestTriggers(t *testing.T) {
	handler := func(body string) spec {
		return spec{name: "handler", version: "1", files: files{"usr/share/handler": "h"}, control: files{
			"triggers": "interest-noawait /usr/share/things\ninterest a-word\n",
			"postinst": "#!/bin/sh\nset -e\nif [ \"$1\" = triggered ]; then\n" + body + "\nfi\nexit 0\n",
		}}
	}
	base := files{"usr/bin/a": "1", "usr/share/things/t": "1", "usr/share/man/man1/a.1": "1", "usr/share/info/b.info": infoEntry + "1"}
	for _, tc := range []struct {
		name    string
		handler string
		new     spec
		change  func(m *image)
		hold    string
	}{
		{name: "nothing below the path changes", handler: "make-index", new: spec{files: files{"usr/bin/a": "2", "usr/share/things/t": "1", "usr/share/man/man1/a.1": "1"}}},
		{
			name: "something changes", handler: "make-index", new: spec{files: files{"usr/bin/a": "1", "usr/share/things/t": "2", "usr/share/man/man1/a.1": "1"}},
			hold: "/usr/share/things/t changes, which triggers handler: postinst line 4: make-index",
		},
		{
			name: "something goes", handler: "make-index", new: spec{files: files{"usr/bin/a": "1", "usr/share/man/man1/a.1": "1"}},
			hold: "/usr/share/things/t changes, which triggers handler",
		},
		{name: "handler does nothing", handler: "[ -d /run/systemd/system ] && make-index || true", new: spec{files: files{"usr/share/things/t": "2"}}},
		{
			name: "named trigger", handler: "make-index", new: spec{files: base, control: files{"triggers": "activate a-word\n"}},
			hold: "it triggers handler: postinst line 4: make-index",
		},
		{
			name: "path trigger activated by name", handler: "make-index", new: spec{files: base, control: files{"triggers": "activate-noawait /usr/share/things\n"}},
			hold: "it triggers handler: postinst line 4: make-index",
		},
		{name: "nobody is interested", handler: ":", new: spec{files: base, control: files{"triggers": "activate other-word\n"}}},
		{
			name: "a manual whose entry stays", handler: ":", new: spec{files: files{"usr/bin/a": "1", "usr/share/things/t": "1", "usr/share/info/b.info": infoEntry + "2"}},
			change: func(m *image) { m.write("usr/share/info/dir", "index") },
		},
		{name: "nothing derived", handler: ":", new: spec{files: files{"usr/bin/a": "1", "usr/share/things/t": "1", "usr/share/info/a.info": infoEntry}}},
		{
			name: "a derived file", handler: ":", new: spec{files: files{"usr/bin/a": "1", "usr/share/things/t": "1", "usr/share/info/a.info": infoEntry}},
			change: func(m *image) { m.write("usr/share/info/dir", "index") }, hold: "/usr/share/info/dir would go stale",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := newImage(t, spec{version: "1", files: base}, handler(tc.handler))
			m.write(fileTriggersPath, "/usr/share/things handler/noawait\n")
			m.write(triggersDir+"/a-word", "handler\n")
			m.program("usr/bin/make-index", "ELF")
			if tc.change != nil {
				tc.change(m)
			}
			tc.new.version = "2"
			_, holds := m.upgrade(ecosystem.UpgradeOptions{}, tc.new)
			if tc.hold != "" {
				wantHold(t, holds, ecosystem.ReasonMaintainerScript, tc.hold)
			} else if len(holds) > 0 {
				t.Error(holds)
			}
		})
	}
}

// TestScripts checks which scripts are asked, with which arguments, in which tree.
func TestScripts(t *testing.T) {
	does := func(condition string) string { return "#!/bin/sh\nif " + condition + "; then mystery; fi\n" }
	for _, tc := range []struct {
		name     string
		old, new files
		hold     string
	}{
		{
			name: "harmless", old: files{"prerm": does(`[ "$1" = remove ]`), "postrm": does(`[ "$1" = purge ]`)},
			new: files{"preinst": does(`[ "$1" = install ]`), "postinst": does(`[ -z "$2" ]`)},
		},
		{name: "old prerm", old: files{"prerm": does(`[ "$1 $2" = "upgrade 2" ]`)}, hold: "prerm line 2: mystery"},
		{name: "new preinst", new: files{"preinst": does(`[ "$1 $2 $3" = "upgrade 1 2" ]`)}, hold: "preinst line 2: mystery"},
		{name: "old postrm", old: files{"postrm": does(`[ "$1 $2" = "upgrade 2" ]`)}, hold: "postrm line 2: mystery"},
		{name: "new postinst", new: files{"postinst": does(`[ "$1 $2" = "configure 1" ]`)}, hold: "postinst line 2: mystery"},
		{name: "those not asked", old: files{"postinst": does("true"), "preinst": does("true")}, new: files{"prerm": does("true"), "postrm": does("true")}},
		{name: "preinst sees the old tree", new: files{"preinst": does("[ -e /usr/bin/new ]")}},
		{name: "postinst sees the new tree", new: files{"postinst": does("[ -e /usr/bin/new ]")}, hold: "postinst"},
		{name: "postinst sees what is gone", new: files{"postinst": does("[ -e /usr/bin/old ]")}},
		{name: "a program", new: files{"postinst": "\x7fELF"}, hold: "no shell script"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := newImage(t, spec{version: "1", files: files{"usr/bin/old": "1"}, control: tc.old})
			m.program("usr/bin/mystery", "ELF")
			_, holds := m.upgrade(ecosystem.UpgradeOptions{}, spec{version: "2", files: files{"usr/bin/new": "2"}, control: tc.new})
			if tc.hold != "" {
				wantHold(t, holds, ecosystem.ReasonMaintainerScript, tc.hold)
			} else if len(holds) > 0 {
				t.Error(holds)
			}
		})
	}
}
