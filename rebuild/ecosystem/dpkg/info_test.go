package dpkg

import (
	"slices"
	"strings"
	"testing"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
)

func TestInfoPath(t *testing.T) {
	same := ecosystem.Package{Key: ecosystem.Key{Name: "libc6", Arch: "amd64"}, MultiArch: "same"}
	foreign := ecosystem.Package{Key: ecosystem.Key{Name: "make", Arch: "amd64"}, MultiArch: "allowed"}
	for _, tc := range []struct {
		pkg       ecosystem.Package
		multiarch bool
		want      string
	}{
		{same, true, "var/lib/dpkg/info/libc6:amd64.list"},
		{same, false, "var/lib/dpkg/info/libc6.list"},
		{foreign, true, "var/lib/dpkg/info/make.list"},
	} {
		if got := infoPath(tc.pkg, tc.multiarch, infoList); got != tc.want {
			t.Errorf("%s, want %s", got, tc.want)
		}
	}
	for p, want := range map[string]string{
		"var/lib/dpkg/info/libc6:amd64.list": "libc6:amd64 list", "var/lib/dpkg/info/python3.11.md5sums": "python3.11 md5sums",
		"var/lib/dpkg/info/format": "", "var/lib/dpkg/info/.list": "", "var/lib/dpkg/status": "", "var/lib/dpkg/info/a/b.list": "",
	} {
		base, kind, ok := splitInfoPath(p)
		if got := strings.TrimSpace(base + " " + kind); ok && got != want || ok != (want != "") {
			t.Errorf("%s is %q", p, got)
		}
	}
}

func TestCleanPath(t *testing.T) {
	for name, want := range map[string]string{
		"/.": ".", "./": ".", "/": ".", "/usr/bin/ls": "usr/bin/ls", "./usr/bin/": "usr/bin", "usr//bin": "usr/bin", "//a": "a",
		"": "error", "/..": "error", "../a": "error", "/a/../../b": "error", "a/../b": "b", "..a": "..a",
	} {
		got, err := cleanPath(name)
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%q is %q, want %q", name, got, want)
		}
	}
}

func TestList(t *testing.T) {
	const text = "/.\n/usr\n/usr/bin\n/usr/bin/a b\n"
	paths, err := parseList([]byte(text))
	if err != nil || !slices.Equal(paths, []string{".", "usr", "usr/bin", "usr/bin/a b"}) {
		t.Fatal(paths, err)
	}
	if got := formatList(paths); string(got) != text {
		t.Errorf("written as %q", got)
	}
	for bad, want := range map[string]string{"/a\n/b": "line 2: the file ends", "/a\n\n": "line 2: empty path", "/a/../../b\n": "line 1: path leads out"} {
		if _, err := parseList([]byte(bad)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", bad, err, want)
		}
	}
}

func TestMD5Sums(t *testing.T) {
	const sum = "d41d8cd98f00b204e9800998ecf8427e"
	sums := parseMD5Sums([]byte(sum + "  usr/bin/a\n" + sum + "  usr/share/a b\nnonsense\n" + sum + "  ../out\n" + sum + "\n" + sum + "  last"))
	if len(sums) != 3 || sums["usr/bin/a"].String() != sum || sums["usr/share/a b"].String() != sum {
		t.Errorf("%v", sums)
	}
	if got := formatMD5Sums([]string{".", "usr/bin/a", "usr/bin/none"}, sums); string(got) != sum+"  usr/bin/a\n" {
		t.Errorf("written as %q", got)
	}
}

func TestDeclaredConffiles(t *testing.T) {
	all, err := parseDeclaredConffiles([]byte("/etc/a  \n\nremove-on-upgrade /etc/b c\n"))
	if err != nil || !slices.Equal(all, []declaredConffile{{path: "etc/a"}, {path: "etc/b c", removeOnUpgrade: true}}) {
		t.Error(all, err)
	}
	for _, bad := range []string{"etc/a\n", "other-flag /etc/a\n", "/../a\n", "/\n", "/etc/a"} {
		if _, err := parseDeclaredConffiles([]byte(bad)); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

func TestWants(t *testing.T) {
	for p, want := range map[string]bool{
		"var/lib/dpkg/status": true, "var/lib/dpkg/status.d/libc6": true, "var/lib/dpkg/info/a.list": true,
		"var/lib/dpkg/info/a:amd64.postinst": true, "var/lib/dpkg/info/a.templates": true, "var/lib/dpkg/info/a.symbols": false, "var/lib/dpkg/triggers/File": true,
		"etc/dpkg/dpkg.cfg.d/docker": true, "etc/passwd": true, "etc/ld.so.cache": true, "etc/shadow": false, "usr/bin/dpkg": false,
		"var/lib/dpkg/status-old": false,
	} {
		if (Ecosystem{}).Wants(p) != want {
			t.Errorf("%s: %v", p, !want)
		}
	}
}
