package apk

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestBadPackages(t *testing.T) {
	good := demo("1-r0", "1")
	raw := good.bytes(t)
	m, err := ReadMembers(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	tampered := func(change func(h *tar.Header)) []byte {
		s := good
		s.tamper = change
		return s.bytes(t)
	}
	mangled := func(change func(info string) string) []byte {
		s := good
		s.mangle = change
		return s.bytes(t)
	}
	on := func(name string, change func(h *tar.Header)) func(h *tar.Header) {
		return func(h *tar.Header) {
			if h.Name == name {
				change(h)
			}
		}
	}
	for name, c := range map[string]struct {
		data []byte
		want error
	}{
		"empty":               {nil, errNoGzip},
		"version 3":           {append([]byte("ADBd"), raw...), ErrVersion3},
		"truncated control":   {raw[:m.DataOffset-3], nil},
		"truncated data":      {raw[:len(raw)-3], errDatahash},
		"no data":             {raw[:m.DataOffset], errDatahash},
		"more data":           {append(bytes.Clone(raw), 1), errDatahash},
		"data only":           {raw[m.DataOffset:], errNoControl},
		"another datahash":    {mangled(func(s string) string { return strings.Replace(s, "datahash = ", "datahash = 00", 1) }), errNoDatahash},
		"no datahash":         {mangled(func(s string) string { return s[:strings.Index(s, "datahash")] }), errNoDatahash},
		"no name":             {mangled(func(s string) string { return strings.Replace(s, "pkgname", "name", 1) }), errNoPackage},
		"a control character": {mangled(func(s string) string { return strings.Replace(s, "a test", "a\rtest", 1) }), errControl},
		"another checksum": {tampered(on("usr/share/demo/a", func(h *tar.Header) {
			h.PAXRecords[checksumRecord] = strings.Repeat("00", 20)
		})), errMismatch},
		"no checksum":              {tampered(on("usr/share/demo/a", func(h *tar.Header) { h.PAXRecords = nil })), errNoChecksum},
		"half a checksum":          {tampered(on("usr/share/demo/a", func(h *tar.Header) { h.PAXRecords[checksumRecord] = "00ff" })), errMismatch},
		"a path out of the root":   {tampered(on("usr/share/demo/a", func(h *tar.Header) { h.Name = "../../etc/passwd" })), nil},
		"a name with a line break": {tampered(on("usr/share/demo/a", func(h *tar.Header) { h.Name = "usr/share/demo/a\nR:b" })), errName},
		"a hard link out of it": {tampered(on("usr/share/demo/b", func(h *tar.Header) {
			h.Typeflag, h.Linkname, h.Size = tar.TypeLink, "etc/shadow", 0
		})), nil},
	} {
		file := filepath.Join(t.TempDir(), "x.apk")
		if err := os.WriteFile(file, c.data, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Ecosystem{}.Unpack(context.Background(), file, memoryIndexer{})
		if err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}

// Every package of a real release is read; its checksum is the one that the release's signed index has, which names all
// but two of them.
func TestRealPackageFiles(t *testing.T) {
	dir := sharedData(t, "apk/3.19.1/x86_64")
	f, err := os.Open(filepath.Join(dir, "APKINDEX.tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	// An index is made of members, too, but for .PKGINFO.
	_, end, err := readMember(f, 0, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	members, _, err := readMember(f, end, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	indexed := make(map[string]string)
	err = ReadStanzas(bytes.NewReader(members[1].Content), func(s *Stanza) error {
		indexed[s.Get('P')+"-"+s.Get('V')] = s.Get('C')
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.apk"))
	if err != nil || len(files) < 80 {
		t.Fatal(len(files), err)
	}
	found := 0
	for _, file := range files {
		p := unpackFile(t, file)
		want, ok := indexed[p.pkg.Name+"-"+p.pkg.Version]
		if ok {
			found++
		}
		if ok && p.members.Checksum.String() != want || p.Date().IsZero() || len(p.members.Signatures) != 1 {
			t.Errorf("%s: got %s, want %s", file, p.members.Checksum, want)
		}
	}
	if found != len(indexed) {
		t.Errorf("%d of %d indexed packages", found, len(indexed))
	}
}

func FuzzReadMembers(f *testing.F) {
	f.Add(demo("1-r0", "1").bytes(f))
	f.Add([]byte("ADBd"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := ReadMembers(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			var format *FormatError
			if !errors.As(err, &format) {
				t.Fatalf("%v is no FormatError", err)
			}
			return
		}
		if m.DataOffset+m.DataSize != int64(len(data)) || m.DataSize < 0 || m.Info.Get("pkgname") == "" {
			t.Fatalf("got %+v", m)
		}
	})
}
