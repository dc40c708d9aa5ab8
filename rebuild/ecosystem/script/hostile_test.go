package script_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem/script"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem/script/posix"
)

// hostile are scripts that must end soon, with an error, without any effect on the machine. HOST stands for a directory
// of the machine with a file "canary".
var hostile = map[string]string{
	"fork bomb":               `:() { :|:& };:`,
	"fork bomb in foreground": `f() { f | f; }; f`,
	"subshell bomb":           `f() { (f); (f); }; f`,
	"infinite loop":           `while :; do :; done`,
	"infinite loop of nothing": `while true
do
x=1
done`,
	"recursion":            `f() { f; }; f`,
	"eval recursion":       `x='eval "$x"'; eval "$x"`,
	"doubling":             `x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done`,
	"doubling in a word":   `x=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; ` + strings.Repeat(`x=$x$x$x$x$x$x$x$x;`, 20),
	"sourcing itself":      `. /self`,
	"running itself":       `/usr/bin/self`,
	"endless output":       `while :; do echo aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; done`,
	"endless pipe":         `while :; do echo aaaaaaaaaaaaaaaaaaaa; done | head -n 1`,
	"huge file":            `x=0123456789012345678901234567890123456789; while :; do echo $x$x$x$x$x$x$x$x$x >>/big; done`,
	"many files":           `i=0; while :; do i=$((i+1)); : >/f$i; done`,
	"deep directories":     `while :; do mkdir d; cd d; done`,
	"many links":           `ln -s /loop /loop; cat /loop; exit 1`,
	"wide printf":          `printf '%999999999d' 1`,
	"wide pattern":         `x=$(printf '%s' aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa); while :; do x=$x$x; y=${x%%*a*a*a*a*a*b}; done`,
	"glob explosion":       `echo /*/*/*/../../../*/*/*/../../../*/*/*/../../../*/*/*; exit 1`,
	"unknown program":      `/sbin/reboot`,
	"shell in the host":    `HOST/program`,
	"write to the host":    `echo x >HOST/new; cat HOST/canary`,
	"remove from the host": `rm HOST/canary`,
	"remove all":           `rm -rf /; cat HOST/canary`,
	"climb":                `cat ../../../../../../../../../../HOST/canary`,
	"read proc":            `cat /proc/self/environ`,
	"read proc by glob":    `for f in /proc/*/environ; do cat $f; done`,
	"read sys":             `cat /sys/class/net/lo/address`,
	"read by redirection":  `read x </proc/version; echo $x`,
	"read by test":         `[ -e /proc/1/root ]`,
	"read by source":       `. /proc/self/environ`,
	"read device":          `cat /dev/zero`,
	"write device":         `echo x >/dev/sda`,
	"tcp":                  `exec 3<>/dev/tcp/localhost/80`,
	"process substitution": "#!/bin/bash\ncat <(echo x)",
	"background":           `sleep 1000 &`,
	"time":                 "#!/bin/bash\ntime true",
	"process number":       `echo $$; rm -rf /tmp/$$`,
	"random":               "#!/bin/bash\necho $RANDOM",
	"parent":               `echo $PPID`,
	"kill":                 `kill -9 1`,
	"ulimit":               `ulimit -n`,
	"stdin":                `read x; echo $x`,
	"cat stdin":            `cat`,
	"perl":                 `perl -e 'system "reboot"'`,
	"array":                "#!/bin/bash\na=(1 2); echo ${a[99999999999]}",
	"braces":               "#!/bin/bash\necho {1..1000000000}",
	"nested parentheses":   strings.Repeat("(", 100_000),
	"nested substitutions": strings.Repeat("$(", 100_000),
	"nested conditions":    strings.Repeat("if ", 100_000),
	"nested negations":     strings.Repeat("! ", 100_000),
	"nested backquotes":    strings.Repeat("`", 100_001),
	"nested arithmetic":    "echo $((" + strings.Repeat("-", 100_000) + "1))",
	"nested test":          "[ " + strings.Repeat("! ", 100_000) + "x ]",
	"nested sed":           "echo x | sed '" + strings.Repeat("{", 10_000) + "'",
	"nested awk":           "echo x | awk '" + strings.Repeat("(", 9_000) + "'",
	"awk loop":             `echo x | awk '{while (1) {}}'`,
	"awk system":           `awk 'BEGIN {system("reboot")}'`,
	"sed write":            `echo x | sed 'w HOST/new'; exit 1`,
	"sed execute":          `echo x | sed 's/x/reboot/e'`,
	"find exec":            `find / -exec /sbin/reboot ';'; exit 1`,
	"no shell":             "#!/usr/bin/python3\nimport os",
	"no such shell":        "#!HOST/program\n",
	"binary":               "\x7fELF",
	"regular expression":   `echo aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa | grep -E '((((a{1,1000}){1,1000}){1,1000}){1,1000})b'; exit 1`,
	"back reference":       `echo aa | grep '\(a\)\1'`,
	"arithmetic":           `echo $((1 / 0)); echo $((-9223372036854775808 / -1))`,
	"many variables":       `i=0; while :; do i=$((i+1)); eval "v$i=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"; done`,
	"many functions":       `i=0; while :; do i=$((i+1)); eval "f$i() { echo aaaaaaaaaaaaaaaaaa; }"; done`,
	"many arguments":       `set -- a; while :; do set -- "$@" "$@"; done`,
	"here-document bomb":   "x=aaaaaaaaaaaaaaaaaaaaa; while :; do x=$(cat <<EOF\n$x$x\nEOF\n); done",
	"trap loop":            `trap 'while :; do :; done' EXIT`,
	"xargs":                `find / | xargs -n1 /sbin/reboot`,
	"link out":             `ln -s HOST /out; cat /out/canary`,
	"rename over":          `mv /etc/passwd HOST/canary`,
	"tilde":                `cat ~/.ssh/id_rsa; cat ~root/x`,
}

// TestHostile proves that no script reaches the machine: none of these ends well, all end soon, and nothing of what they try
// to read comes out.
func TestHostile(t *testing.T) {
	host := t.TempDir()
	canary := filepath.Join(host, "canary")
	if err := os.WriteFile(canary, []byte("the machine's secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(host, "program"), []byte("#!/bin/sh\ntouch "+host+"/ran\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	before := runtime.NumGoroutine()
	for name, text := range hostile {
		t.Run(name, func(t *testing.T) {
			text = strings.ReplaceAll(text, "HOST", host)
			if !strings.HasPrefix(text, "#!") && !strings.HasPrefix(text, "\x7f") {
				text = "#!/bin/sh\nset -e\n" + text + "\n"
			}
			tree := image(t, map[string]string{
				"self": ". /self\n", "usr/bin/self": "#!/bin/sh\n/usr/bin/self\n", "sbin/reboot": "", "usr/bin/perl": "ELF",
				"etc/passwd": "root:x:0:0:root:/root:/bin/sh\n", "a/b/c/d": "", "a/b/e/f": "", "a/g/h/i": "",
			})
			if err := tree.Chmod("/sbin/reboot", 0o755); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			began := time.Now()
			res, err := script.Run(ctx, script.Input{
				Name: "postinst", Script: []byte(text), Tree: tree, Commands: posix.Commands(),
				Env: map[string]string{"PATH": "/usr/bin:/bin:/sbin", "HOME": "/root"},
			})
			if took := time.Since(began); took > 2*time.Second {
				t.Errorf("takes %v", took)
			}
			var unknown *script.UnknownError
			var exit *script.ExitError
			if !errors.As(err, &unknown) && !errors.As(err, &exit) {
				t.Errorf("ends with %v", err)
			}
			if strings.Contains(string(res.Output), "secret") {
				t.Errorf("reads the machine's files: %s", res.Output)
			}
			t.Log(err)
		})
	}
	data, err := os.ReadFile(canary)
	if err != nil || string(data) != "the machine's secret" {
		t.Errorf("the machine's file is %q, %v", data, err)
	}
	if names, _ := os.ReadDir(host); len(names) != 2 {
		t.Errorf("the machine's directory has %d files", len(names))
	}
	if after := runtime.NumGoroutine(); after > before {
		t.Errorf("%d goroutines before, %d after", before, after)
	}
}
