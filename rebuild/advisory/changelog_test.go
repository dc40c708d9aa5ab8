package advisory_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nanopatch/nanopatch/rebuild/advisory"
	"github.com/nanopatch/nanopatch/rebuild/layer"
)

// entry is one part of a changelog as dch writes it.
func entry(source, version, text string) string {
	return source + " (" + version + ") bookworm-security; urgency=medium\n\n  * " + text +
		"\n\n -- A Maintainer <maintainer@example.org>  Mon, 01 Jan 2026 00:00:00 +0000\n\n"
}

func gz(t testing.TB, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// files is a package's archive of regular files; a text that begins with "-> " is a symbolic link's target.
func files(t testing.TB, content map[string]string) *layer.Index {
	t.Helper()
	x := &layer.Index{}
	for name, text := range content {
		if target, ok := strings.CutPrefix(text, "-> "); ok {
			x.Entries = append(x.Entries, layer.Entry{Path: name, Type: tar.TypeSymlink, Linkname: target})
			continue
		}
		e, err := layer.NewFile(layer.Entry{Path: name, Mode: 0o644}, layer.Bytes([]byte(text)))
		if err != nil {
			t.Fatal(err)
		}
		x.Entries = append(x.Entries, *e)
	}
	return x
}

func find(t *testing.T, d advisory.Distro, updates []advisory.Update, documents ...advisory.Document) [][]advisory.Statement {
	t.Helper()
	found, err := advisory.Find(t.Context(), d, updates, documents)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

const history = "some words before\n"

func TestChangelog(t *testing.T) {
	log := history + entry("ssl", "3.0-4", "Fix CVE-2026-10000 and CVE-2026-9999.\n    CVE-2026-12, XCVE-2026-77777, cve-2026-66666") +
		entry("ssl", "3.0-3", "CVE-2026-9999 again") + entry("ssl", "3.0-2", "CVE-2025-1111") + entry("ssl", "3.0-1", "CVE-2024-1111")
	const doc = "usr/share/doc/libssl/"
	for name, c := range map[string]struct {
		files    map[string]string
		from, to string
		want     []advisory.Statement
	}{
		"between": {
			map[string]string{doc + "changelog.Debian.gz": gz(t, log), doc + "changelog.gz": gz(t, "CVE-2000-0001")},
			"3.0-2", "3.0-4",
			[]advisory.Statement{{Kind: advisory.Changelog, Name: "ssl 3.0-4", CVEs: []string{"CVE-2026-9999", "CVE-2026-10000"}}},
		},
		"nothing named": {
			map[string]string{doc + "changelog.Debian": entry("ssl", "3.0-2", "New") + entry("ssl", "3.0-1", "CVE-2024-1111")},
			"3.0-1", "3.0-2",
			[]advisory.Statement{{Kind: advisory.Changelog, Name: "ssl 3.0-2", CVEs: []string{}}},
		},
		"cut": {
			map[string]string{doc + "changelog.Debian.gz": gz(t, log)},
			"2.0-1", "3.0-2",
			[]advisory.Statement{{
				Kind: advisory.Changelog, Name: "ssl 3.0-2", CVEs: []string{"CVE-2024-1111", "CVE-2025-1111"}, Incomplete: true,
			}},
		},
		"native": {
			map[string]string{doc + "changelog.gz": gz(t, log)},
			"3.0-2", "3.0-3",
			[]advisory.Statement{{Kind: advisory.Changelog, Name: "ssl 3.0-3", CVEs: []string{"CVE-2026-9999"}}},
		},
		"binary rebuild": {
			map[string]string{
				doc + "changelog.Debian.gz":       gz(t, log),
				doc + "changelog.Debian.amd64.gz": gz(t, entry("ssl", "3.0-2+b1", "Rebuild for CVE-2026-5555 in a static library")),
			},
			"3.0-2", "3.0-2+b1",
			[]advisory.Statement{{Kind: advisory.Changelog, Name: "ssl 3.0-2", CVEs: []string{"CVE-2026-5555"}}},
		},
		"an upstream author's":  {map[string]string{doc + "changelog.gz": gz(t, "version 3.0: CVE-2026-1234\n")}, "3.0-1", "3.0-2", nil},
		"of another source":     {map[string]string{doc + "changelog.gz": gz(t, entry("other", "3.0-2", "CVE-2026-1234"))}, "3.0-1", "3.0-2", nil},
		"no documentation":      {map[string]string{"usr/lib/x": ""}, "3.0-1", "3.0-2", nil},
		"damaged":               {map[string]string{doc + "changelog.Debian.gz": gz(t, log)[:40]}, "3.0-1", "3.0-2", nil},
		"a line without an end": {map[string]string{doc + "changelog.Debian": entry("ssl", "3.0-2", strings.Repeat("x", 2<<20))}, "3.0-1", "3.0-2", nil},
		"without an end":        {map[string]string{doc + "changelog.Debian.gz": gz(t, entry("ssl", "3.0-2", strings.Repeat("x\n", 17<<20)))}, "3.0-1", "3.0-2", nil},
	} {
		t.Run(name, func(t *testing.T) {
			source := func(v string) string { return strings.TrimSuffix(v, "+b1") }
			got := find(t, advisory.Distro{ID: "debian"}, []advisory.Update{{
				Type: "deb", Name: "libssl", Source: "ssl", From: c.from, To: c.to, SourceFrom: source(c.from), SourceTo: source(c.to),
				Files: files(t, c.files),
			}})
			if diff := cmp.Diff(c.want, got[0]); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestChangelogOfAnother: a package whose documentation is a link to another of the same build has that one's changelog.
func TestChangelogOfAnother(t *testing.T) {
	log := gz(t, entry("gcc", "12.2-2", "CVE-2026-1234")+entry("gcc", "12.2-1", "x"))
	update := func(name, source string, content map[string]string) advisory.Update {
		return advisory.Update{
			Type: "deb", Name: name, Source: source, From: "12.2-1", To: "12.2-2", SourceFrom: "12.2-1", SourceTo: "12.2-2", Files: files(t, content),
		}
	}
	got := find(t, advisory.Distro{ID: "debian"}, []advisory.Update{
		update("libgcc", "gcc", map[string]string{"usr/share/doc/libgcc": "-> gcc-base"}),
		update("gcc-base", "gcc", map[string]string{"usr/share/doc/gcc-base/changelog.Debian.gz": log}),
		update("stranger", "other", map[string]string{"usr/share/doc/stranger": "-> gcc-base"}),
	})
	if a := advisory.CVEs(got[0]); len(a) != 1 || a[0] != "CVE-2026-1234" {
		t.Errorf("libgcc: got %v", a)
	}
	if len(got[2]) != 0 {
		t.Errorf("another build's changelog is taken: %v", got[2])
	}
}

func FuzzReadChangelog(f *testing.F) {
	f.Add(entry("a", "1", "CVE-2026-1234") + entry("a", "0", "x"))
	f.Add("a (1) b; c\nCVE-2026-1234")
	f.Fuzz(func(t *testing.T, text string) {
		entries, err := advisory.ReadChangelog(strings.NewReader(text))
		if err != nil {
			return
		}
		for _, e := range entries {
			if !strings.Contains(text, e.Source+" ("+e.Version+")") {
				t.Errorf("%q is not in the text", e)
			}
			for _, id := range e.CVEs {
				if !strings.Contains(text, id) {
					t.Errorf("%s is not in the text", id)
				}
			}
		}
	})
}
