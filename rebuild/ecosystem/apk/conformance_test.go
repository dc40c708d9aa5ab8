package apk

import (
	"testing"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem/ecosystemtest"
)

func TestConformance(t *testing.T) {
	script := func(s spec) spec {
		s.info, s.scripts = []string{"triggers = /usr/share/none"}, map[string]string{"trigger": "#!/bin/sh\n", "post-install": "#!/bin/sh\nrm x\n"}
		return s
	}
	for _, dir := range []string{libDir, usrLibDir} {
		for _, gz := range []bool{false, true} {
			m := image{t: t, dir: dir, gz: gz, packages: []spec{
				script(demo("1-r0", "1")), named0("other", "1-r0", "usr/share/other", "1"), script(named0("third", "1-r0", "usr/share/third", "1")),
			}}
			ecosystemtest.Run(t, ecosystemtest.Config{
				Ecosystem: Ecosystem{}, Layer: m.index(),
				Steps: stepsFor(t, m.view(), script(demo("2-r0", "2", "usr/share/demo/more", "x")).build(t), named0("other", "2-r0", "usr/share/other", "2").build(t)),
			})
		}
	}
}
