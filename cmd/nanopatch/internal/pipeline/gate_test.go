package pipeline

import (
	"errors"
	"strings"
	"testing"

	"github.com/nanopatch/nanopatch/rebuild"
	"github.com/nanopatch/nanopatch/rebuild/plan"
	"github.com/nanopatch/nanopatch/sbom"
	"github.com/nanopatch/nanopatch/sbom/diff"
)

// TestGateAcrossArchitectures: a package that becomes one of another architecture is the same update on both sides.
func TestGateAcrossArchitectures(t *testing.T) {
	side := func(arch, version string) diff.Side {
		return diff.Side{Packages: []sbom.Package{{Type: "deb", Name: "a", Arch: arch, Version: version}}}
	}
	d := diff.Compare(side("all", "1.0-1"), side("amd64", "1.0-2"), versions{})
	update := plan.Update{Type: "deb", Name: "a", Arch: "all", ToArch: "amd64", From: "1.0-1", To: "1.0-2"}
	if _, err := gate(d, &rebuild.Job{Plan: &plan.Plan{Updates: []plan.Update{update}}}); err != nil {
		t.Error(err)
	}
	_, err := gate(d, &rebuild.Job{Plan: &plan.Plan{}})
	if offence := new(diff.GateError); !errors.As(err, &offence) || !strings.Contains(err.Error(), "nothing was published") {
		t.Errorf("a change that nobody planned: %v", err)
	}
}
