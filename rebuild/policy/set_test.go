package policy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
)

// setCase is an installed system, what is on offer, and what is to come of it.
type setCase struct {
	installed, candidates []string
	hold                  string // a glob of packages that a rule holds
	want                  []string
}

// What fits together, as apt-get upgrade sees it: nothing new, nothing removed.
func setCases() map[string]setCase {
	return map[string]setCase{
		"an update needs another one": {
			[]string{"libssl3 3.0.11-1", "openssl 3.0.11-1 needs: libssl3 (>= 3.0.11)"},
			[]string{"stable libssl3 3.0.20-1", "stable openssl 3.0.20-1 needs: libssl3 (>= 3.0.20)"},
			"",
			[]string{"update libssl3 3.0.11-1 -> 3.0.20-1 (patch)", "update openssl 3.0.11-1 -> 3.0.20-1 (patch)"},
		},
		"an update needs another one that is held": {
			[]string{"libssl3 3.0.11", "openssl 3.0.11 needs: libssl3 (>= 3.0.11)", "curl 7.88.1 needs: openssl (>= 3.0)"},
			[]string{
				"stable libssl3 3.0.20", "stable openssl 3.0.20 needs: libssl3 (>= 3.0.20)", "stable curl 7.88.2 needs: openssl (>= 3.0.20)",
			},
			"libssl3",
			[]string{
				"held curl 7.88.1 -> 7.88.2, dependency: needs openssl (>= 3.0.20), which stays at 3.0.11 (held: dependency)",
				"held libssl3 3.0.11 -> 3.0.20, rule: held by rule libssl3",
				"held openssl 3.0.11 -> 3.0.20, dependency: needs libssl3 (>= 3.0.20), which stays at 3.0.11 (held: rule)",
			},
		},
		"an update needs a package that is not there": {
			[]string{"linux-image 6.1.1"},
			[]string{"stable linux-image 6.1.2 needs: linux-image-6.1.2"},
			"",
			[]string{"held linux-image 6.1.1 -> 6.1.2, dependency: needs linux-image-6.1.2, which is not installed"},
		},
		"an update needs a version that nobody offers": {
			[]string{"a 1", "b 1"},
			[]string{"stable a 1.1 needs: b (>= 2)", "stable b 1"},
			"",
			[]string{"held a 1 -> 1.1, dependency: needs b (>= 2), which stays at 1 (nothing newer is offered)"},
		},
		"an alternative will do": {
			[]string{"a 1 needs: b", "b 1", "c 1"},
			[]string{"stable a 1.1 needs: b (>= 2) | c"},
			"b",
			[]string{"update a 1 -> 1.1 (patch)", "unmanaged b 1: no configured repository offers it", "unmanaged c 1: no configured repository offers it"},
		},
		"no alternative will do": {
			[]string{"a 1", "b 1", "c 1 provides: d (= 1)"},
			[]string{"stable a 1.1 needs: b (>= 2) | c (<< 1) | d (>= 2)", "stable b 1", "stable c 1"},
			"",
			[]string{
				"held a 1 -> 1.1, dependency: needs b (>= 2) | c (< 1) | d (>= 2), " +
					"b stays at 1 (nothing newer is offered), c stays at 1 (nothing newer is offered)",
			},
		},
		"exact versions go in lock-step": {
			[]string{"perl 5.36.0-7 needs: perl-base (= 5.36.0-7)", "perl-base 5.36.0-7"},
			[]string{"stable perl 5.36.0-8 needs: perl-base (= 5.36.0-8)", "stable perl-base 5.36.0-8"},
			"",
			[]string{"update perl 5.36.0-7 -> 5.36.0-8 (revision)", "update perl-base 5.36.0-7 -> 5.36.0-8 (revision)"},
		},
		"an installed package that needs the old version keeps it": {
			[]string{"perl 5.36.0-7 needs: perl-base (= 5.36.0-7)", "perl-base 5.36.0-7"},
			[]string{"stable perl 5.36.0-7", "stable perl-base 5.36.0-8"},
			"",
			[]string{
				"held perl-base 5.36.0-7 -> 5.36.0-8, dependency: " +
					"perl needs perl-base (= 5.36.0-7) and stays at 5.36.0-7 (nothing newer is offered)",
			},
		},
		"virtual packages count": {
			[]string{"a 1", "mawk 1 provides: awk"},
			[]string{"stable a 1.1 needs: awk", "stable mawk 1"},
			"",
			[]string{"update a 1 -> 1.1 (patch)"},
		},
		"a virtual package that an update no longer provides": {
			[]string{"a 1 needs: awk", "mawk 1 provides: awk"},
			[]string{"stable a 1", "stable mawk 1.1"},
			"",
			[]string{"held mawk 1 -> 1.1, dependency: a needs awk and stays at 1 (nothing newer is offered)"},
		},
		"a versioned relation wants a versioned Provides": {
			[]string{"a 1", "b 1", "p 1 provides: v", "q 1 provides: w (= 2)"},
			[]string{"stable a 1.1 needs: v (>= 1)", "stable b 1.1 needs: w (>= 2)", "stable p 1", "stable q 1"},
			"",
			[]string{
				"update b 1 -> 1.1 (patch)", "held a 1 -> 1.1, dependency: needs v (>= 1), p stays at 1 (nothing newer is offered)",
			},
		},
		"a package may meet its own requirement": {
			[]string{"a 1"},
			[]string{"stable a 1.1 needs: v (= 1.1); provides: v (= 1.1)"},
			"",
			[]string{"update a 1 -> 1.1 (patch)"},
		},
		"an update breaks an old version and brings the new one along": {
			[]string{"libc6 2.36-1", "locales 2.36-1"},
			[]string{"stable libc6 2.36-2 conflicts: locales (<< 2.36-2)", "stable locales 2.36-2"},
			"",
			[]string{"update libc6 2.36-1 -> 2.36-2 (revision)", "update locales 2.36-1 -> 2.36-2 (revision)"},
		},
		"an update breaks a version that stays": {
			[]string{"libc6 2.36-1", "locales 2.36-1"},
			[]string{"stable libc6 2.36-2 conflicts: locales (<< 2.36-2)", "stable locales 2.36-2"},
			"locales",
			[]string{
				"held libc6 2.36-1 -> 2.36-2, dependency: conflicts with locales (< 2.36-2), but locales stays at 2.36-1 (held: rule)",
				"held locales 2.36-1 -> 2.36-2, rule: held by rule locales",
			},
		},
		"an installed package breaks the new version": {
			[]string{"a 1", "b 1 conflicts: a (>> 1)"},
			[]string{"stable a 1.1", "stable b 1"},
			"",
			[]string{"held a 1 -> 1.1, dependency: b conflicts with a (> 1) and stays at 1 (nothing newer is offered)"},
		},
		"a package does not conflict with what it provides itself": {
			[]string{"exim 1 conflicts: mta; provides: mta"},
			[]string{"stable exim 1.1 conflicts: mta; provides: mta"},
			"",
			[]string{"update exim 1 -> 1.1 (patch)"},
		},
		"what was broken before holds nothing back": {
			[]string{"base-files 12.4 needs: awk", "libc6 2.36-1 needs: libgcc-s1 (>= 1), libcrypt1", "x 1 conflicts: libc6"},
			[]string{
				"stable base-files 12.4+deb12u1 needs: awk", "stable libc6 2.36-2 needs: libgcc-s1 (>= 2), libcrypt1:any",
				"stable x 1.1 conflicts: libc6",
			},
			"",
			[]string{
				"update base-files 12.4 -> 12.4+deb12u1 (revision)", "update libc6 2.36-1 -> 2.36-2 (revision)", "update x 1 -> 1.1 (patch)",
			},
		},
		"but a new requirement does": {
			[]string{"libc6 2.36-1 needs: libgcc-s1"},
			[]string{"stable libc6 2.36-2 needs: libgcc-s1, libnew"},
			"",
			[]string{"held libc6 2.36-1 -> 2.36-2, dependency: needs libnew, which is not installed"},
		},
		"one of two that exclude each other: the first": {
			[]string{"a 1", "b 1"},
			[]string{"stable a 1.1 conflicts: b (>> 1)", "stable b 1.1"},
			"",
			[]string{
				"update a 1 -> 1.1 (patch)", "held b 1 -> 1.1, dependency: a conflicts with b (> 1) and goes to 1.1",
			},
		},
		"one of two that exclude each other: the security fix": {
			[]string{"a 1", "b 1"},
			[]string{"stable a 1.1 conflicts: b (>> 1)", "security b 1.1"},
			"",
			[]string{
				"update b 1 -> 1.1 (patch) security", "held a 1 -> 1.1, dependency: conflicts with b (> 1), but b goes to 1.1",
			},
		},
		"an update wants another one to stay": {
			[]string{"a 1", "b 1"},
			[]string{"stable a 1.1 needs: b (<= 1)", "security b 1.1"},
			"",
			[]string{"update b 1 -> 1.1 (patch) security", "held a 1 -> 1.1, dependency: needs b (<= 1), which goes to 1.1"},
		},
		"one of two that exclude each other, where a third needs both": {
			[]string{"a 1", "b 1", "c 1"},
			[]string{"stable a 1.1 needs: b (>= 1.1), c (>= 1.1)", "stable b 1.1 conflicts: c (>> 1)", "stable c 1.1"},
			"",
			[]string{
				"update b 1 -> 1.1 (patch)", "held a 1 -> 1.1, dependency: needs c (>= 1.1), which stays at 1 (held: dependency)",
				"held c 1 -> 1.1, dependency: b conflicts with c (> 1) and goes to 1.1",
			},
		},
		"a ring of updates goes together": {
			[]string{"a 1 needs: b (= 1)", "b 1 needs: c (= 1)", "c 1 needs: a (= 1)"},
			[]string{"stable a 1.1 needs: b (= 1.1)", "stable b 1.1 needs: c (= 1.1)", "stable c 1.1 needs: a (= 1.1)"},
			"",
			[]string{"update a 1 -> 1.1 (patch)", "update b 1 -> 1.1 (patch)", "update c 1 -> 1.1 (patch)"},
		},
		"a relation that is not valid is met by nothing": {
			[]string{"a 1", "b 1"},
			[]string{"stable a 1.1 needs: b (>= 1_0)", "stable b 1"},
			"",
			[]string{"held a 1 -> 1.1, dependency: needs b (>= 1_0), which stays at 1 (nothing newer is offered)"},
		},
	}
}

func TestSet(t *testing.T) {
	for name, c := range setCases() {
		t.Run(name, func(t *testing.T) {
			in := world(c.installed, c.candidates)
			if c.hold != "" {
				in.Rules.Hold = []HoldRule{{Glob: c.hold}}
			}
			expect(t, in, c.want...)
		})
	}
}

// Architectures: deb-control(5) and the Multi-Arch specification.
func multiArchCases() map[string]setCase {
	return map[string]setCase{
		"one version for all architectures": {
			[]string{"libz 1 [same]", "libz:i386 1 [same]"},
			[]string{"stable libz 1.1 [same]", "stable libz:i386 1.1 [same]"},
			"",
			[]string{"update libz 1 -> 1.1 (patch)", "update libz:i386 1 -> 1.1 (patch)"},
		},
		"one architecture is not there yet": {
			[]string{"libz 1 [same]", "libz:i386 1 [same]"},
			[]string{"stable libz 1.1 [same]", "stable libz:i386 1 [same]"},
			"",
			[]string{"held libz 1 -> 1.1, dependency: must have the version of libz:i386, which stays at 1 (nothing newer is offered)"},
		},
		"one architecture is further": {
			[]string{"libz 1 [same]", "libz:i386 1 [same]"},
			[]string{"stable libz 1.1 [same]", "stable libz:i386 1.2 [same]"},
			"",
			[]string{
				"held libz 1 -> 1.1, dependency: must have the version of libz:i386, which stays at 1 (held: dependency)",
				"held libz:i386 1 -> 1.2, dependency: must have the version of libz, which stays at 1 (held: dependency)",
			},
		},
		"a library of another architecture does not serve": {
			[]string{"a 1", "lib 2", "b:i386 1"},
			[]string{"stable a 1.1 needs: lib (>= 2)", "stable b:i386 1.1 needs: lib (>= 2)", "stable lib 2"},
			"",
			[]string{
				"update a 1 -> 1.1 (patch)",
				"held b:i386 1 -> 1.1, dependency: needs lib (>= 2), which is of architecture amd64",
			},
		},
		"a foreign package serves all": {
			[]string{"a:i386 1", "tool 2 [foreign]"},
			[]string{"stable a:i386 1.1 needs: tool (>= 2)", "stable tool 2 [foreign]"},
			"",
			[]string{"update a:i386 1 -> 1.1 (patch)"},
		},
		"any wants a package that allows it": {
			[]string{"a:i386 1", "b:i386 1", "python3 3.11 [allowed]", "perl 5.36"},
			[]string{
				"stable a:i386 1.1 needs: python3:any", "stable b:i386 1.1 needs: perl:any", "stable python3 3.11 [allowed]", "stable perl 5.36",
			},
			"",
			[]string{
				"update a:i386 1 -> 1.1 (patch)",
				"held b:i386 1 -> 1.1, dependency: needs perl:any, which is of architecture amd64",
			},
		},
		"all is native": {
			[]string{"a 1", "b:all 1", "c:i386 1", "data:all 1"},
			[]string{
				"stable a 1.1 needs: data", "stable b:all 1.1 needs: a (>= 1.1)", "stable c:i386 1.1 needs: data", "stable data:all 1",
			},
			"",
			[]string{
				"update a 1 -> 1.1 (patch)", "update b:all 1 -> 1.1 (patch)",
				"held c:i386 1 -> 1.1, dependency: needs data, which is of architecture all",
			},
		},
		"an architecture by name": {
			[]string{"a 1", "b:i386 1"},
			[]string{"stable a 1.1 needs: b:i386", "stable b:i386 1"},
			"",
			[]string{"update a 1 -> 1.1 (patch)"},
		},
		"a conflict is with every architecture": {
			[]string{"a 1", "b:i386 1"},
			[]string{"stable a 1.1 conflicts: b", "stable b:i386 1"},
			"",
			[]string{"held a 1 -> 1.1, dependency: conflicts with b, but b stays at 1 (nothing newer is offered)"},
		},
		"a conflict with one architecture": {
			[]string{"a 1", "b:i386 1"},
			[]string{"stable a 1.1 conflicts: b:amd64", "stable b:i386 1"},
			"",
			[]string{"update a 1 -> 1.1 (patch)"},
		},
	}
}

func TestMultiArch(t *testing.T) {
	for name, c := range multiArchCases() {
		t.Run(name, func(t *testing.T) {
			expect(t, world(c.installed, c.candidates), c.want...)
		})
	}
}

func TestNativeArchIsFound(t *testing.T) {
	in := world([]string{"a:arm64 1", "b:arm64 1", "c:all 1", "d:all 1", "e:all 1", "f:armhf 1"},
		[]string{"stable a:arm64 1.1 needs: c"})
	in.Arch = ""
	d, err := Decide(in)
	if err != nil || len(d.Updates) != 1 {
		t.Errorf("got %v, %v, want the update of a", spellDecision(d), err)
	}
	if got := nativeArch([]ecosystem.Package{{Key: ecosystem.Key{Arch: "b"}}, {Key: ecosystem.Key{Arch: "a"}}}); got != "a" {
		t.Errorf("of two equals: got %s, want a", got)
	}
}

// A package whose update needs ten others that share nine places: a search would try all arrangements. It gives up, and
// apt's way gives a result that is consistent and as large as can be.
func TestSearchIsBounded(t *testing.T) {
	const pigeons, holes = 10, 9
	installed, candidates := []string{"a 1"}, []string{"stable a 1.1 needs: p0"}
	for i := range pigeons {
		candidates[0] += fmt.Sprintf(", p%d", i)
		for h := range holes {
			installed = append(installed, fmt.Sprintf("x%d-%d 1", i, h))
			c := fmt.Sprintf("stable x%d-%d 1.1 provides: p%d, h%d; conflicts: ", i, h, i, h)
			for j := range i {
				c += fmt.Sprintf("x%d-%d (>> 1), ", j, h)
			}
			candidates = append(candidates, strings.TrimSuffix(strings.TrimSuffix(c, "; conflicts: "), ", "))
		}
	}
	in := world(installed, candidates)
	s := solver{problem: newProblem(&in, sortedChoices(&in)), value: make([]value, len(installed))}
	if s.search(s.order()) || s.conflicts <= maxConflicts {
		t.Fatalf("the search ended after %d conflicts: this test tests nothing", s.conflicts)
	}
	d, err := Decide(in)
	if err != nil {
		t.Fatal(err)
	}
	chosen, updated := checkConsistent(t, &in, d)
	p := newProblem(&in, chosen)
	is := make([]bool, len(chosen))
	for i, c := range chosen {
		is[i] = updated[c.from.Key]
	}
	for i := range chosen {
		if !is[i] && p.breaks(i, is) == nil {
			t.Errorf("%s is left out and would fit", chosen[i].from.Key)
		}
	}
	if len(d.Updates) != holes {
		t.Errorf("%d updates for %d places", len(d.Updates), holes)
	}
}
