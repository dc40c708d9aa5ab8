package dpkg

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
)

const sampleStatus = `Package: libssl3
Status: hold ok installed
Priority: optional
Section: libs
Installed-Size: 6025
Maintainer: Debian OpenSSL Team <x@example.org>
Architecture: amd64
Multi-Arch: same
Source: openssl (3.0.15-1)
Version: 3.0.15-1~deb12u1
Provides: libssl-virtual (= 3), thing
Depends: libc6 (>= 2.34), a | b:any (<< 2)
Breaks: openssh-client (<< 1:9.4p1), python3-m2crypto:i386
Conffiles:
 /etc/ssl/a.cnf 0123456789abcdef0123456789abcdef
 /etc/ssl/b c.cnf 0123456789abcdef0123456789abcdef obsolete
 /etc/ssl/d.cnf newconffile remove-on-upgrade
Description: Secure Sockets Layer toolkit
 This package is part of the OpenSSL project's implementation.

Package: gone
Status: deinstall ok config-files
Architecture: all
Version: 1
Description: x

`

func TestParseStatus(t *testing.T) {
	records, err := parseStatus([]byte(sampleStatus))
	if err != nil {
		t.Fatal(err)
	}
	if len(records) != 2 {
		t.Fatalf("%d records", len(records))
	}
	want := ecosystem.Package{
		Key: ecosystem.Key{Name: "libssl3", Arch: "amd64"}, Version: "3.0.15-1~deb12u1", Source: "openssl",
		SourceVersion: "3.0.15-1", MultiArch: "same", Hold: true, InstalledSize: 6025 * 1024,
		Requires: []ecosystem.Clause{
			{{Name: "libc6", Op: ">=", Version: "2.34"}},
			{{Name: "a"}, {Name: "b", Arch: "any", Op: "<", Version: "2"}},
		},
		Conflicts: []ecosystem.Relation{
			{Name: "openssh-client", Arch: "any", Op: "<", Version: "1:9.4p1"}, {Name: "python3-m2crypto", Arch: "i386"},
		},
		Provides: []ecosystem.Relation{{Name: "libssl-virtual", Op: "=", Version: "3"}, {Name: "thing"}},
	}
	if diff := cmp.Diff(want, records[0].Package); diff != "" {
		t.Error(diff)
	}
	conffiles := []conffile{
		{path: "etc/ssl/a.cnf", hash: "0123456789abcdef0123456789abcdef"},
		{path: "etc/ssl/b c.cnf", hash: "0123456789abcdef0123456789abcdef", obsolete: true},
		{path: "etc/ssl/d.cnf", hash: newConffile, removeOnUpgrade: true},
	}
	if diff := cmp.Diff(conffiles, records[0].conffiles, cmp.AllowUnexported(conffile{})); diff != "" {
		t.Error(diff)
	}
	if !records[0].installed() || records[1].installed() {
		t.Error("the first is installed, the second is not")
	}
	f, _ := records[0].stanza.Field("Conffiles")
	if got := formatConffiles(conffiles); got != f.Value {
		t.Errorf("conffiles are written as %q", got)
	}
}

func TestParseStatusRefuses(t *testing.T) {
	for _, tc := range []struct {
		name, text, want string
	}{
		{"cut off in a line", sampleStatus[:200], "truncated"},
		{"cut off in a stanza", sampleStatus[:strings.Index(sampleStatus, "Source:")], "line 1: package libssl3 has no Version"},
		{"no package", "Version: 1\n", "line 1: no valid package name"},
		{"bad package", "Package: ../x\nVersion: 1\n", "no valid package name"},
		{"bad architecture", "Package: a\nArchitecture: ../x\nVersion: 1\n", "impossible architecture"},
		{"bad status", "Package: a\nStatus: installed\n", "line 2: Status"},
		{"bad relation", "Package: a\nVersion: 1\nDepends: (>= 2)\n", "line 3: field Depends"},
		{"bad conffile", "Package: a\nVersion: 1\nConffiles:\n /etc/a\n", "line 4: malformed"},
		{"conffile outside", "Package: a\nVersion: 1\nConffiles:\n /../../etc/a 0123\n", "not a path below the root"},
		{"twice", "Package: a\nVersion: 1\n\nPackage: A\nVersion: 2\n", "line 4: a second stanza"},
	} {
		_, err := parseStatus([]byte(tc.text))
		var syntax *SyntaxError
		if !errors.As(err, &syntax) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
	}
}

func TestReplaceStanzas(t *testing.T) {
	text := "\n" + sampleStatus + "\n\nPackage: last\nVersion: 3\nX-Odd :   kept   \n"
	records, err := parseStatus([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if got := replaceStanzas([]byte(text), records, nil); string(got) != text {
		t.Errorf("without a change:\n%s", got)
	}
	got := replaceStanzas([]byte(text), records, map[ecosystem.Key]string{{Name: "gone", Arch: "all"}: "Package: here\n"})
	start, end := records[1].stanza.Start, records[1].stanza.End
	if want := text[:start] + "Package: here\n" + text[end:]; string(got) != want {
		t.Errorf("with a change:\n%s", got)
	}
}

// TestHostStatus checks on a real database that what dpkg wrote is what we would write.
func TestHostStatus(t *testing.T) {
	data, err := os.ReadFile("/" + statusPath)
	if err != nil {
		t.Skipf("this machine has no dpkg database: %v", err)
	}
	records, err := parseStatus(data)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		if r.state != stateInstalled || r.flag != "ok" {
			continue
		}
		control := Stanza{}
		for _, f := range r.stanza.Fields {
			if f.Name != "Status" && f.Name != "Conffiles" {
				control.Fields = append(control.Fields, f)
			}
		}
		got, err := formatStanza(control, r, r.conffiles)
		if err != nil {
			t.Errorf("%s: %v", r.Key, err)
		}
		if diff := cmp.Diff(string(data[r.stanza.Start:r.stanza.End]), got); diff != "" {
			t.Errorf("%s: %s", r.Key, diff)
		}
	}
}

// FuzzStatus checks that a database that can be read can be edited: nothing but the edited stanza changes.
func FuzzStatus(f *testing.F) {
	f.Add([]byte(sampleStatus))
	f.Add([]byte("Package: a\nVersion: 0:1\nDepends: b(>1)|c , d\nMulti-Arch: no\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		records, err := parseStatus(data)
		if err != nil {
			return
		}
		at := slices.IndexFunc(records, (*record).installed)
		if at < 0 {
			return
		}
		r := records[at]
		text, err := formatStanza(r.stanza, r, r.conffiles)
		if err != nil {
			t.Fatalf("%s was read but cannot be written: %v", r.Key, err)
		}
		edited := replaceStanzas(data, records, map[ecosystem.Key]string{r.Key: text})
		again, err := parseStatus(edited)
		if err != nil || len(again) != len(records) {
			t.Fatalf("after the edit: %v\n%s", err, edited)
		}
		for i := range records {
			if records[i] != r && !bytes.Equal(bytesOf(data, records[i]), bytesOf(edited, again[i])) {
				t.Fatalf("%s changed", records[i].Key)
			}
		}
		if got := again[at]; got.Key != r.Key || got.Version != r.Version || got.want != r.want {
			t.Fatalf("%s %s became %s %s", r.Key, r.Version, got.Key, got.Version)
		}
	})
}

func bytesOf(data []byte, r *record) []byte { return data[r.stanza.Start:r.stanza.End] }
