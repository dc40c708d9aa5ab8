package dpkg

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem/ecosystemtest"
	"github.com/nanopatch/nanopatch/rebuild/layer"
)

// needLdconfig skips a test where ldconfig is not at hand.
func needLdconfig(t *testing.T) {
	t.Helper()
	if _, err := os.Stat("/sbin/ldconfig"); err != nil {
		t.Skipf("the oracle is ldconfig itself, and there is none: %v", err)
	}
}

// linkerConf puts the dynamic linker's configuration into the machine, and links /lib.
func (m *machine) linkerConf() {
	m.t.Helper()
	for _, d := range []string{"etc/ld.so.conf.d", "usr/lib"} {
		if err := os.MkdirAll(m.path(d), 0o755); err != nil {
			m.t.Fatal(err)
		}
	}
	if err := os.Symlink("usr/lib", m.path("lib")); err != nil {
		m.t.Fatal(err)
	}
	m.write("etc/ld.so.conf", "# comment\ninclude /etc/ld.so.conf.d/*.conf\n")
	m.write("etc/ld.so.conf.d/b.conf", "/usr/local/lib\n/lib/x86_64-linux-gnu/ # multiarch\n")
	m.write("etc/ld.so.conf.d/a.conf", "/usr/lib/other\n")
	m.write("etc/ld.so.conf.d/.hidden.conf", "/usr/lib/x86_64-linux-gnu/demo\n")
}

// bare is a library without section headers.
func bare(lib string) string {
	b := []byte(lib)
	copy(b[40:48], make([]byte, 8))
	copy(b[58:64], make([]byte, 6))
	return string(b)
}

// ldconfig runs the real one in the machine's root.
func (m *machine) ldconfig(format string) {
	m.t.Helper()
	cmd := exec.Command("/sbin/ldconfig", "-r", m.dir, "-c", format)
	if out, err := cmd.CombinedOutput(); err != nil {
		m.t.Fatalf("ldconfig: %v\n%s", err, out)
	}
}

// TestLibrariesEqualLdconfig upgrades libraries with the real dpkg and ldconfig, and compares the cache and the links.
func TestLibrariesEqualLdconfig(t *testing.T) {
	needLdconfig(t)
	const unconfigured = "no configuration"
	const dir, other, better = "usr/lib/x86_64-linux-gnu/", "usr/lib/other/", "usr/lib/x86_64-linux-gnu/glibc-hwcaps/"
	demo := func(version string) files {
		return files{dir + "libdemo.so.1": "-> libdemo.so.1." + version, dir + "libdemo.so.1." + version: library("libdemo.so.1", version)}
	}
	with := func(fs ...files) files {
		all := files{}
		for _, f := range fs {
			for p, content := range f {
				all[p] = content
			}
		}
		return all
	}
	for name, tc := range map[string]struct{ old, new files }{
		"same soname":         {demo("1"), demo("2")},
		"a new library":       {demo("1"), with(demo("2"), files{dir + "libnew.so.3": library("libnew.so.3", "")})},
		"one library less":    {with(demo("1"), files{dir + "libold.so.1": library("libold.so.1", "")}), demo("2")},
		"another soname":      {with(demo("1"), files{dir + "libx.so.1": library("libx.so.1", "")}), with(demo("2"), files{dir + "libx.so.2": library("libx.so.2", "")})},
		"numbers in names":    {with(demo("1"), files{dir + "libx.so.9": library("libx.so.9", "")}), with(demo("2"), files{dir + "libx.so.10": library("libx.so.10", ""), dir + "libx.so.9": library("libx.so.9", "")})},
		"no link shipped":     {files{dir + "libx.so.1.1": library("libx.so.1", "1")}, files{dir + "libx.so.1.2": library("libx.so.1", "2")}},
		"two of one soname":   {demo("1"), with(demo("2"), files{dir + "libx.so.1.9": library("libx.so.1", "9"), dir + "libx.so.1.10": library("libx.so.1", "10")})},
		"for the compiler":    {demo("1"), with(demo("2"), files{dir + "libdemo.so": "-> libdemo.so.1.2"})},
		"compiler's is gone":  {with(demo("1"), files{dir + "libdemo.so": "-> libdemo.so.1.1"}), demo("2")},
		"no soname":           {demo("1"), with(demo("2"), files{dir + "libplain.so": library("", "")})},
		"a linker script":     {with(demo("1"), files{dir + "libx.so": library("libx.so", "")}), with(demo("2"), files{dir + "libx.so": "GROUP ( libdemo.so.1 )"})},
		"two directories":     {with(demo("1"), files{other + "libdemo.so.1": library("libdemo.so.1", "o")}), with(demo("2"), files{other + "libdemo.so.1": library("libdemo.so.1", "p"), other + "libtwo.so.2": library("libtwo.so.2", ""), dir + "libtwo.so.2": library("libtwo.so.2", "")})},
		"better processors":   {with(demo("1"), files{better + "x86-64-v3/libdemo.so.1": library("libdemo.so.1", "v3")}), with(demo("2"), files{better + "x86-64-v3/libdemo.so.1": library("libdemo.so.1", "V3"), dir + "libnew.so.1": library("libnew.so.1", "")})},
		"no better processor": {with(demo("1"), files{better + "x86-64-v3/libdemo.so.1": library("libdemo.so.1", "v3"), better + "x86-64-v4/libdemo.so.1": library("libdemo.so.1", "v4")}), with(demo("2"), files{better + "x86-64-v4/libdemo.so.1": library("libdemo.so.1", "v4")})},
		"no section headers":  {demo("1"), files{dir + "libdemo.so.1": "-> libdemo.so.1.2", dir + "libdemo.so.1.2": bare(library("libdemo.so.1", "2"))}},
		unconfigured:          {demo("1"), with(demo("2"), files{dir + "libnew.so.1": library("libnew.so.1", "")})},
		"elsewhere":           {with(demo("1"), files{dir + "demo/libp.so": library("libp.so", "")}), with(demo("2"), files{dir + "demo/libp.so.1": library("libp.so.1", "")})},
	} {
		for _, format := range []string{"new", "compat"} {
			t.Run(name+"/"+format, func(t *testing.T) {
				m := newMachine(t)
				m.linkerConf()
				if name == unconfigured {
					m.remove("etc/ld.so.conf")
					m.dpkg("-i", build(t, spec{name: "libc-bin", version: "1", arch: "amd64", files: files{"usr/share/doc/libc-bin/x": ""}}))
				}
				pack := func(version string, shipped files) string {
					return build(t, spec{name: "libdemo1", version: version, files: with(shipped, files{dir + "libsame.so.5": library("libsame.so.5", ""), "usr/lib/libtop.so.1": library("libtop.so.1", "")})})
				}
				m.dpkg("-i", pack("1", tc.old), build(t, spec{name: "libelse1", version: "1", files: files{dir + "libelse.so.1.0": library("libelse.so.1", ""), dir + "libelse.so.1": "-> libelse.so.1.0"}}))
				m.ldconfig(format)
				deb := pack("2", tc.new)
				before := m.index()
				effect := m.mustUpgrade(deb)
				fromCache := m.upgradeUnread(deb)
				m.dpkg("-i", deb)
				m.ldconfig(format)
				compare(t, m.view(), viewOf(t, ecosystemtest.Apply(t, before, effect)))
				if got, want := changes(fromCache), changes(effect); got != want {
					t.Errorf("without the content of what is installed:\n%s\nwith it:\n%s", got, want)
				}
			})
		}
	}
}

// upgradeUnread is mustUpgrade with the image as it is in earnest: no library of it can be read.
func (m *machine) upgradeUnread(deb string) *ecosystem.Effect {
	m.t.Helper()
	x, err := layer.Scan(m.t.Context(), m.archive(), layer.ScanOptions{Keep: func(e *layer.Entry, _ []byte) bool {
		return !strings.HasPrefix(e.Path, "usr/lib/")
	}})
	if err != nil {
		m.t.Fatal(err)
	}
	v := viewOf(m.t, x)
	effect, holds, err := Ecosystem{}.Upgrade(m.t.Context(), v, []ecosystem.Step{stepFor(m.t, v, deb)}, ecosystem.UpgradeOptions{Time: generatedTime})
	if err != nil || len(holds) > 0 {
		m.t.Fatal(err, holds)
	}
	return effect
}
