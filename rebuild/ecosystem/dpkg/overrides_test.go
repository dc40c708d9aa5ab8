package dpkg

import (
	"strings"
	"testing"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem/dpkg/internal/accounts"
)

func TestDiversions(t *testing.T) {
	d, err := parseDiversions([]byte("/bin/sh\n/bin/sh.distrib\ndash\n/usr/bin/x\n/usr/bin/x.real\n:\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ path, pkg, want string }{
		{"bin/sh", "bash", "bin/sh.distrib"},
		{"bin/sh", "dash", "bin/sh"},
		{"usr/bin/x", "any", "usr/bin/x.real"},
		{"usr/bin/y", "any", "usr/bin/y"},
	} {
		if got := d.use(tc.path, tc.pkg); got != tc.want {
			t.Errorf("%s of %s goes to %s, want %s", tc.path, tc.pkg, got, tc.want)
		}
	}
	for _, bad := range []string{"/a\n/b\n", "/a\n/b\nc", "/../a\n/b\n:\n", "/a\n/b\n:\n/a\n/c\n:\n"} {
		if _, err := parseDiversions([]byte(bad)); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

func TestStatOverrides(t *testing.T) {
	ids := owners{users: accounts.ParseIDs([]byte("root:x:0:0::/:\nman:x:6:12::/:\n\nman:x:7:1\n")), groups: accounts.ParseIDs([]byte("root:x:0:\n"))}
	all, err := parseStatOverrides([]byte("man root 4755 /usr/bin/a b\n#33 #44 700 /var/x\n"), ids)
	if err != nil {
		t.Fatal(err)
	}
	if o := all["usr/bin/a b"]; o != (statOverride{6, 0, 0o4755}) {
		t.Errorf("a b: %v", o)
	}
	if o := all["var/x"]; o != (statOverride{33, 44, 0o700}) {
		t.Errorf("x: %v", o)
	}
	for bad, want := range map[string]string{
		"nobody root 755 /x\n": `line 1: user "nobody" is unknown`, "root no 755 /x\n": "group", "root root 9 /x\n": "bad mode",
		"root root 755\n": "not an owner", "#x root 755 /x\n": "no number", "root root 755 /x": "final newline", "root root 17777 /x\n": "bad mode",
	} {
		if _, err := parseStatOverrides([]byte(bad), ids); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", bad, err, want)
		}
	}
}

func TestOwners(t *testing.T) {
	o := owners{users: map[string]int{"www-data": 33}, groups: map[string]int{"adm": 4}}
	for _, tc := range []struct {
		uname, gname     string
		uid, gid         int
		wantUID, wantGID int
	}{
		{"www-data", "adm", 1, 2, 33, 4},
		{"unknown", "unknown", 1, 2, 1, 2},
		{"", "", 7, 8, 7, 8},
	} {
		if uid, gid := o.of(tc.uname, tc.gname, tc.uid, tc.gid); uid != tc.wantUID || gid != tc.wantGID {
			t.Errorf("%v: %d:%d", tc, uid, gid)
		}
	}
}
