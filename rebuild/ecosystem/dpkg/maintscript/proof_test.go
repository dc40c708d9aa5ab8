package maintscript

import (
	"strings"
	"testing"
)

// TestFalseProofs are scripts that change something in a way that is easily overlooked.
func TestFalseProofs(t *testing.T) {
	for name, tc := range map[string]struct{ body, why string }{
		"pattern from a variable":           {"C='/var/cache/foo/*'\nrm -f $C", "file name pattern"},
		"pattern of a loop":                 {"L='/etc/*'\nfor f in $L; do [ \"$f\" = '/etc/*' ] || touch /x; done", "file name pattern"},
		"pattern of a test":                 {"X='/etc/t*'\nif [ -e $X ]; then touch /x; fi", "file name pattern"},
		"pattern from the arguments":        {"set -- '/etc/*'\nrm -f $@", "file name pattern"},
		"pattern from a default":            {"rm -f ${X:-/etc/*}", "file name pattern"},
		"pattern of a case from a variable": {"P='*'\ncase a in $P) touch /x;; esac", "pattern"},
		"separators":                        {"IFS=:\nfor f in a:b; do :; done", "assignment to IFS"},
		"separators exported":               {"export IFS=:", "assignment to IFS"},
		"separators of a loop":              {"for IFS in :; do :; done", "assignment to IFS"},
		"separators in bash":                {"#!/bin/bash\ndeclare IFS=:", "IFS"},
		"search path":                       {"PATH=/opt/bin:$PATH\nldconfig", "assignment to PATH"},
		"who the helper works for":          {"export DPKG_MAINTSCRIPT_NAME=postrm", "assignment to DPKG_MAINTSCRIPT_NAME"},
		"local ends with its function":      {"f() { local x=1; }\nf\n[ \"$x\" = 1 ] || touch /x", "touch /x"},
		"local gives back":                  {"x=1\nf() { local x; x=2; }\nf\n[ $x = 2 ] || touch /x", "touch /x"},
		"local keeps its value, or not":     {"x=1\nf() { local x; [ -z \"$x\" ]; }\nf", "the value of x is not known"},
		"local of bash":                     {"#!/bin/bash\nx=1\nf() { local x; [ -n \"$x\" ] || touch /x; }\nf", "touch /x"},
		"local nowhere":                     {"local x=1", "local x=1"},
		"return from a subshell":            {"f() { ( return 0 ); touch /x; }\nf", "touch /x"},
		"function of a subshell":            {"( f() { :; } )\nf || touch /x", "touch /x"},
		"function like the shell's own":     {"exit() { :; }\nexit 0\ntouch /x", "function with a name"},
		"status of an assignment":           {"if X=$(which none); then :; else touch /x; fi", "touch /x"},
		"failing assignment":                {"X=$(which none)", "fails"},
		"output of the right side":          {"X=$(which none || touch /x)", "output of"},
		"output that goes nowhere":          {"X=$(which sed >/dev/null)\n[ -n \"$X\" ] || touch /x", "output of"},
		"output of a function":              {"which() { touch /x; }\nX=$(which sed)", "output of"},
		"output to a file":                  {"#!/bin/bash\necho x >&/etc/foo", "redirects"},
		"output to a file of a variable":    {"#!/bin/bash\nF=/etc/foo; echo x >&$F", "redirects"},
		"program elsewhere":                 {"/opt/my/ldconfig", "/opt/my/ldconfig"},
		"program elsewhere by dots":         {"/usr/bin/../../opt/my/ldconfig", "ldconfig"},
		"program before the known one":      {"rm -f /etc/gone", "rm -f /etc/gone"},
		"status of debconf in if":           {"if db_get a/b; then :; else touch /x; fi", "status of db_get a/b is not known"},
		"status of debconf before and":      {"db_get a/b && touch /x", "status of db_get a/b is not known"},
		"status of debconf before or":       {"db_get a/b || touch /x", "status of db_get a/b is not known"},
		"status of debconf in a function":   {"f() { db_get a/b; }\nif f; then :; fi", "status of db_get a/b is not known"},
		"status of debconf behind":          {"db_get a/b || true\ndb_go\n[ $? = 0 ]", "status of the last command is not known"},
		"status of debconf returned":        {"f() { db_go; return; }\nf", "status of the last command is not known"},
		"bash's own commands":               {"#!/bin/bash\nsource /etc/there || true", "source /etc/there"},
		"bash's options":                    {"#!/bin/bash\nshopt -s nullglob || true", "shopt"},
		"function taken back":               {"f() { :; }\nunset -f f\nf", "unset -f f"},
		"printing into a variable":          {"#!/bin/bash\nprintf -v X a\n[ -z \"$X\" ] || touch /x", "printf -v"},
	} {
		r := tree()
		r["/opt/my/ldconfig"] = fakeFile{mode: program}
		r["/usr/bin/../../opt/my/ldconfig"] = fakeFile{mode: program}
		r["/usr/local/sbin/rm"] = fakeFile{mode: program}
		body := tc.body
		if !strings.HasPrefix(body, "#!") {
			body = "#!/bin/sh\nset -e\n" + body
		}
		v := Check(Script{Name: "postinst", Package: "demo", Arch: "amd64", Content: []byte(body + "\n")}, []string{"configure", "1.0"}, r)
		if v.Inert || !strings.Contains(v.Why, tc.why) {
			t.Errorf("%s: %+v, want %q", name, v, tc.why)
		}
	}
}

// TestProofsKept are scripts like those above that do nothing.
func TestProofsKept(t *testing.T) {
	for name, body := range map[string]string{
		"pattern within quotes":     "C='/var/cache/foo/*'\n[ \"$C\" = '/var/cache/foo/*' ]",
		"variable of a case":        "P=a\ncase a in $P) ;; *) touch /x;; esac",
		"same search path":          "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"local":                     "f() { local x; x=$1; [ \"$x\" = a ]; }\nf a",
		"local of a local":          "f() { local x=1; g; [ $x = 1 ]; }\ng() { local x=2; }\nf",
		"local in bash":             "#!/bin/bash\nx=1\nf() { local -r x=2; [ $x = 2 ]; }\nf\n[ $x = 1 ]",
		"subshell":                  "f() { ( return 1 ) || return 0; touch /x; }\nf",
		"assignment with a program": "X=$(which none || true)\n[ -z \"$X\" ]\nif Y=$(which sed); then [ $Y = /usr/bin/sed ]; fi",
		"program by its path":       "/usr/bin/ldconfig",
		"debconf":                   "db_get a/b || :\ndb_input low a/b || true\ndb_go || true\ntrue\n[ $? = 0 ]\ndb_stop",
		"descriptors":               "echo x >&2\necho x 2>&-",
	} {
		if !strings.HasPrefix(body, "#!") {
			body = "#!/bin/sh\nset -e\n" + body
		}
		if v := check("postinst", body+"\n", "configure", "1.0"); !v.Inert {
			t.Errorf("%s: %s", name, v.Why)
		}
	}
}
