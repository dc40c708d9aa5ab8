package dpkg

import (
	"archive/tar"
	"bytes"
	"strings"
	"testing"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem/overlay"
	"github.com/nanopatch/nanopatch/rebuild/layer"
)

// TestModifiedUnknown are files of which the database does not say what they were.
func TestModifiedUnknown(t *testing.T) {
	const unknown = "nothing says what the package installed there"
	for _, tc := range []struct {
		name     string
		old, new spec
		change   func(m *image)
		hold     string
	}{
		{
			"edited, without md5sums",
			spec{version: "1", files: files{"usr/bin/z": "1"}, plain: true},
			spec{version: "2", files: files{"usr/bin/z": "2"}},
			func(m *image) { m.write("usr/bin/z", "mine") }, unknown,
		},
		{
			"removed, without md5sums",
			spec{version: "1", files: files{"usr/bin/z": "1"}, plain: true},
			spec{version: "2", files: files{"usr/bin/y": "2"}},
			nil, unknown,
		},
		{
			"unchanged by the update, without md5sums",
			spec{version: "1", files: files{"usr/bin/z": "1"}, plain: true},
			spec{version: "2", files: files{"usr/bin/z": "1"}},
			nil, "",
		},
		{
			"someone's file where a new one comes",
			spec{version: "1", files: files{"usr/bin/z": "1"}},
			spec{version: "2", files: files{"usr/bin/z": "2", "usr/bin/y": "2"}},
			func(m *image) { m.write("usr/bin/y", "mine") }, unknown,
		},
		{
			"hard link without a line",
			spec{version: "1", files: files{"usr/bin/z": "1", "usr/bin/y": "= usr/bin/z"}},
			spec{version: "2", files: files{"usr/bin/z": "2", "usr/bin/y": "= usr/bin/z"}},
			nil, "",
		},
		{
			"link to a library's latest version",
			spec{version: "1", files: files{"usr/lib/l.so.1.2.3": "1", "usr/lib/l.so.1": "-> l.so.1.2.3"}},
			spec{version: "2", files: files{"usr/lib/l.so.1.2.4": "2", "usr/lib/l.so.1": "-> l.so.1.2.4"}},
			nil, "",
		},
		{
			"link that someone pointed elsewhere",
			spec{version: "1", files: files{"usr/lib/l.so.1.2.3": "1", "usr/lib/l.so.1": "-> l.so.1.2.3"}},
			spec{version: "2", files: files{"usr/lib/l.so.1.2.4": "2", "usr/lib/l.so.1": "-> l.so.1.2.4"}},
			func(m *image) { m.write("opt/l.so", "mine"); m.symlink("usr/lib/l.so.1", "/opt/l.so") }, unknown,
		},
		{
			"link that someone pointed to what is mounted later",
			spec{version: "1", files: files{"usr/lib/a": "1", "usr/lib/l": "-> a"}},
			spec{version: "2", files: files{"usr/lib/b": "1", "usr/lib/l": "-> b"}},
			func(m *image) { m.symlink("usr/lib/l", "/mnt/l") }, unknown,
		},
		{
			"link that someone changed and the update does not",
			spec{version: "1", files: files{"usr/lib/a": "1", "usr/lib/l": "-> a"}},
			spec{version: "2", files: files{"usr/lib/a": "2", "usr/lib/l": "-> a"}},
			func(m *image) { m.write("opt/l", "mine"); m.symlink("usr/lib/l", "/opt/l") }, unknown,
		},
		{
			"edited file in a directory that becomes a file",
			spec{version: "1", files: files{"usr/lib/d/x": "1"}},
			spec{version: "2", files: files{"usr/lib/d": "2"}},
			func(m *image) { m.write("usr/lib/d/x", "mine") }, "/usr/lib/d becomes a file but holds x",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := newImage(t, tc.old)
			if tc.change != nil {
				tc.change(m)
			}
			for _, mode := range []ecosystem.OnModified{ecosystem.HoldModified, ecosystem.KeepModified} {
				effect, holds := m.upgrade(ecosystem.UpgradeOptions{OnModified: mode}, tc.new)
				if tc.hold != "" {
					wantHold(t, holds, ecosystem.ReasonModifiedFile, tc.hold)
				} else if len(holds) > 0 || len(effect.Kept) > 0 {
					t.Errorf("%s: held %v", mode, holds)
				}
			}
			if _, holds := m.upgrade(ecosystem.UpgradeOptions{OnModified: ecosystem.OverwriteModified}, tc.new); len(holds) > 0 {
				t.Errorf("overwriting: %v", holds)
			}
		})
	}
}

// TestLinkOfTheSource is a development package's link to the library that a sister package brings.
func TestLinkOfTheSource(t *testing.T) {
	packages := func(version string) []spec {
		lib := "usr/lib/libx.so." + version
		return []spec{
			{name: "libx", version: version, fields: []string{"Source: x"}, files: files{lib: version}},
			{name: "libx-dev", version: version, fields: []string{"Source: x"}, files: files{"usr/lib/libx.so": "-> libx.so." + version}},
		}
	}
	m := newImage(t, packages("1")...)
	if _, holds := m.upgrade(ecosystem.UpgradeOptions{}, packages("2")...); len(holds) > 0 {
		t.Error(holds)
	}
}

// TestHardLinkCycle lays two files of a package at one place, so that its hard links name each other in a circle.
func TestHardLinkCycle(t *testing.T) {
	m := newImage(t, spec{version: "1", files: files{"usr/bin/z": "1"}})
	m.symlink("bin", "usr/bin")
	update := spec{version: "2", files: files{
		"usr/bin/z": "1", "bin/a": "a", "bin/c": "c", "usr/bin/a": "= bin/c", "usr/bin/b": "= bin/a", "usr/bin/c": "= usr/bin/b",
	}}
	_, holds := m.upgrade(ecosystem.UpgradeOptions{}, update)
	wantHold(t, holds, ecosystem.ReasonNoArtifact, "come to lie at /usr/bin/")
}

// TestPlacesFollowDiversions is about a file that the new version has under another name, diverted to where the old
// version's file is: it is not removed as the old version's.
func TestPlacesFollowDiversions(t *testing.T) {
	m := newImage(t, spec{version: "1", files: files{"usr/bin/old": "same"}})
	m.write(diversionsPath, "/usr/bin/new\n/usr/bin/real\nother\n")
	m.symlink("link", "usr/bin")
	u := &upgrade{tree: overlay.New(viewOf(t, m.layer()))}
	var err error
	if u.diversions, err = parseDiversions([]byte(m.data[diversionsPath])); err != nil {
		t.Fatal(err)
	}
	in := &install{old: &record{Package: ecosystem.Package{Key: ecosystem.Key{Name: "demo"}}}, shipped: map[string]*layer.Entry{"usr/bin/new": {}, "usr/bin/x": {}, "link/x": {}}}
	for range 20 {
		got := u.places(in)
		if got["usr/bin/real"] != "usr/bin/new" || got["usr/bin/new"] != "" || got["usr/bin/x"] != "usr/bin/x" {
			t.Fatalf("places are %v", got)
		}
	}
}

func TestUnpackSparseControl(t *testing.T) {
	h := regular("md5sums", "")
	h.PAXRecords = map[string]string{
		"XXX.sparse.major": "0", "XXX.sparse.minor": "1", "XXX.sparse.name": "md5sums", "XXX.sparse.size": "60000000",
		"XXX.sparse.numblocks": "0", "XXX.sparse.map": "",
	}
	// The archive/tar package writes no sparse files of its own.
	control := bytes.ReplaceAll(controlTar(h), []byte("XXX."), []byte("GNU."))
	_, err := unpackBytes(t, rawDeb(version2, rawMember{"control.tar", control}, rawMember{"data.tar", rawTar()}))
	if err == nil || !strings.Contains(err.Error(), "is a sparse file") {
		t.Errorf("%v, want a refusal", err)
	}
}

func TestUnpackRefusals(t *testing.T) {
	link := func(name, target string) tar.Header {
		return tar.Header{Name: name, Typeflag: tar.TypeLink, Linkname: target}
	}
	withXattr := regular("a", "")
	withXattr.PAXRecords = map[string]string{overlay.XattrPrefix + "security.capability": "x"}
	for name, tc := range map[string]struct {
		entries []tar.Header
		want    string
	}{
		"a file twice":       {[]tar.Header{regular("a", "1"), regular("./a", "2")}, "is there twice"},
		"a cycle of links":   {[]tar.Header{regular("a", "1"), regular("c", "2"), link("b", "a"), link("a", "c"), link("c", "b")}, "is there twice"},
		"extended attribute": {[]tar.Header{withXattr}, "PAX header"},
	} {
		_, err := unpackBytes(t, rawDeb(version2, rawMember{"control.tar", controlTar()}, rawMember{"data.tar", rawTar(tc.entries...)}))
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
}
