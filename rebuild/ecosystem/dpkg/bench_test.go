package dpkg

import (
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
)

// benchScripts are what a package's scripts do most often: debhelper's blocks around a unit, a check of versions.
var benchScripts = files{
	preinst: "#!/bin/sh\nset -e\nif [ \"$1\" = upgrade ] && dpkg --compare-versions \"$2\" lt 0.5; then rm -f /etc/old; fi\n",
	postinst: "#!/bin/sh\nset -e\nif [ \"$1\" = configure ] || [ \"$1\" = abort-upgrade ]; then\n" +
		"\tdeb-systemd-helper unmask 'demo.service' >/dev/null || true\n" +
		"\tif deb-systemd-helper --quiet was-enabled 'demo.service'; then deb-systemd-helper enable 'demo.service' >/dev/null || true\n" +
		"\telse deb-systemd-helper update-state 'demo.service' >/dev/null || true; fi\n" +
		"\tif [ -d /run/systemd/system ]; then systemctl --system daemon-reload >/dev/null || true; fi\nfi\n" +
		"for f in a b c d e f g h; do echo \"$f\" | sed -e 's/a/b/' | grep -q x || true; done\n",
	prerm:  "#!/bin/sh\nset -e\nif [ \"$1\" = remove ]; then deb-systemd-invoke stop demo.service; fi\n",
	postrm: "#!/bin/sh\nset -e\nif [ \"$1\" = purge ]; then rm -rf /var/lib/demo; fi\n",
}

// BenchmarkUpgrade upgrades 113 of 400 packages, of 100 files each, all with scripts. The share of the interpreter is the
// difference to the same packages without.
func BenchmarkUpgrade(b *testing.B) {
	const packages, updates, filesEach = 400, 113, 100
	make1 := func(i int, version string, scripts bool) spec {
		s := spec{name: fmt.Sprintf("demo-%d", i), version: version, files: files{}, control: files{}}
		for j := range filesEach {
			s.files[fmt.Sprintf("usr/share/demo-%d/file-%d", i, j)] = version
		}
		if scripts {
			maps.Copy(s.control, benchScripts)
		}
		return s
	}
	took := make(map[bool]time.Duration)
	for _, scripts := range []bool{false, true} {
		b.Run(fmt.Sprintf("scripts=%v", scripts), func(b *testing.B) {
			var installed []spec
			for i := range packages {
				installed = append(installed, make1(i, "1", scripts))
			}
			m := newImage(b, installed...)
			m.write("usr/lib/systemd/system/demo.service", "[Install]\nWantedBy=multi-user.target\n")
			for _, p := range []string{"rm", "sed", "grep", "dpkg", "deb-systemd-helper", "deb-systemd-invoke"} {
				m.program("usr/bin/"+p, "ELF")
			}
			v := viewOf(b, m.layer())
			var steps []ecosystem.Step
			for i := range updates {
				steps = append(steps, stepFor(b, v, build(b, make1(i, "2", scripts))))
			}
			b.ResetTimer()
			for b.Loop() {
				_, holds, err := Ecosystem{}.Upgrade(b.Context(), v, steps, ecosystem.UpgradeOptions{Time: generatedTime})
				if err != nil || len(holds) > 0 {
					b.Fatal(holds, err)
				}
			}
			took[scripts] = b.Elapsed() / time.Duration(b.N)
			if scripts && took[false] > 0 {
				b.ReportMetric(100*float64(took[true]-took[false])/float64(took[true]), "interpreter-%")
				b.ReportMetric(float64((took[true]-took[false]).Microseconds())/(4*updates), "µs/script")
			}
		})
	}
}
