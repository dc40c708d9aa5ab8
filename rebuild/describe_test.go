package rebuild

import (
	"testing"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
	"github.com/nanopatch/nanopatch/rebuild/plan"
	"github.com/nanopatch/nanopatch/rebuild/policy"
)

// TestHeld: what lies beyond an update is listed among the holds, in the order of the packages.
func TestHeld(t *testing.T) {
	hold := func(name, candidate string) policy.Hold {
		return policy.Hold{
			Package:   ecosystem.Package{Key: ecosystem.Key{Name: name}, Version: "1.0.0"},
			Candidate: pkgrepo.Candidate{Package: ecosystem.Package{Version: candidate}},
			Reason:    ecosystem.ReasonLevel, Security: true,
		}
	}
	beyond := hold("b", "2.0.0")
	l := &loop{backend: backends()[0]}
	held := l.held(&policy.Decision{
		Updates: []policy.Update{{From: beyond.Package, Beyond: &beyond}, {From: ecosystem.Package{Version: "3"}}},
		Held:    []policy.Hold{hold("a", "9"), hold("c", "9")},
	})
	if len(held) != 3 || held[1].Name != "b" || held[1].Candidate != "2.0.0" || held[1].From != "1.0.0" || !held[1].Security {
		t.Errorf("%+v", held)
	}
}

func TestPURL(t *testing.T) {
	p := ecosystem.Package{Key: ecosystem.Key{Name: "libstdc++6", Arch: "amd64"}, Version: "1:12.2-1+b1"}
	for want, d := range map[string]plan.Distro{
		"pkg:deb/debian/libstdc%2B%2B6@1%3A12.2-1%2Bb1?arch=amd64&distro=debian-12": {ID: "debian", VersionID: "12"},
		"pkg:deb/libstdc%2B%2B6@1%3A12.2-1%2Bb1?arch=amd64":                         {},
	} {
		if got := purl("deb", d, p); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
