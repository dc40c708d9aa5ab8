package dpkg

import (
	"testing"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem/ecosystemtest"
)

func TestConformance(t *testing.T) {
	demo := func(version string) spec {
		return spec{
			version: version, files: files{"usr/bin/demo": version, "usr/share/demo/" + version: "x", "etc/demo.conf": version},
			control: files{"conffiles": "/etc/demo.conf\n", "postinst": "#!/bin/sh\nset -e\n[ \"$1\" = configure ] || exit 1\n"},
		}
	}
	other := func(version string) spec {
		return spec{name: "other", version: version, files: files{"usr/share/other": version}}
	}
	m := newImage(t, demo("1"), other("1"), spec{name: "third", version: "1", files: files{"usr/share/third": "1"}})
	v := viewOf(t, m.layer())
	ecosystemtest.Run(t, ecosystemtest.Config{
		Ecosystem: Ecosystem{}, Layer: m.layer(),
		Steps: []ecosystem.Step{stepFor(t, v, build(t, demo("2"))), stepFor(t, v, build(t, other("2")))},
	})
}
