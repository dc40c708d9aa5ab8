package apk

import (
	"strings"
	"testing"
	"testing/fstest"
)

func TestArch(t *testing.T) {
	for _, c := range []struct{ file, installed, want string }{
		{"x86_64\n", "aarch64", "x86_64"},
		{"", "noarch aarch64 noarch", "aarch64"},
		{"a b", "x86 armv7 armv7", "armv7"},
		{"../x", "x86 armv7", "armv7"},
		{"", "noarch", ""},
	} {
		root := fstest.MapFS{}
		if c.file != "" {
			root[archFile] = &fstest.MapFile{Data: []byte(c.file)}
		}
		got, err := Arch(root, strings.Fields(c.installed))
		if got != c.want || (err != nil) != (c.want == "") {
			t.Errorf("%+v: got %q, %v", c, got, err)
		}
	}
}

func TestWants(t *testing.T) {
	for p, want := range map[string]bool{
		"etc/apk/repositories": true, "etc/apk/repositories.d/a.list": true, "etc/apk/keys/a.rsa.pub": true, "etc/os-release": true,
		"usr/share/apk/keys/x86_64/a.rsa.pub": true, "usr/share/apk/keys/a.rsa.pub": true, "etc/passwd": false, "bin/sh": false,
	} {
		if Wants(p) != want {
			t.Errorf("%s: got %t", p, !want)
		}
	}
}
