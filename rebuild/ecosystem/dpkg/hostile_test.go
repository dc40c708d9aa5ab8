package dpkg

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
)

// hostileScripts are what a package could try; DIR is a directory of the machine. None of it is a script that passes.
var hostileScripts = map[string]string{
	"fork bomb":                  `f() { f | f & }; f`,
	"recursion":                  `f() { f; }; f`,
	"endless loop":               `while :; do :; done`,
	"endless output":             `while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done >/dev/null`,
	"doubling":                   `x=x; while :; do x="$x$x"; done`,
	"remove all":                 `rm -rf /; reboot`,
	"remove outside":             `rm -rf DIR ../../../../../../DIR; reboot`,
	"write outside":              `echo owned >DIR/new; echo owned >>DIR/victim; ln -s DIR/victim /l; echo owned >/l; reboot`,
	"environment":                `cat /proc/self/environ`,
	"read the machine":           `cat /proc/1/cmdline /sys/kernel/notes; : </dev/sda`,
	"program of the machine":     `DIR/program`,
	"command substitution":       "x=$(DIR/program $(reboot) `reboot`)",
	"eval":                       `eval "$(printf '\162\145\142\157\157\164')"`,
	"exec":                       `exec DIR/program`,
	"source":                     `. DIR/program`,
	"find and xargs":             `find / -name victim -exec reboot {} +; echo DIR/victim | xargs reboot`,
	"sed execute":                `echo x | sed 's/x/reboot/e'`,
	"awk system":                 `awk 'BEGIN { system("reboot") }'`,
	"perl":                       `perl -e 'unlink "DIR/victim"'`,
	"trap":                       `trap 'reboot' EXIT; exit 0`,
	"process substitution":       `cat <(reboot)`,
	"network":                    `exec 3<>/dev/tcp/127.0.0.1/80`,
	"kill":                       `kill -9 1; kill -9 -1`,
	"path":                       `PATH=DIR; program`,
	"interpreter of the machine": `#!DIR/program`,
	"no text":                    "\x7fELF\x00\x01",
}

// TestHostileScripts upgrades a package with a hostile script in each of the places where scripts run. The update is held in time,
// and nothing of the machine changes: a directory whose paths the scripts know stays as it is, to the byte and the time.
func TestHostileScripts(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"victim": "secret", "program": "#!/bin/sh\ntouch " + dir + "/ran\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	before := listing(t, dir)
	t.Chdir(dir)
	longest := time.Duration(0)
	for name, script := range hostileScripts {
		script = strings.ReplaceAll(script, "DIR", dir)
		if !strings.HasPrefix(script, "#!") && !strings.HasPrefix(script, "\x7f") {
			script = "#!/bin/sh\nset -e\n" + script + "\n"
		}
		for _, kind := range []string{prerm, preinst, postrm, postinst} {
			old := spec{version: "1", files: files{"usr/bin/a": "1"}}
			update := spec{version: "2", files: files{"usr/bin/a": "2"}}
			if kind == prerm || kind == postrm {
				old.control = files{kind: script}
			} else {
				update.control = files{kind: script}
			}
			m := newImage(t, old)
			for _, p := range []string{"rm", "cat", "grep", "ln", "find", "xargs", "sed", "awk", "perl", "printf"} {
				m.program("usr/bin/"+p, "ELF")
			}
			m.program("usr/sbin/reboot", "ELF")
			start := time.Now()
			effect, holds := m.upgrade(ecosystem.UpgradeOptions{}, update)
			longest = max(longest, time.Since(start))
			if effect != nil || len(holds) != 1 || holds[0].Reason != ecosystem.ReasonMaintainerScript {
				t.Errorf("%s as %s: %v, %v", name, kind, effect, holds)
			}
		}
	}
	if after := listing(t, dir); after != before {
		t.Errorf("the machine was\n%s\nand is\n%s", before, after)
	}
	t.Logf("the longest takes %v", longest)

	// What a script may do is look for a file of the machine: it finds none.
	m := newImage(t, spec{version: "1"})
	m.program("usr/bin/grep", "ELF")
	text := strings.ReplaceAll("#!/bin/sh\nif [ -e DIR/victim ] || grep -q . DIR/victim 2>/dev/null; then echo stolen >/stolen; fi\necho seen >/seen\n", "DIR", dir)
	effect, holds := m.upgrade(ecosystem.UpgradeOptions{}, spec{version: "2", control: files{postinst: text}})
	if got := changes(effect); len(holds) > 0 || got != "+seen" {
		t.Errorf("changes are %s, want +seen; holds %v", got, holds)
	}
}

// listing describes all below a directory: modes, times, sizes and content.
func listing(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		var content []byte
		if info.Mode().IsRegular() {
			if content, err = os.ReadFile(p); err != nil {
				return err
			}
		}
		fmt.Fprintf(&b, "%s %v %v %x\n", p, info.Mode(), info.ModTime(), md5Of(string(content)))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}
