package dpkg

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
)

// library is the least that the dynamic linker's tools take for a shared library: a 64-bit ELF file with a dynamic
// section that has a soname, and something of its own.
func library(soname, own string) string {
	const header, segment, section = 64, 56, 64
	names := "\x00" + soname + "\x00libc.so.6\x00"
	const namesAt = header + 2*segment
	dynamic := []uint64{5, namesAt, 1, uint64(len(soname) + 2)} // DT_STRTAB, DT_NEEDED
	if soname != "" {
		dynamic = append(dynamic, 14, 1) // DT_SONAME
	}
	dynamic = append(dynamic, 0, 0)
	body := names + strings.Repeat("\x00", (8-len(names)%8)%8)
	dynamicAt := uint64(namesAt + len(body))
	dynamicSize := uint64(8 * len(dynamic))
	sectionsAt := dynamicAt + dynamicSize
	var b bytes.Buffer
	put := func(values ...any) {
		for _, v := range values {
			binary.Write(&b, binary.LittleEndian, v)
		}
	}
	b.WriteString("\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 9))
	put(uint16(3), uint16(62), uint32(1), uint64(0), uint64(header), sectionsAt, uint32(0),
		uint16(header), uint16(segment), uint16(2), uint16(section), uint16(3), uint16(0))
	put(uint32(1), uint32(4), []uint64{0, 0, 0, sectionsAt, sectionsAt, 4096})                        // PT_LOAD
	put(uint32(2), uint32(4), []uint64{dynamicAt, dynamicAt, dynamicAt, dynamicSize, dynamicSize, 8}) // PT_DYNAMIC
	b.WriteString(body)
	put(dynamic)
	put(make([]byte, section))
	put(uint32(0), uint32(3), []uint64{0, 0, namesAt, uint64(len(names))}, uint32(0), uint32(0), []uint64{1, 0}) // SHT_STRTAB
	put(uint32(0), uint32(6), []uint64{0, 0, dynamicAt, dynamicSize}, uint32(1), uint32(0), []uint64{8, 16})     // SHT_DYNAMIC
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
	head.WriteString("glibc-ld.so.cache1.1")
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
		{name: "no cache"},
		{name: "broken cache", cache: "what is this", hold: "its format is not known"},
		{name: "cut off cache", cache: cache(binary.LittleEndian, known)[:60], hold: "its format is not known"},
		{
			name: "not as ldconfig writes it", cache: cache(binary.LittleEndian, known) + "more",
			new: files{dir + "libother.so.2": library("libother.so.2", "")}, hold: "it is not as ldconfig writes it",
		},
		{name: "not as ldconfig writes it, but right", cache: cache(binary.LittleEndian, known) + "more"},
		{
			name: "in another order", cache: cache(binary.LittleEndian, known, [2]string{"libx.so.1", "/lib/x86_64-linux-gnu/libx.so.1"}),
			new: files{dir + "libother.so.2": library("libother.so.2", "")}, hold: "it is not as ldconfig writes it",
		},
		{name: "linker script", cache: cache(binary.LittleEndian, known), new: files{dir + "libc.so": "GROUP ( libdemo.so.1 )"}},
		{
			name: "for better processors", cache: cache(binary.LittleEndian, known),
			new: files{dir + "glibc-hwcaps/x86-64-v3/libdemo.so.1": library("libdemo.so.1", "v3")}, hold: "x86-64-v3/libdemo.so.1 is for better processors",
		},
		{
			name: "another file may have the soname", cache: cache(binary.LittleEndian, [2]string{"libx.so.1", "/lib/x86_64-linux-gnu/libx.so.1"}, known),
			old:    files{dir + "libx.so.1": "-> libx.so.1.1", dir + "libx.so.1.1": library("libx.so.1", "1")},
			change: func(m *image) { m.write(dir+"libx.so.1.0", "its author's") }, hold: "libx.so.1.0 may be another library of the name libx.so.1",
		},
		{
			name: "for another machine", cache: strings.Replace(cache(binary.LittleEndian, known), "\x03\x03", "\x03\x0a", 1),
			hold: "libdemo.so.1.2 is for another machine",
		},
		{
			name: "a machine that no library is for", cache: cache(binary.LittleEndian, known),
			new:  files{dir + "libarm.so.1": strings.Replace(library("libarm.so.1", ""), "\x03\x00\x3e\x00", "\x03\x00\xb7\x00", 1)},
			hold: "libarm.so.1 is not in it, and for a machine that no library in it is for",
		},
		{
			name: "configuration changes", cache: cache(binary.LittleEndian, known),
			new: files{"etc/ld.so.conf.d/z.conf": "/opt/own\n"}, hold: "/etc/ld.so.conf.d/z.conf changes, which configures it",
		},
		{
			name: "spelt otherwise", cache: cache(binary.LittleEndian, [2]string{"libdemo.so.1", "/usr/lib/x86_64-linux-gnu/libdemo.so.1"}),
			hold: "it has libraries of /usr/lib/x86_64-linux-gnu, which is searched under another name",
		},
		{
			name: "for processors of old", cache: cache(binary.LittleEndian, known),
			new: files{dir + "haswell/libdemo.so.1": library("libdemo.so.1", "h")}, hold: "haswell has libraries for certain processors",
		},
		{
			name: "a link to what is not known", cache: cache(binary.LittleEndian, [2]string{"libelse.so.1", "/lib/x86_64-linux-gnu/libelse.so.1"}, known),
			change: func(m *image) { m.write(dir+"libelse.so.1", library("libelse.so.1", "")) },
			new:    files{dir + "libelse.so": "-> libelse.so.1"}, hold: "libelse.so leads to a file of which it is not known",
		},
		{
			name: "another file may come first", cache: cache(binary.LittleEndian, [2]string{"libx.so.1", "/lib/x86_64-linux-gnu/libx.so.1"}, known),
			old: files{dir + "libx.so.1.1": library("libx.so.1", "1")}, new: files{dir + "libx.so.1.2": library("libx.so.1", "2")},
			change: func(m *image) {
				m.symlink(dir+"libx.so.1", "libx.so.1.1")
				m.write(dir+"libx.so.1.9", "its author's")
			},
			hold: "libx.so.1.9 may be another library of the name libx.so.1",
		},
		{
			name: "too much configuration", cache: cache(binary.LittleEndian, known),
			change: func(m *image) { m.write("etc/ld.so.conf.d/large.conf", strings.Repeat("/a/b\n", 2000)) }, hold: "the linker's configuration is too large",
		},
		{
			name: "endless configuration", cache: cache(binary.LittleEndian, known),
			change: func(m *image) { m.write("etc/ld.so.conf.d/loop.conf", "include *.conf\ninclude *.conf\n") },
		},
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
