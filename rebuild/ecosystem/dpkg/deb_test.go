package dpkg

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// rawDeb puts a package file together from bytes, so that it can be wrong in every way.
type rawMember struct {
	name string
	data []byte
}

func rawDeb(members ...rawMember) []byte {
	var b bytes.Buffer
	b.WriteString(arMagic)
	for _, m := range members {
		fmt.Fprintf(&b, "%-16s%-12d%-6d%-6d%-8s%-10d`\n", m.name, 1_700_000_000, 0, 0, "100644", len(m.data))
		b.Write(m.data)
		if len(m.data)%2 == 1 {
			b.WriteByte('\n')
		}
	}
	return b.Bytes()
}

// rawTar makes an archive of headers, regular files with their name as content.
func rawTar(headers ...tar.Header) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		content := []byte(nil)
		if h.Typeflag == 0 || h.Typeflag == tar.TypeReg {
			h.Typeflag, content = tar.TypeReg, []byte(h.Linkname)
			h.Linkname = ""
			h.Size = int64(len(content))
		}
		if h.Mode == 0 {
			h.Mode = 0o644
		}
		h.ModTime = time.Unix(1_600_000_000, 0)
		if err := w.WriteHeader(&h); err != nil {
			panic(err)
		}
		if _, err := w.Write(content); err != nil {
			panic(err)
		}
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// regular is a header of a file with content, which rawTar takes from Linkname.
func regular(name, content string) tar.Header { return tar.Header{Name: name, Linkname: content} }

const minimalControl = "Package: demo\nVersion: 1:2-3\nArchitecture: amd64\nMaintainer: x\nDescription: y\n"

func controlTar(more ...tar.Header) []byte {
	return rawTar(append([]tar.Header{{Name: "./", Typeflag: tar.TypeDir, Mode: 0o755}, regular("./control", minimalControl)}, more...)...)
}

var version2 = rawMember{"debian-binary", []byte("2.0\n")}

func unpackBytes(t testing.TB, data []byte) (*deb, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "demo.deb")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := unpack(context.Background(), file, memoryIndexer{})
	return d, err
}

func TestUnpackCompressions(t *testing.T) {
	files := rawTar(tar.Header{Name: "./", Typeflag: tar.TypeDir, Mode: 0o755}, regular("./usr/bin/a", "hello"))
	compress := map[string]func([]byte) []byte{
		"": func(b []byte) []byte { return b },
		".gz": func(b []byte) []byte {
			var out bytes.Buffer
			w := gzip.NewWriter(&out)
			return closed(t, w, &out, b)
		},
		".xz": func(b []byte) []byte {
			var out bytes.Buffer
			w, err := xz.NewWriter(&out)
			if err != nil {
				t.Fatal(err)
			}
			return closed(t, w, &out, b)
		},
		".zst": func(b []byte) []byte {
			var out bytes.Buffer
			w, err := zstd.NewWriter(&out)
			if err != nil {
				t.Fatal(err)
			}
			return closed(t, w, &out, b)
		},
	}
	for ext, f := range compress {
		d, err := unpackBytes(t, rawDeb(version2, rawMember{"control.tar" + ext, f(controlTar(regular("./postinst", "#!/bin/sh\n")))},
			rawMember{"_extra", []byte("x")}, rawMember{"data.tar" + ext + "/", f(files)}, rawMember{"_gpgorigin", nil}))
		if err != nil {
			t.Errorf("%q: %v", ext, err)
			continue
		}
		if p := d.Package(); p.Name != "demo" || p.Version != "1:2-3" || p.Arch != "amd64" || p.Source != "demo" {
			t.Errorf("%q: package is %v", ext, p)
		}
		if d.Date().Unix() != 1_700_000_000 {
			t.Errorf("%q: date is %v", ext, d.Date())
		}
		if e, ok := d.Files().Lookup("usr/bin/a"); !ok || e.Size != 5 || !e.HasContent() {
			t.Errorf("%q: file is %v", ext, e)
		}
		if string(d.info["postinst"].content) != "#!/bin/sh\n" || d.info["postinst"].time.Unix() != 1_600_000_000 {
			t.Errorf("%q: postinst is %v", ext, d.info["postinst"])
		}
	}
}

func closed(t *testing.T, w interface {
	Write([]byte) (int, error)
	Close() error
}, out *bytes.Buffer, data []byte,
) []byte {
	t.Helper()
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestUnpackRefuses(t *testing.T) {
	control, data := rawMember{"control.tar", controlTar()}, rawMember{"data.tar", rawTar(regular("./a", "a"))}
	withControl := func(text string) []byte {
		return rawDeb(version2, rawMember{"control.tar", rawTar(regular("control", text))}, data)
	}
	withData := func(h ...tar.Header) []byte { return rawDeb(version2, control, rawMember{"data.tar", rawTar(h...)}) }
	whole := rawDeb(version2, control, data)
	for name, tc := range map[string]struct {
		data []byte
		want string
	}{
		"empty":                  {nil, "not a Debian package"},
		"no archive":             {[]byte("#!/bin/sh\n"), "not a Debian package"},
		"header cut off":         {whole[:100], "truncated at byte"},
		"member cut off":         {whole[:len(whole)-100], "cut off"},
		"wrong order":            {rawDeb(version2, data, control), "where control.tar should be"},
		"no version":             {rawDeb(control, data), "where debian-binary should be"},
		"new version":            {rawDeb(rawMember{"debian-binary", []byte("3.0\n")}, control, data), "format version"},
		"no data":                {rawDeb(version2, control), "no member data.tar"},
		"unknown compression":    {rawDeb(version2, rawMember{"control.tar.Z", nil}, data), "unknown compression"},
		"broken gzip":            {rawDeb(version2, rawMember{"control.tar.gz", []byte("no gzip")}, data), "control.tar.gz"},
		"broken xz data":         {rawDeb(version2, control, rawMember{"data.tar.xz", []byte("no xz")}), "data.tar.xz"},
		"huge size":              {bytes.Replace(whole, []byte("4         `\n"), []byte("9999999999`\n"), 1), "cut off"},
		"negative size":          {bytes.Replace(whole, []byte("4         `\n"), []byte("-4        `\n"), 1), "size"},
		"no control file":        {rawDeb(version2, rawMember{"control.tar", rawTar(regular("other", ""))}, data), "no control file"},
		"empty control":          {withControl("\n"), "is empty"},
		"two stanzas":            {withControl(minimalControl + "\nPackage: x\n"), "more than one stanza"},
		"no version field":       {withControl("Package: a\nArchitecture: all\n"), "Version or Architecture is missing"},
		"no package field":       {withControl("Version: 1\n"), "no valid package name"},
		"traversal in the name":  {withControl("Package: ../../etc\nVersion: 1\nArchitecture: all\n"), "no valid package name"},
		"status in control":      {withControl(minimalControl + "Status: install ok installed\n"), "belongs to the database"},
		"control is a link":      {rawDeb(version2, rawMember{"control.tar", rawTar(tar.Header{Name: "control", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"})}, data), "not a plain file"},
		"control below":          {rawDeb(version2, rawMember{"control.tar", controlTar(regular("a/b", ""))}, data), "not a plain file"},
		"control outside":        {rawDeb(version2, rawMember{"control.tar", controlTar(regular("../b", ""))}, data), "leads out"},
		"bad conffiles":          {rawDeb(version2, rawMember{"control.tar", controlTar(regular("conffiles", "etc/x\n"))}, data), "not an absolute path"},
		"bad triggers":           {rawDeb(version2, rawMember{"control.tar", controlTar(regular("triggers", "do this\n"))}, data), "unknown directive"},
		"path outside":           {withData(regular("../a", "a")), "../a"},
		"newline in a path":      {withData(regular("a\nb", "a")), "newline"},
		"hard link to nothing":   {withData(tar.Header{Name: "a", Typeflag: tar.TypeLink, Linkname: "b"}), "leads nowhere"},
		"hard link to a link":    {withData(tar.Header{Name: "b", Typeflag: tar.TypeSymlink, Linkname: "c"}, tar.Header{Name: "a", Typeflag: tar.TypeLink, Linkname: "b"}), "leads nowhere"},
		"garbage instead of tar": {rawDeb(version2, control, rawMember{"data.tar", bytes.Repeat([]byte("x"), 2000)}), "data.tar"},
	} {
		_, err := unpackBytes(t, tc.data)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
}

func TestUnpackBounds(t *testing.T) {
	var many []tar.Header
	for i := range maxControlFiles {
		many = append(many, regular(fmt.Sprintf("f%d", i), ""))
	}
	_, err := unpackBytes(t, rawDeb(version2, rawMember{"control.tar", controlTar(many...)}, rawMember{"data.tar", rawTar()}))
	if err == nil || !strings.Contains(err.Error(), "more than 1000 files") {
		t.Errorf("many control files: %v", err)
	}
	// A few kilobytes that unpack to more than a control archive may have.
	var bomb bytes.Buffer
	w := gzip.NewWriter(&bomb)
	tw := tar.NewWriter(w)
	if err := tw.WriteHeader(&tar.Header{Name: "md5sums", Size: 2 * maxControlArchive, Mode: 0o644, Typeflag: tar.TypeReg}); err != nil {
		t.Fatal(err)
	}
	zeros := make([]byte, 1<<20)
	for range 2 * maxControlArchive / len(zeros) {
		if _, err := tw.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(tw.Close(), w.Close()); err != nil {
		t.Fatal(err)
	}
	_, err = unpackBytes(t, rawDeb(version2, rawMember{"control.tar.gz", bomb.Bytes()}, rawMember{"data.tar", rawTar()}))
	if err == nil || !strings.Contains(err.Error(), "of more than 67108864 bytes") {
		t.Errorf("a bomb: %v", err)
	}
}

func TestUnpackCancelled(t *testing.T) {
	file := filepath.Join(t.TempDir(), "demo.deb")
	if err := os.WriteFile(file, rawDeb(version2, rawMember{"control.tar", controlTar()}, rawMember{"data.tar", rawTar()}), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (Ecosystem{}).Unpack(ctx, file, memoryIndexer{}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want context.Canceled", err)
	}
}

// FuzzDeb checks that a package file is either refused, or one whose paths stay below the root.
func FuzzDeb(f *testing.F) {
	f.Add(rawDeb(version2, rawMember{"control.tar", controlTar(regular("conffiles", "/etc/a\n"))},
		rawMember{"data.tar", rawTar(regular("./etc/a", "a"), tar.Header{Name: "b", Typeflag: tar.TypeLink, Linkname: "./etc/a"})}))
	f.Add([]byte(arMagic))
	// One file for all inputs: a directory for each would take most of the time.
	file := filepath.Join(f.TempDir(), "demo.deb")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		d, err := unpack(t.Context(), file, memoryIndexer{})
		if err != nil {
			return
		}
		if d.pkg.Name == "" || d.pkg.Version == "" || strings.ContainsAny(d.pkg.Name+d.pkg.Arch, "/\n") {
			t.Fatalf("package %v", d.pkg)
		}
		for _, e := range d.files.Entries {
			if p, err := cleanPath(e.Path); err != nil || p != e.Path {
				t.Fatalf("path %q", e.Path)
			}
		}
		if _, err := formatStanza(d.control, &record{want: "install"}, nil); err != nil {
			t.Fatalf("cannot be written into the status file: %v", err)
		}
	})
}
