package dpkg

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
)

// library is the least that the dynamic linker's tools take for a shared library: a 64-bit ELF file with a dynamic
// section that has a soname, and something of its own.
func library(soname, own string) string {
	const header, section = 64, 64
	names := "\x00" + soname + "\x00"
	var dynamic bytes.Buffer
	for _, word := range []uint64{14, 1, 0, 0} { // DT_SONAME at offset 1, DT_NULL
		binary.Write(&dynamic, binary.LittleEndian, word)
	}
	body := names + strings.Repeat("\x00", (8-len(names)%8)%8)
	dynamicAt := uint64(header + len(body))
	sectionsAt := dynamicAt + uint64(dynamic.Len())
	var b bytes.Buffer
	b.WriteString("\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 9))
	for _, v := range []any{
		uint16(3), uint16(62), uint32(1), uint64(0), uint64(0), sectionsAt, uint32(0),
		uint16(header), uint16(56), uint16(0), uint16(section), uint16(3), uint16(0),
	} {
		binary.Write(&b, binary.LittleEndian, v)
	}
	b.WriteString(body)
	b.Write(dynamic.Bytes())
	for _, s := range [][2][]uint64{
		{{0, 0}, {0, 0, 0, 0, 0, 0, 0}},
		{{0, 3}, {0, 0, header, uint64(len(names)), 0, 1, 0}},        // SHT_STRTAB
		{{0, 6}, {0, 0, dynamicAt, uint64(dynamic.Len()), 1, 8, 16}}, // SHT_DYNAMIC, linked to the former
	} {
		binary.Write(&b, binary.LittleEndian, uint32(s[0][0]))
		binary.Write(&b, binary.LittleEndian, uint32(s[0][1]))
		binary.Write(&b, binary.LittleEndian, s[1][:4])
		binary.Write(&b, binary.LittleEndian, uint32(s[1][4]))
		binary.Write(&b, binary.LittleEndian, uint32(0))
		binary.Write(&b, binary.LittleEndian, s[1][5:])
	}
	return b.String() + own
}

// cache writes an ld.so.cache of sonames and paths.
func cache(order binary.ByteOrder, entries ...[2]string) string {
	var head, table, text bytes.Buffer
	base := uint32(48 + 24*len(entries))
	for _, e := range entries {
		name := base + uint32(text.Len())
		text.WriteString(e[0] + "\x00")
		value := base + uint32(text.Len())
		text.WriteString(e[1] + "\x00")
		for _, v := range []any{uint32(0x303), name, value, uint32(0), uint64(0)} {
			binary.Write(&table, order, v)
		}
	}
	head.WriteString(ldCacheMagic)
	binary.Write(&head, order, uint32(len(entries)))
	binary.Write(&head, order, uint32(text.Len()))
	head.Write(make([]byte, 20))
	return head.String() + table.String() + text.String()
}

func TestLibraries(t *testing.T) {
	const dir = "usr/lib/x86_64-linux-gnu/"
	lib := func(version string, more files) spec {
		s := spec{name: "libdemo1", version: version, files: files{
			dir + "libdemo.so.1":            "-> libdemo.so.1." + version,
			dir + "libdemo.so.1." + version: library("libdemo.so.1", version),
			dir + "demo/plugin.so":          library("plugin.so", version),
		}, control: files{"triggers": "activate-noawait ldconfig\n"}}
		for p, content := range more {
			s.files[p] = content
		}
		return s
	}
	known := [2]string{"libdemo.so.1", "/lib/x86_64-linux-gnu/libdemo.so.1"}
	for _, tc := range []struct {
		name     string
		cache    string
		old, new files
		change   func(m *image)
		hold     string
	}{
		{name: "same soname", cache: cache(binary.LittleEndian, known)},
		{name: "same soname, big endian", cache: cache(binary.BigEndian, known)},
		{name: "old and new format in one", cache: "ld.so-1.7.0\x00" + strings.Repeat("\x00", 20) + cache(binary.LittleEndian, known)},
		{name: "no cache"},
		{name: "cache without it", cache: cache(binary.LittleEndian), hold: "/usr/lib/x86_64-linux-gnu/libdemo.so.1 is not in it"},
		{name: "broken cache", cache: "what is this", hold: "its format is not known"},
		{name: "cut off cache", cache: cache(binary.LittleEndian, known)[:60], hold: "its format is not known"},
		{name: "another library", cache: cache(binary.LittleEndian, known), new: files{dir + "libother.so.2": library("libother.so.2", "")}, hold: "libother.so.2 is not in it"},
		{name: "one library less", cache: cache(binary.LittleEndian, known, [2]string{"libold.so.1", "/usr/lib/x86_64-linux-gnu/libold.so.1"}), old: files{dir + "libold.so.1": library("libold.so.1", "")}, hold: "libold.so.1 is gone"},
		{name: "library without a soname", cache: cache(binary.LittleEndian, known, [2]string{"libplain.so", "/lib/x86_64-linux-gnu/libplain.so"}), new: files{dir + "libplain.so": library("", "")}},
		{name: "linker script", cache: cache(binary.LittleEndian, known), new: files{dir + "libc.so": "GROUP ( libdemo.so.1 )"}},
		{name: "library becomes a script", cache: cache(binary.LittleEndian, known, [2]string{"libx.so", "/lib/x86_64-linux-gnu/libx.so"}), old: files{dir + "libx.so": library("libx.so", "")}, new: files{dir + "libx.so": "text"}, hold: "libx.so is no library any more"},
		{
			name: "a link that ldconfig made", cache: cache(binary.LittleEndian, known, [2]string{"libx.so.1", "/lib/x86_64-linux-gnu/libx.so.1"}),
			old: files{dir + "libx.so.1.1": library("libx.so.1", "1")}, new: files{dir + "libx.so.1.2": library("libx.so.1", "2")},
			change: func(m *image) { m.symlink(dir+"libx.so.1", "libx.so.1.1") }, hold: "libx.so.1 leads nowhere",
		},
		{name: "for better processors", cache: cache(binary.LittleEndian, known), new: files{dir + "glibc-hwcaps/x86-64-v3/libdemo.so.1": library("libdemo.so.1", "v3")}, hold: "x86-64-v3/libdemo.so.1 is not in it"},
		{name: "soname changes", cache: cache(binary.LittleEndian, known, [2]string{"libx.so.1", "/lib/x86_64-linux-gnu/libx.so.1"}), old: files{dir + "libx.so.1": library("libx.so.1", "")}, new: files{dir + "libx.so.1": library("libx.so.1.1", "")}, hold: "libx.so.1.1 is not in it"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := newImage(t, lib("1", tc.old))
			m.symlink("lib", "usr/lib")
			m.write("etc/ld.so.conf", "# comment\ninclude /etc/ld.so.conf.d/*.conf\n")
			m.write("etc/ld.so.conf.d/x86_64-linux-gnu.conf", "/usr/local/lib/x86_64-linux-gnu\n/lib/x86_64-linux-gnu\n")
			m.write("etc/ld.so.conf.d/ignored", "/usr/lib/x86_64-linux-gnu/demo\n")
			if tc.cache != "" {
				m.write("etc/ld.so.cache", tc.cache)
			}
			if tc.change != nil {
				tc.change(m)
			}
			_, holds := m.upgrade(ecosystem.UpgradeOptions{}, lib("2", tc.new))
			if tc.hold != "" {
				wantHold(t, holds, ecosystem.ReasonMaintainerScript, "/etc/ld.so.cache would go stale: ")
				wantHold(t, holds, ecosystem.ReasonMaintainerScript, tc.hold)
			} else if len(holds) > 0 {
				t.Error(holds)
			}
		})
	}
}

// TestHostCache reads this machine's cache and compares with what ldconfig says is in it.
func TestHostCache(t *testing.T) {
	ldconfig, err := exec.LookPath("ldconfig")
	if err != nil {
		t.Skipf("no ldconfig to compare with: %v", err)
	}
	data, err := os.ReadFile("/" + ldCachePath)
	if err != nil {
		t.Skipf("this machine has no cache: %v", err)
	}
	out, err := exec.Command(ldconfig, "-p").Output()
	if err != nil {
		t.Fatal(err)
	}
	got, err := parseLDCache(data)
	if err != nil {
		t.Fatal(err)
	}
	lines := regexp.MustCompile(`(?m)^\t(\S+) \(.*\) => (\S+)$`).FindAllStringSubmatch(string(out), -1)
	if len(lines) == 0 {
		t.Fatalf("ldconfig says:\n%s", out)
	}
	for _, line := range lines {
		if got[line[2]] != line[1] {
			t.Errorf("%s is %q, want %q", line[2], got[line[2]], line[1])
		}
	}
}

// TestGenerator puts another name into caches, this machine's and broken ones.
func TestGenerator(t *testing.T) {
	section := func(order binary.ByteOrder, offset, from, size uint32) []byte {
		var b bytes.Buffer
		b.WriteString(ldCacheMagic)
		for _, n := range []uint32{0, 0, 0, offset, 0, 0, 0, 0xeaa42174, 1, 0, 0, from, size} {
			binary.Write(&b, order, n)
		}
		return append(b.Bytes(), "old"...)
	}
	const headerSize, end = 48, 48 + 8 + 16
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		got := withGenerator(section(order, headerSize, end, 3), []byte("another"))
		want := append(section(order, headerSize, end, 7)[:end], "another"...)
		if !bytes.Equal(got, want) {
			t.Errorf("%v: %q, want %q", order, got, want)
		}
		for name, bad := range map[string][]byte{
			"no extension": section(order, 0, end, 3), "extension outside": section(order, 1<<31, end, 3), "at the edge": section(order, end, end, 3),
			"name outside": section(order, headerSize, 1<<31, 3), "too long": section(order, headerSize, end, 1<<31), "over itself": section(order, headerSize, 0, end+3),
			"not the last": section(order, headerSize, end, 2), "empty": nil, "cut off": section(order, headerSize, end, 3)[:50],
		} {
			if got := withGenerator(bad, []byte("another")); !bytes.Equal(got, bad) {
				t.Errorf("%s: %q became %q", name, bad, got)
			}
		}
	}
}
