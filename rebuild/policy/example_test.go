package policy_test

import (
	"fmt"
	"log"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
	"github.com/nanopatch/nanopatch/rebuild/policy"
	"github.com/nanopatch/nanopatch/rebuild/version"
)

func ExampleDecide() {
	pkg := func(name, version string, needs ...ecosystem.Relation) ecosystem.Package {
		p := ecosystem.Package{Key: ecosystem.Key{Name: name, Arch: "amd64"}, Version: version}
		for _, r := range needs {
			p.Requires = append(p.Requires, ecosystem.Clause{r})
		}
		return p
	}
	installed := []ecosystem.Package{pkg("libssl3", "3.0.11-1"), pkg("nginx", "1.22.1-9"), pkg("openssl", "3.0.11-1")}

	security := &pkgrepo.Origin{Suite: "bookworm-security", Security: true, Frozen: true}
	candidates := make(map[ecosystem.Key][]pkgrepo.Candidate)
	for _, p := range []ecosystem.Package{
		pkg("libssl3", "3.0.17-1"),
		pkg("nginx", "1.22.1-9+deb12u2"),
		pkg("openssl", "3.0.17-1", ecosystem.Relation{Name: "libssl3", Op: ">=", Version: "3.0.17"}),
	} {
		candidates[p.Key] = []pkgrepo.Candidate{{Package: p, Origin: security, Priority: 500, Phase: 100}}
	}

	d, err := policy.Decide(policy.Input{
		Scheme: version.Deb, Installed: installed, Candidates: candidates,
		Rules: policy.Rules{Hold: []policy.HoldRule{{Glob: "libssl*", Reason: "waiting for the load test"}}},
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, u := range d.Updates {
		fmt.Printf("%s %s -> %s, level %s, security %t\n", u.From.Name, u.From.Version, u.To.Version, u.Level, u.Security)
	}
	for _, h := range d.Held {
		fmt.Printf("%s %s is held, %s: %s\n", h.Package.Name, h.Package.Version, h.Reason, h.Detail)
	}
	// Output:
	// nginx 1.22.1-9 -> 1.22.1-9+deb12u2, level revision, security true
	// libssl3 3.0.11-1 is held, rule: waiting for the load test
	// openssl 3.0.11-1 is held, dependency: needs libssl3 (>= 3.0.17), which stays at 3.0.11-1 (held: rule)
}
