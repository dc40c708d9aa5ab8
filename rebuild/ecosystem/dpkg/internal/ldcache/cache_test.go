package ldcache

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// written are caches of /lib/libc.so.6, libcap.so.2 and libz.so.1 as ldconfig of Debian and Ubuntu wrote them with its options -r and -c, and
// the same without libcap.so.2.
var written = map[string][2]string{
	"glibc 2.31": {
		"Z2xpYmMtbGQuc28uY2FjaGUxLjEDAAAATwAAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAwMAAHgAAACCAAAAAAAAAAAAAAAAAAAAAwMAAJEAAACdAAAAAAAAAAAAAAAAAAAAAwMAAK4AAAC4AAAAAAIDAAAAAAAAAAAAbGliei5zby4xAC9saWIvbGliei5zby4xAGxpYmNhcC5zby4yAC9saWIvbGliY2FwLnNvLjIAbGliYy5zby42AC9saWIvbGliYy5zby42AA==",
		"Z2xpYmMtbGQuc28uY2FjaGUxLjECAAAAMgAAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAwMAAGAAAABqAAAAAAAAAAAAAAAAAAAAAwMAAHkAAACDAAAAAAIDAAAAAAAAAAAAbGliei5zby4xAC9saWIvbGliei5zby4xAGxpYmMuc28uNgAvbGliL2xpYmMuc28uNgA=",
	},
	"glibc 2.31, compat": {
		"bGQuc28tMS43LjAABAAAAAMDAAB4AAAAggAAAAMDAACRAAAAnQAAAAMDAACuAAAAuAAAAAMDAACuAAAAuAAAAGdsaWJjLWxkLnNvLmNhY2hlMS4xAwAAAE8AAAACAAAAAAAAAAAAAAAAAAAAAAAAAAMDAAB4AAAAggAAAAAAAAAAAAAAAAAAAAMDAACRAAAAnQAAAAAAAAAAAAAAAAAAAAMDAACuAAAAuAAAAAACAwAAAAAAAAAAAGxpYnouc28uMQAvbGliL2xpYnouc28uMQBsaWJjYXAuc28uMgAvbGliL2xpYmNhcC5zby4yAGxpYmMuc28uNgAvbGliL2xpYmMuc28uNgA=",
		"bGQuc28tMS43LjAAAgAAAAMDAABgAAAAagAAAAMDAAB5AAAAgwAAAGdsaWJjLWxkLnNvLmNhY2hlMS4xAgAAADIAAAACAAAAAAAAAAAAAAAAAAAAAAAAAAMDAABgAAAAagAAAAAAAAAAAAAAAAAAAAMDAAB5AAAAgwAAAAACAwAAAAAAAAAAAGxpYnouc28uMQAvbGliL2xpYnouc28uMQBsaWJjLnNvLjYAL2xpYi9saWJjLnNvLjYA",
	},
	"glibc 2.35": {
		"Z2xpYmMtbGQuc28uY2FjaGUxLjEDAAAALwAAAAIAAACoAAAAAAAAAAAAAAAAAAAAAwMAAJ0AAACYAAAAAAAAAAAAAAAAAAAAAwMAAIwAAACHAAAAAAAAAAAAAAAAAAAAAwMAAH0AAAB4AAAAAAIDAAAAAAAAAAAAL2xpYi9saWJjLnNvLjYAL2xpYi9saWJjYXAuc28uMgAvbGliL2xpYnouc28uMQAAdCGk6gEAAAAAAAAAAAAAAMAAAABEAAAAbGRjb25maWcgKFVidW50dSBHTElCQyAyLjM1LTB1YnVudHUzLjE4KSBzdGFibGUgcmVsZWFzZSB2ZXJzaW9uIDIuMzU=",
		"Z2xpYmMtbGQuc28uY2FjaGUxLjECAAAAHgAAAAIAAACAAAAAAAAAAAAAAAAAAAAAAwMAAHQAAABvAAAAAAAAAAAAAAAAAAAAAwMAAGUAAABgAAAAAAIDAAAAAAAAAAAAL2xpYi9saWJjLnNvLjYAL2xpYi9saWJ6LnNvLjEAAAB0IaTqAQAAAAAAAAAAAAAAmAAAAEQAAABsZGNvbmZpZyAoVWJ1bnR1IEdMSUJDIDIuMzUtMHVidW50dTMuMTgpIHN0YWJsZSByZWxlYXNlIHZlcnNpb24gMi4zNQ==",
	},
	"glibc 2.41, compat": {
		"bGQuc28tMS43LjAABAAAAAMDAACdAAAAmAAAAAMDAACMAAAAhwAAAAMDAAB9AAAAeAAAAAMDAAB9AAAAeAAAAGdsaWJjLWxkLnNvLmNhY2hlMS4xAwAAAC8AAAACAAAA6AAAAAAAAAAAAAAAAAAAAAMDAACdAAAAmAAAAAAAAAAAAAAAAAAAAAMDAACMAAAAhwAAAAAAAAAAAAAAAAAAAAMDAAB9AAAAeAAAAAAAAAAAAAAAAAAAAC9saWIvbGliYy5zby42AC9saWIvbGliY2FwLnNvLjIAL2xpYi9saWJ6LnNvLjEAAHQhpOoBAAAAAAAAAAAAAAAAAQAAQwAAAGxkY29uZmlnIChEZWJpYW4gR0xJQkMgMi40MS0xMitkZWIxM3UxKSBzdGFibGUgcmVsZWFzZSB2ZXJzaW9uIDIuNDE=",
		"bGQuc28tMS43LjAAAgAAAAMDAAB0AAAAbwAAAAMDAABlAAAAYAAAAGdsaWJjLWxkLnNvLmNhY2hlMS4xAgAAAB4AAAACAAAAqAAAAAAAAAAAAAAAAAAAAAMDAAB0AAAAbwAAAAAAAAAAAAAAAAAAAAMDAABlAAAAYAAAAAAAAAAAAAAAAAAAAC9saWIvbGliYy5zby42AC9saWIvbGliei5zby4xAAAAdCGk6gEAAAAAAAAAAAAAAMAAAABDAAAAbGRjb25maWcgKERlYmlhbiBHTElCQyAyLjQxLTEyK2RlYjEzdTEpIHN0YWJsZSByZWxlYXNlIHZlcnNpb24gMi40MQ==",
	},
}

func decode(t testing.TB, text string) []byte {
	t.Helper()
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestWritten(t *testing.T) {
	for name, caches := range written {
		t.Run(name, func(t *testing.T) {
			all, fewer := decode(t, caches[0]), decode(t, caches[1])
			c, err := Parse(all)
			if err != nil {
				t.Fatal(err)
			}
			if !c.Exact || !c.Sorted(func(Entry) int { return 0 }) {
				t.Errorf("exact: %v, in another order: %q", c.Exact, c.Bytes())
			}
			c.Entries = slices.DeleteFunc(c.Entries, func(e Entry) bool { return e.Soname == "libcap.so.2" })
			if got := c.Bytes(); !bytes.Equal(got, fewer) {
				t.Errorf("without one library:\n%q\nwant\n%q", got, fewer)
			}
			again, err := Parse(fewer)
			if err != nil {
				t.Fatal(err)
			}
			e, known := again.Entry(&Library{machine: kindX8664}, "libcap.so.2", "/lib/libcap.so.2")
			if !known {
				t.Error("the kind of libcap.so.2 is not known")
			}
			again.Entries = append(again.Entries, e)
			again.Sort(func(Entry) int { return 0 })
			if got := again.Bytes(); !bytes.Equal(got, all) {
				t.Errorf("with one more:\n%q\nwant\n%q", got, all)
			}
		})
	}
}

// TestHost reads this machine's cache, compares with what ldconfig says is in it, and makes each entry anew of its library.
func TestHost(t *testing.T) {
	data, err := os.ReadFile("/etc/ld.so.cache")
	if err != nil {
		t.Skipf("this machine has no cache: %v", err)
	}
	out, err := exec.Command("/sbin/ldconfig", "-p").Output()
	if err != nil {
		t.Skipf("no ldconfig to compare with: %v", err)
	}
	c, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	var listed [][2]string
	for _, e := range c.Entries {
		listed = append(listed, [2]string{e.Soname, e.Path})
		f, err := os.Open(e.Path)
		if err != nil {
			t.Logf("not there any more: %v", err)
			continue
		}
		l, err := Read(f)
		f.Close()
		if err != nil {
			t.Errorf("%s: %v", e.Path, err)
			continue
		}
		if got, known := c.Entry(l, e.Soname, e.Path); e.Subdir == "" && (got != e || !known) {
			t.Errorf("%s: %+v, want %+v", e.Path, got, e)
		}
		if got, known := c.Renew(e, l); got != e || !known {
			t.Errorf("%s: %+v, want %+v", e.Path, got, e)
		}
	}
	var want [][2]string
	for _, line := range regexp.MustCompile(`(?m)^\t(\S+) \(.*\) => (\S+)$`).FindAllStringSubmatch(string(out), -1) {
		want = append(want, [2]string{line[1], line[2]})
	}
	if !c.Exact || len(want) == 0 || !slices.Equal(listed, want) {
		t.Errorf("exact: %v\n%v\nwant\n%v", c.Exact, listed, want)
	}
}

// TestByteOrder reads the same cache in the other byte order.
func TestByteOrder(t *testing.T) {
	c := &Cache{
		Entries: []Entry{
			{Soname: "libc.so.6", Path: "/lib/libc.so.6", Kind: kindS390 | kindLibc6, Subdir: "z13", ISALevel: 2},
			{Soname: "libc.so.6", Path: "/lib/libc.so.6", Kind: kindS390 | kindLibc6},
		},
		Generator: "ldconfig (another) stable release version 2.36",
		layout:    layout{order: binary.BigEndian, endian: 3, extended: true},
	}
	got, err := Parse(c.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if !got.Exact || !slices.Equal(got.Entries, c.Entries) || got.Generator != c.Generator || got.layout != c.layout {
		t.Errorf("%+v, want %+v", got, c)
	}
}

func TestCompare(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		want int
	}{
		{"libx.so.9", "libx.so.10", -1},
		{"libx.so.1", "libx.so.1", 0},
		{"libx.so", "libx.so.1", -1},
		{"libx.so.1", "libx.so", 1},
		{"lib1", "liba", 1},
		{"liba", "lib1", -1},
		{"libb", "liba", 1},
		{"libx.so.01", "libx.so.1", 0},
	} {
		if got := Compare(tc.a, tc.b); got != tc.want {
			t.Errorf("%s and %s: %d, want %d", tc.a, tc.b, got, tc.want)
		}
	}
}

func TestBroken(t *testing.T) {
	good := decode(t, written["glibc 2.35"][0])
	change := func(at int, n uint32) []byte {
		data := bytes.Clone(good)
		binary.LittleEndian.PutUint32(data[at:], n)
		return data
	}
	extensions := int(binary.LittleEndian.Uint32(good[extensionAt:]))
	for name, data := range map[string][]byte{
		"empty": nil, "text": []byte("what is this"), "cut off": good[:60], "too many entries": change(countAt, 1<<31), "name outside": change(headerSize+4, 1<<31),
		"path in the header": change(headerSize+8, 4), "extensions outside": change(extensionAt, 1<<31), "other extensions": change(extensions, 7),
		"too many extensions": change(extensions+4, 1<<31), "generator outside": change(extensions+extensionHeader+8, 1<<31),
		"endless name":      append(change(headerSize+4, uint32(len(good))), strings.Repeat("x", maxName)...),
		"processor unknown": func() []byte { return change(headerSize+20, namedHwcap>>32) }(), "names in names": nested(), "too large": append(bytes.Clone(good), make([]byte, maxCache)...),
	} {
		if c, err := Parse(data); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
}

// nested is a cache whose many names all lie in one that is long.
func nested() []byte {
	const count, long = 10_000, maxName - 1
	data := make([]byte, headerSize, headerSize+count*entrySize)
	copy(data, magic)
	binary.LittleEndian.PutUint32(data[countAt:], count)
	for range count {
		for _, n := range []uint32{kindLibc6, headerSize + count*entrySize, headerSize + count*entrySize, 0, 0, 0} {
			data = binary.LittleEndian.AppendUint32(data, n)
		}
	}
	return append(append(data, strings.Repeat("x", long)...), 0)
}

func FuzzParse(f *testing.F) {
	for _, caches := range written {
		f.Add(decode(f, caches[0]))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse(data)
		if err != nil {
			return
		}
		c.Sort(func(Entry) int { return 0 })
		again, err := Parse(c.Bytes())
		if err != nil || !again.Exact || !slices.Equal(again.Entries, c.Entries) {
			t.Errorf("%+v became %+v, %v", c, again, err)
		}
	})
}
