package maintscript

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fakeRoot is a tree of files by path; links have their target as content.
type fakeRoot map[string]fakeFile

type fakeFile struct {
	mode    fs.FileMode
	owner   [2]int
	content string
}

func (r fakeRoot) Lstat(p string) (File, bool) {
	f, ok := r[p]
	return File{FileMode: f.mode, UID: f.owner[0], GID: f.owner[1]}, ok
}

func (r fakeRoot) Stat(p string) (File, bool) {
	if f, ok := r[p]; ok && f.mode&fs.ModeSymlink != 0 {
		return r.Stat(f.content)
	}
	return r.Lstat(p)
}

func (r fakeRoot) ReadFile(p string) ([]byte, error) {
	if f, ok := r[p]; ok && f.mode.IsRegular() {
		return []byte(f.content), nil
	}
	return nil, fs.ErrNotExist
}

const program = fs.FileMode(0o755)

// tree is what the tests' scripts look at.
func tree() fakeRoot {
	r := fakeRoot{
		"/etc/passwd":                {mode: 0o644, content: "root:x:0:0::/root:/bin/sh\nwww-data:x:33:33::/:/bin/sh\nredis:x:101:102::/:/bin/sh\nme:x:1000:1000::/:/bin/sh\n"},
		"/etc/group":                 {mode: 0o644, content: "root:x:0:\nadm:x:4:\nwww-data:x:33:\n"},
		"/etc/there":                 {mode: 0o644},
		"/etc/link":                  {mode: fs.ModeSymlink | 0o777, content: "/etc/there"},
		"/etc/dangling":              {mode: fs.ModeSymlink | 0o777, content: "/nowhere"},
		"/var/log/nginx":             {mode: fs.ModeDir | 0o755, owner: [2]int{0, 4}},
		"/var/sticky":                {mode: fs.ModeDir | fs.ModeSticky | 0o777},
		"/usr/bin/suid":              {mode: fs.ModeSetuid | 0o755},
		"/var/lib/dpkg/statoverride": {mode: 0o644, content: "root adm 750 /var/log/mine\n"},
	}
	for _, name := range []string{
		"dpkg", "dpkg-maintscript-helper", "deb-systemd-helper", "deb-systemd-invoke", "rm", "mkdir", "chown", "chmod", "getent", "adduser",
		"addgroup", "update-rc.d", "invoke-rc.d", "py3compile", "py3clean", "ldconfig", "dpkg-statoverride", "update-alternatives", "sed", "touch",
		"which", "dirname", "basename", "uname",
	} {
		r["/usr/bin/"+name] = fakeFile{mode: program}
	}
	return r
}

func check(name, body string, args ...string) Verdict {
	return Check(Script{Name: name, Package: "demo", Arch: "amd64", Content: []byte(body)}, args, tree())
}

// TestInert are scripts of which "configure 1.0" does nothing.
func TestInert(t *testing.T) {
	for name, body := range map[string]string{
		"nothing":                "",
		"exit":                   "exit 0\ntouch /x",
		"comments":               "# a\n\n# b",
		"another action":         `if [ "$1" = purge ]; then rm -rf /var/lib/demo; fi`,
		"case":                   "case \"$1\" in\n install|upgrade) touch /x;;\n configure) ;;\n *) echo >&2 \"called with $1\"; exit 1;;\nesac",
		"case with patterns":     `case "$1" in abort-*) touch /x;; conf*) : ;; esac`,
		"case with quotes":       `case "$1" in "conf*") touch /x;; esac`,
		"first installation":     `if [ "$1" = configure ] && [ -z "$2" ]; then touch /x; fi`,
		"old version":            `if dpkg --compare-versions "$2" lt-nl 0.9; then touch /x; fi`,
		"old version, le":        `dpkg --compare-versions -- "$2" le 0.9 && touch /x || true`,
		"a variable":             "X=\"$1-${2}\"\nif [ \"$X\" != configure-1.0 ]; then touch /x; fi",
		"defaults":               `[ "${FOO:-a}${BAR-b}${1:+c}${3:+d}" = abc ] || touch /x`,
		"a function":             "f() { local a=\"$1\"; [ \"$a\" = x ] && touch /x; return 0; }\nf y\nf z",
		"a function's arguments": "f() { shift; [ \"$#\" = 1 ] || touch /x; }\nf a b\n[ \"$1\" = configure ] || touch /x",
		"for":                    `for i in a b "$@"; do [ "$i" = c ] && touch /x || :; done`,
		"for arguments":          `for i; do [ "$i" != purge ] || touch /x; done`,
		"subshell":               "( X=1; exit 0 )\n[ -z \"$X\" ] || touch /x",
		"block":                  "{ true; } && { :; }",
		"negation":               "if ! [ -e /etc/there ]; then touch /x; fi",
		"failing left side":      "false && touch /x\ntrue",
		"until the end":          "[ -x /usr/sbin/none ] || exit 0\ntouch /x",
		"redirects to nowhere":   "echo hello >/dev/null 2>&1 </dev/null >>/dev/null",
		"file tests":             `[ -e /etc/there -a -f /etc/there ] && [ ! -d /etc/there -o -L /etc/there ] && [ -L /etc/link ] && [ -f /etc/link ] && [ ! -e /etc/dangling ] && [ -h /etc/dangling ] && [ -d /var/log/nginx ] && [ -x /usr/bin/sed ] && [ ! -x /etc/there ]`,
		"grouped tests":          `[ \( "$1" = a -o "$1" = configure \) -a "$2" = 1.0 ] || touch /x`,
		"numbers":                `[ $# -eq 2 ] && [ 1 -lt 2 ] && [ 2 -ge 2 ] && [ 3 -ne 4 ] && [ 1 -le 1 ] && [ 5 -gt 4 ]`,
		"commands that exist":    `if command -v none >/dev/null 2>&1; then touch /x; fi; which sed >/dev/null; [ -x "$(command -v sed)" ]; [ -z "$(which none 2>/dev/null || true)" ]`,
		"old quoting":            "[ -x \"`which none 2>/dev/null`\" ] && touch /x || true",
		"basename":               `[ "$(basename /a/b)" = b ] && [ "$(dirname /a/b)" = /a ] && [ "$(uname -s)" = Linux ] && [ "$(dpkg --print-architecture)" = amd64 ]`,
		"not installed":          "none --do-it || true",
		"running systemd":        "if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi",
		"services":               "deb-systemd-invoke restart demo.service >/dev/null || true\ninvoke-rc.d demo restart || exit $?",
		"python":                 "py3compile -p demo /usr/share/demo -V 3.11-\npy3clean -p demo",
		"libraries":              "ldconfig",
		"removes nothing":        "rm -f /etc/gone /etc/gone2\nrm -rf -- /var/gone",
		"makes nothing":          "mkdir -p /var/log/nginx",
		"owners as they are":     "chown root:adm /var/log/nginx\nchown root /etc/there\nchown :root /etc/there",
		"modes as they are":      "chmod 755 /var/log/nginx\nchmod 0644 /etc/there /etc/link\nchmod 1777 /var/sticky",
		"users that are there":   "getent passwd www-data >/dev/null || touch /x\nif getent group none; then touch /x; fi\nadduser --system --home /var/lib/redis --quiet --group redis\naddgroup --system adm",
		"overrides":              "dpkg-statoverride --list /var/log/mine >/dev/null || touch /x\nif dpkg-statoverride --list /var/log/other; then touch /x; fi",
		"debconf":                ". /usr/share/debconf/confmodule\ndb_version 2.0\ndb_get demo/x || true\ndb_stop",
		"bash":                   "#!/bin/bash -e\ntrue",
		"set":                    "set -eu\nset +e\nfalse\ntrue",
		"set arguments":          "set -- a b\n[ \"$1$2\" = ab ]",
		"umask":                  "umask 022",
		"unset":                  "A=1\nunset A\n[ -z \"$A\" ]",
		"words":                  "LIST=' a  b '\nn=x; for i in $LIST; do n=\"$n.$i\"; done; [ \"$n\" = x.a.b ]",
		"escapes":                `[ a\~b = "a~b" ] && [ "\$1" = '$1' ] && [ "a\b" = 'a\b' ]`,
		"last status":            "false || [ $? = 1 ]",
		"export":                 "export LC_ALL=C\n[ \"$LC_ALL\" = C ]",
	} {
		if !strings.HasPrefix(body, "#!") {
			body = "#!/bin/sh\nset -e\n" + body
		}
		if v := check("postinst", body+"\n", "configure", "1.0"); !v.Inert {
			t.Errorf("%s: %s", name, v.Why)
		}
	}
}

// TestNotInert are scripts that may change something, or of which it is not known.
func TestNotInert(t *testing.T) {
	for name, tc := range map[string]struct{ body, why string }{
		"unknown command":          {"update-alternatives --install /a b /c 1", "postinst line 3: update-alternatives --install /a b /c 1"},
		"in a branch taken":        {"if [ \"$1\" = configure ]; then\n  touch /x\nfi", "line 4: touch /x"},
		"in a condition":           {"if touch /x; then :; fi", "line 3: touch /x"},
		"in a function":            {"f() {\n  touch /x\n}\nf", "line 4: touch /x"},
		"behind or":                {"false || touch /x", "line 3: touch /x"},
		"redirect":                 {"echo x > /etc/x", "redirects"},
		"append":                   {"echo x >> /etc/x", "redirects"},
		"redirect to a variable":   {"F=/etc/x\n: > $F", "redirects"},
		"here document":            {"cat <<E\nx\nE", "redirects"},
		"pipe":                     {"echo x | sed s/x/y/", "pipe"},
		"background":               {"true &", "background"},
		"while":                    {"while true; do :; done", "while true"},
		"output not known":         {"X=$(sed -n 1p /etc/there)", "output of sed -n 1p /etc/there"},
		"file name pattern":        {"rm -f /etc/*.bak", "file name pattern"},
		"braces":                   {"rm -f /etc/{a,b}", "file name pattern"},
		"home":                     {"rm -f ~/x", "file name pattern"},
		"expression":               {"X=$((1+1))", "$((1 + 1))"},
		"part of a value":          {`[ "${1%x}" = a ]`, "${1%x}"},
		"answer of debconf":        {". /usr/share/debconf/confmodule\ndb_get demo/x\n[ \"$RET\" = true ]", "line 5: the value of RET is not known"},
		"environment of the build": {`[ -n "$HOME" ]`, "the value of HOME is not known"},
		"process number":           {`[ "$$" = 1 ]`, "the value of $ is not known"},
		"other file":               {". /etc/there", ". /etc/there"},
		"eval":                     {"eval true", "eval true"},
		"exec":                     {"exec true", "exec true"},
		"trap":                     {"trap 'touch /x' EXIT", "trap"},
		"cd":                       {"cd /\n[ -e etc/there ]", "cd /"},
		"relative test":            {"[ -e etc/there ]", "[ -e etc/there ]"},
		"what is mounted":          {"[ -e /proc/1 ]", "[ -e /proc/1 ]"},
		"size":                     {"[ -s /etc/there ]", "[ -s /etc/there ]"},
		"failure":                  {"false", "line 3: fails: false"},
		"failure behind and":       {"true && false", "fails"},
		"failure status":           {"exit 3", "fails with status 3"},
		"failing function":         {"f() { return 2; }\nf", "fails"},
		"removes something":        {"rm -f /etc/there", "rm -f /etc/there"},
		"removes a link":           {"rm -f /etc/dangling", "rm -f /etc/dangling"},
		"removes without force":    {"rm /etc/gone", "rm /etc/gone"},
		"makes something":          {"mkdir -p /var/new", "mkdir -p /var/new"},
		"other owner":              {"chown www-data:adm /var/log/nginx", "chown"},
		"other group":              {"chown root:www-data /var/log/nginx", "chown"},
		"unknown owner":            {"chown nobody /var/log/nginx", "chown"},
		"owner of a program":       {"chown root /usr/bin/suid", "chown"},
		"owners below":             {"chown -R root /var/log/nginx", "chown"},
		"other mode":               {"chmod 750 /var/log/nginx", "chmod"},
		"mode by letters":          {"chmod u+s /usr/bin/suid", "chmod"},
		"new user":                 {"adduser --system --group new", "adduser"},
		"person":                   {"adduser --system me", "adduser"},
		"member":                   {"adduser www-data adm", "adduser"},
		"new override":             {"dpkg-statoverride --add root adm 4750 /x", "dpkg-statoverride"},
		"new init script":          {"update-rc.d demo defaults", "update-rc.d"},
		"other dpkg":               {"dpkg --add-architecture i386", "dpkg --add-architecture"},
		"bad versions":             {"dpkg --compare-versions 'a b' lt 1", "dpkg --compare-versions"},
		"environment":              {"LC_ALL=C touch /x", "environment"},
		"another shell":            {"#!/usr/bin/perl\nunlink('/x');", "line 1: runs in \"/usr/bin/perl\""},
		"no shell":                 {"#!\n", "line 1: no shell script"},
		"traced":                   {"#!/bin/sh -x\n", "line 1: shell option"},
		"not shell":                {"if then fi (", "cannot be read"},
		"unset variable":           {"set -u\n[ \"$NONE\" = x ]", "NONE is not set"},
		"endless calls":            {"f() { f; }\nf", "more than 30 deep"},
		"many calls":               {"f() { :;:;:;:;:;:;:;:;:;:; }\ng() { f;f;f;f;f;f;f;f;f;f; }\nh() { g;g;g;g;g;g;g;g;g;g; }\nh;h;h;h;h;h;h;h;h;h;h", "steps"},
		"growing value":            {"a=xxxxxxxx\nf() { a=$a$a$a$a$a$a$a$a; }\nf;f;f;f;f;f;f;f;f", "too long"},
		"function without a name":  {"() \"\"", ""},
		"through the cracks":       {"case \"$1\" in configure) : ;;& *) touch /x;; esac", ""},
	} {
		body := tc.body
		if !strings.HasPrefix(body, "#!") {
			body = "#!/bin/sh\nset -e\n" + body
		}
		v := check("postinst", body+"\n", "configure", "1.0")
		if v.Inert || !strings.HasPrefix(v.Why, "postinst ") || !strings.Contains(v.Why, tc.why) {
			t.Errorf("%s: %+v, want %q", name, v, tc.why)
		}
	}
}

func TestMaintscriptHelper(t *testing.T) {
	for _, tc := range []struct {
		script, args, command string
		inert                 bool
	}{
		{"preinst", "upgrade 1.0 2.0", "rm_conffile /etc/there 0.9~", true},
		{"preinst", "upgrade 1.0 2.0", "rm_conffile /etc/there 1.1~", false},
		{"preinst", "upgrade 1.0 2.0", "rm_conffile /etc/gone 1.1~ demo", true},
		{"preinst", "upgrade 1.0 2.0", "rm_conffile /etc/there", false},
		{"postinst", "configure 1.0", "rm_conffile /etc/there 1.1~", true},
		{"preinst", "upgrade 1.0 2.0", "mv_conffile /etc/there /etc/new 1.1~", false},
		{"preinst", "upgrade 1.0 2.0", "mv_conffile /etc/there /etc/new 0.9~", true},
		{"postinst", "configure 1.0", "mv_conffile /etc/there /etc/new 1.1~", false},
		{"preinst", "upgrade 1.0 2.0", "symlink_to_dir /etc/link /etc/there 1.1~", false},
		{"preinst", "upgrade 1.0 2.0", "symlink_to_dir /etc/there /etc/link 1.1~", true},
		{"preinst", "upgrade 1.0 2.0", "dir_to_symlink /var/log/nginx /var/x 1.1~", false},
		{"preinst", "upgrade 1.0 2.0", "dir_to_symlink /etc/link /etc/there 1.1~", true},
		{"postinst", "configure 1.0", "dir_to_symlink /var/log/nginx /var/x 1.1~", true},
		{"prerm", "upgrade 2.0", "rm_conffile /etc/there 1.1~", true},
		{"postrm", "upgrade 2.0", "symlink_to_dir /etc/link /etc/there 1.1~", true},
		{"postrm", "purge", "rm_conffile /etc/there 1.1~", false},
		{"preinst", "upgrade 1.0 2.0", "new_command /etc/there 1.1~", false},
	} {
		v := check(tc.script, "#!/bin/sh\nset -e\ndpkg-maintscript-helper "+tc.command+" -- \"$@\"\n", strings.Fields(tc.args)...)
		if v.Inert != tc.inert {
			t.Errorf("%s %s: %s: %+v", tc.script, tc.args, tc.command, v)
		}
	}
	if v := check("preinst", "#!/bin/sh\nset -e\nif dpkg-maintscript-helper supports rm_conffile; then :; else touch /x; fi\n", "upgrade", "1", "2"); !v.Inert {
		t.Error(v.Why)
	}
}

func TestSystemdHelper(t *testing.T) {
	const unit = "[Unit]\nDescription=x\n[Install]\nWantedBy=multi-user.target\nAlias=other.service\n"
	links := []string{"/etc/systemd/system/other.service", "/etc/systemd/system/multi-user.target.wants/demo.service"}
	installed := func() fakeRoot {
		r := tree()
		r["/usr/lib/systemd/system/demo.service"] = fakeFile{mode: 0o644, content: unit}
		r[unitStateDir+"/demo.service.dsh-also"] = fakeFile{mode: 0o644, content: strings.Join(links, "\n") + "\n"}
		for _, link := range links {
			r[link] = fakeFile{mode: fs.ModeSymlink | 0o777, content: "/usr/lib/systemd/system/demo.service"}
			r[unitStateDir+strings.TrimPrefix(link, unitLinkDir)] = fakeFile{mode: 0o644}
		}
		return r
	}
	snippet := "#!/bin/sh\nset -e\nif [ \"$1\" = configure ]; then\n\tdeb-systemd-helper unmask 'demo.service' >/dev/null || true\n" +
		"\tif deb-systemd-helper --quiet was-enabled 'demo.service'; then\n\t\tdeb-systemd-helper enable 'demo.service' >/dev/null || true\n" +
		"\telse\n\t\tdeb-systemd-helper update-state 'demo.service' >/dev/null || true\n\tfi\nfi\n"
	for _, tc := range []struct {
		name   string
		change func(r fakeRoot)
		why    string
	}{
		{"as installed", func(fakeRoot) {}, ""},
		{"disabled by the administrator", func(r fakeRoot) { delete(r, links[0]) }, ""},
		{"never enabled", func(r fakeRoot) { delete(r, unitStateDir+"/demo.service.dsh-also") }, "enable"},
		{"a marker is missing", func(r fakeRoot) { delete(r, unitStateDir+"/multi-user.target.wants/demo.service") }, "enable"},
		{"new link wanted", func(r fakeRoot) {
			r["/usr/lib/systemd/system/demo.service"] = fakeFile{mode: 0o644, content: unit + "RequiredBy=x.target\n"}
		}, "enable"},
		{"new link wanted, disabled", func(r fakeRoot) {
			delete(r, links[0])
			r["/usr/lib/systemd/system/demo.service"] = fakeFile{mode: 0o644, content: unit + "RequiredBy=x.target\n"}
		}, "update-state"},
		{"masked by the package", func(r fakeRoot) { r[unitMaskDir+"/demo.service"] = fakeFile{mode: 0o644} }, "unmask"},
		{"unit is gone", func(r fakeRoot) { delete(r, "/usr/lib/systemd/system/demo.service") }, "enable"},
		{"Also", func(r fakeRoot) {
			r["/usr/lib/systemd/system/demo.service"] = fakeFile{mode: 0o644, content: unit + "Also=demo.socket\n"}
			r["/usr/lib/systemd/system/demo.socket"] = fakeFile{mode: 0o644, content: "[Install]\nAlso=demo.service\n"}
		}, ""},
		{"no helper in the image", func(r fakeRoot) { delete(r, "/usr/bin/deb-systemd-helper") }, ""},
	} {
		r := installed()
		tc.change(r)
		v := Check(Script{Name: "postinst", Package: "demo", Arch: "all", Content: []byte(snippet)}, []string{"configure", "1"}, r)
		if v.Inert != (tc.why == "") || !strings.Contains(v.Why, tc.why) {
			t.Errorf("%s: %+v, want %q", tc.name, v, tc.why)
		}
	}
}

func TestUpdateRC(t *testing.T) {
	r := tree()
	r["/etc/rc3.d/S01demo"] = fakeFile{mode: fs.ModeSymlink | 0o777, content: "../init.d/demo"}
	script := Script{Name: "postinst", Content: []byte("#!/bin/sh\nset -e\nupdate-rc.d demo defaults >/dev/null || exit 1\n")}
	if v := Check(script, []string{"configure", "1"}, r); !v.Inert {
		t.Error(v.Why)
	}
	r["/usr/sbin/insserv"] = fakeFile{mode: program}
	if v := Check(script, []string{"configure", "1"}, r); v.Inert {
		t.Error("insserv was overlooked")
	}
}

// TestHostScripts judges all scripts of this machine, quickly and without a panic.
func TestHostScripts(t *testing.T) {
	scripts, err := filepath.Glob("/var/lib/dpkg/info/*.p*")
	if err != nil || len(scripts) == 0 {
		t.Skip("this machine has no maintainer scripts")
	}
	args := map[string][]string{".preinst": {"upgrade", "1", "2"}, ".prerm": {"upgrade", "2"}, ".postrm": {"upgrade", "2"}, ".postinst": {"configure", "1"}}
	inert := 0
	for _, p := range scripts {
		content, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Ext(p)
		start := time.Now()
		v := Check(Script{Name: name[1:], Package: "x", Content: content}, args[name], tree())
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("%s took %v", p, took)
		}
		if v.Inert {
			inert++
		} else if v.Why == "" || strings.Contains(v.Why, "\n") {
			t.Errorf("%s: the reason is %q", p, v.Why)
		}
	}
	t.Logf("%d of %d scripts are inert", inert, len(scripts))
}

// FuzzCheck checks that no script makes Check loop or panic, nor finds a way to be inert by failing.
func FuzzCheck(f *testing.F) {
	f.Add("case \"$1\" in configure) exit 0;; esac\n")
	f.Add("f() { for i in \"$@\" $X ${Y:-a b}; do [ -e \"/$i\" ] || f \"$i\"; done; }; f a b c\n")
	f.Fuzz(func(t *testing.T, body string) {
		v := check("postinst", "#!/bin/sh\nset -e\n"+body, "configure", "1")
		if v.Inert != (v.Why == "") {
			t.Fatalf("%+v", v)
		}
	})
}
