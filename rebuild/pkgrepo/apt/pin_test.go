package apt

import (
	"errors"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
)

func pockets() map[string]pocket {
	of := func(uri, name, label, suite, codename, version, component string) pocket {
		return pocket{&pkgrepo.Origin{
			URI: uri, Name: name, Label: label, Suite: suite, Codename: codename, Version: version, Component: component,
		}, &releaseFile{}, "amd64"}
	}
	backports := of("http://deb.debian.org/debian", "Debian Backports", "Debian Backports", "oldstable-backports", "bookworm-backports", "12-backports", "main")
	backports.release = &releaseFile{notAutomatic: true, butAutomaticUpgrades: true}
	experimental := of("http://deb.debian.org/debian", "Debian", "Debian", "experimental", "rc-buggy", "", "main")
	experimental.release = &releaseFile{notAutomatic: true}
	return map[string]pocket{
		"release":      of("http://deb.debian.org/debian", "Debian", "Debian", "oldstable", "bookworm", "12.15", "main"),
		"security":     of("http://security.debian.org:80/debian-security", "Debian", "Debian-Security", "oldstable-security", "bookworm-security", "12", "main"),
		"backports":    backports,
		"experimental": experimental,
		"vendor":       of("https://deb.nodesource.com/node_20.x", ". nodistro", "Node Source", "nodistro", "nodistro", "", "main"),
		"local":        of("file:///srv/repo", "", "", "", "", "", ""),
	}
}

func parsePreferences(t *testing.T, text string) *preferences {
	t.Helper()
	p, err := readPreferences(fstest.MapFS{preferencesFile: {Data: []byte(text)}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestIndexPriority covers what apt_preferences(5) says of "Package: *".
func TestIndexPriority(t *testing.T) {
	tests := []struct {
		pin  string
		want map[string]int
	}{
		{"", map[string]int{"release": 500, "security": 500, "backports": 100, "experimental": 1, "vendor": 500, "local": 500}},
		{"Pin: release a=oldstable\nPin-Priority: 900", map[string]int{"release": 900, "security": 500}},
		{"Pin: release a=oldstable*\nPin-Priority: 900", map[string]int{"release": 900, "security": 900, "backports": 900, "vendor": 500}},
		{"Pin: release n=bookworm, l=debian\nPin-Priority: 900", map[string]int{"release": 900, "security": 500}},
		{"Pin: release o=Debian,l=Debian-Security\nPin-Priority: 900", map[string]int{"release": 500, "security": 900}},
		{"Pin: release c=main,b=amd64\nPin-Priority: -1", map[string]int{"release": -1, "vendor": -1, "local": 500}},
		{"Pin: release c=contrib\nPin-Priority: -1", map[string]int{"release": 500}},
		{"Pin: release v=12*\nPin-Priority: 990", map[string]int{"release": 990, "security": 990, "experimental": 1}},
		{"Pin: release 12.15\nPin-Priority: 990", map[string]int{"release": 990, "security": 500}},
		{"Pin: release bookworm\nPin-Priority: 990", map[string]int{"release": 990, "security": 500}},
		{"Pin: release *\nPin-Priority: 50", map[string]int{"release": 50, "backports": 50, "local": 50}},
		{"Pin: release x=y\nPin-Priority: 50", map[string]int{"release": 500}},
		{"Pin: release l=/^debian-sec/\nPin-Priority: 50", map[string]int{"release": 500, "security": 50}},
		{"Pin: origin deb.debian.org\nPin-Priority: 50", map[string]int{"release": 50, "security": 500, "local": 500}},
		{"Pin: origin \"security.debian.org\"\nPin-Priority: 50", map[string]int{"release": 500, "security": 50}},
		{"Pin: origin *.debian.org\nPin-Priority: 50", map[string]int{"release": 50, "security": 50, "vendor": 500}},
		{"Pin: origin \"\"\nPin-Priority: 50", map[string]int{"release": 500, "local": 50}},
		{"Pin: release a=oldstable\nPin-Priority: 100\n\nPackage: *\nPin: release o=Debian\nPin-Priority: 200", map[string]int{"release": 100, "security": 200}},
		{"Pin: release a=oldstable\nPin-Priority: 100\n\nPackage: *\nPin: release o=Debian\nPin-Priority: never", map[string]int{"release": priorityNever, "security": priorityNever}},
		{"Pin: version 1*\nPin-Priority: 100", map[string]int{"release": 500}},
		{"Pin: phase of the moon\nPin-Priority: 100", map[string]int{"release": 500}},
	}
	for _, tt := range tests {
		text := ""
		if tt.pin != "" {
			text = "Explanation: x\n# comment\nPackage: *\n" + tt.pin + "\n"
		}
		p := parsePreferences(t, text)
		for name, want := range tt.want {
			if got := p.ofIndex(pockets()[name]); got != want {
				t.Errorf("%s: %s has %d, want %d", tt.pin, name, got, want)
			}
		}
	}
}

// TestVersionPriority covers pins of single packages.
func TestVersionPriority(t *testing.T) {
	const p900 = "\nPin-Priority: 900\n"
	tests := []struct {
		pin             string
		name, arch, src string
		version         string
		from            string
		want            int
	}{
		{"Package: perl\nPin: version 5.36*" + p900, "perl", "amd64", "", "5.36.0-7", "release", 900},
		{"Package: perl\nPin: version 5.36*" + p900, "perl", "amd64", "", "5.38.0-1", "release", 500},
		{"Package: perl\nPin: version 5.36.0-7" + p900, "perl", "amd64", "", "5.36.0-7+deb12u1", "release", 500},
		{"Package: perl\nPin: version /^5\\.3[68]/" + p900, "perl", "amd64", "", "5.38.0-1", "release", 900},
		{"Package: perl\nPin: release o=Debian" + p900, "perl", "all", "", "1", "release", 900},
		{"Package: perl\nPin: release o=Debian" + p900, "perl", "i386", "", "1", "release", 500},
		{"Package: perl:i386\nPin: release o=Debian" + p900, "perl", "i386", "", "1", "release", 900},
		{"Package: perl:any\nPin: release o=Debian" + p900, "perl", "i386", "", "1", "release", 900},
		{"Package: perl:i386\nPin: release o=Debian" + p900, "perl", "amd64", "", "1", "release", 500},
		{"Package: perl\nPin: release o=Debian" + p900, "perl-base", "amd64", "", "1", "release", 500},
		{"Package: bash perl*\nPin: release o=Debian" + p900, "perl-base", "amd64", "", "1", "release", 900},
		{"Package: lib[!a-m]*\nPin: release o=Debian" + p900, "libc6", "amd64", "", "1", "release", 500},
		{"Package: lib[!a-m]*\nPin: release o=Debian" + p900, "libssl3", "amd64", "", "1", "release", 900},
		{"Package: /^lib.*[0-9]$/\nPin: release o=Debian" + p900, "libssl3", "amd64", "", "1", "release", 900},
		{"Package: /(/\nPin: release o=Debian" + p900, "libssl3", "amd64", "", "1", "release", 500},
		{"Package: src:openssl\nPin: release o=Debian" + p900, "libssl3", "amd64", "openssl", "1", "release", 900},
		{"Package: src:openssl\nPin: release o=Debian" + p900, "openssl", "amd64", "other", "1", "release", 500},
		{"Package: nodejs\nPin: origin deb.nodesource.com" + p900, "nodejs", "amd64", "", "1", "vendor", 900},
		{"Package: nodejs\nPin: origin deb.nodesource.com" + p900, "nodejs", "amd64", "", "1", "release", 500},
		{"Package: nodejs\nPin: version *\nPin-Priority: -10\n", "nodejs", "amd64", "", "1", "release", -10},
		{"Package: a\nPin: version 1\nPin-Priority: 1\n\nPackage: a\nPin: version 1" + p900, "a", "amd64", "", "1", "release", 1},
		{"Package: a\nPin: version 1" + p900 + "\nPackage: *\nPin: release o=Debian\nPin-Priority: never", "a", "amd64", "", "1", "release", priorityNever},
	}
	for _, tt := range tests {
		p := parsePreferences(t, tt.pin)
		c := &pkgrepo.Candidate{Package: ecosystem.Package{
			Key: ecosystem.Key{Name: tt.name, Arch: tt.arch}, Source: tt.src, Version: tt.version,
		}}
		if got := p.ofVersion(c, "amd64", []pocket{pockets()[tt.from]}); got != tt.want {
			t.Errorf("%q: %s %s %s from %s has %d, want %d", tt.pin, tt.name, tt.arch, tt.version, tt.from, got, tt.want)
		}
	}
}

func TestMalformedPreferences(t *testing.T) {
	for text, want := range map[string]string{
		"Pin: release a=x\nPin-Priority: 1\n":                    "no Package",
		"Package: *\nPin: release a=x\n":                         "Pin-Priority",
		"Package: *\nPin: release a=x\nPin-Priority: 0\n":        "Pin-Priority",
		"Package: *\nPin: release a=x\nPin-Priority: 40000\n":    "Pin-Priority",
		"Package: a\nPin: release a=x\nPin-Priority: never\n":    "never",
		"\n\nPackage: *\nPin: release a=x\nPin-Priority: high\n": "etc/apt/preferences:3:",
	} {
		_, err := readPreferences(fstest.MapFS{preferencesFile: {Data: []byte(text)}})
		if err == nil || !strings.Contains(err.Error(), want) || !errors.As(err, new(*ConfigError)) {
			t.Errorf("%q: error is %v, want %q", text, err, want)
		}
	}
}

func TestPreferencesParts(t *testing.T) {
	pin := func(n string) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte("Package: " + n + "\nPin: version 1\nPin-Priority: 900\n")}
	}
	p, err := readPreferences(fstest.MapFS{
		preferencesParts + "/b":      pin("b"),
		preferencesParts + "/a.pref": pin("a"),
		preferencesParts + "/c.bak":  pin("c"),
		preferencesFile:              pin("first"),
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, name := range []string{"first", "a", "b"} {
		for _, s := range p.specific {
			if s.name(name) {
				got = append(got, name)
			}
		}
	}
	if strings.Join(got, " ") != "first a b" || len(p.specific) != 3 {
		t.Errorf("read %v of %d", got, len(p.specific))
	}
}
