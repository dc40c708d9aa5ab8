package policy

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
	"github.com/nanopatch/nanopatch/rebuild/version"
)

// The oracle below knows nothing of clauses: it looks at whole sets of packages and counts what is broken.

// ends returns the packages as they are once the chosen of them are updated.
func ends(chosen []choice, updated func(i int) bool) []ecosystem.Package {
	all := make([]ecosystem.Package, len(chosen))
	for i, c := range chosen {
		all[i] = c.from
		if c.pick != nil && updated(i) {
			all[i] = c.pick.Package
		}
	}
	return all
}

// broken lists what is wrong with a set of packages: a requirement of a certain version, and without its versions; a
// conflict by its parties.
func broken(r *relations, all []ecosystem.Package) map[string]bool {
	wrong := make(map[string]bool)
	for i, p := range all {
		for _, c := range p.Requires {
			if !slices.ContainsFunc(c, func(rel ecosystem.Relation) bool {
				return slices.ContainsFunc(all, func(q ecosystem.Package) bool { return r.meets(&rel, p.Arch, &q) })
			}) {
				wrong[fmt.Sprintf("%s %s needs %s", p.Key, p.Version, spell(c))] = true
				wrong[fmt.Sprintf("%s needs %s", p.Key, names(c))] = true
			}
		}
		for _, rel := range p.Conflicts {
			for j, q := range all {
				if j != i && q.Name != p.Name && r.clashes(&rel, &q) {
					wrong[fmt.Sprintf("%s conflicts with %s by %s", p.Key, q.Key, rel.Name)] = true
				}
			}
		}
		for _, q := range all[:i] {
			if n, _ := r.scheme.Compare(p.Version, q.Version); q.Name == p.Name && n != 0 {
				wrong[fmt.Sprintf("%s is not at the version of %s", p.Key, q.Key)] = true
			}
		}
	}
	return wrong
}

// worse returns something that is wrong with a set and was not with the installed packages. An updated package may
// need in vain what it needed in vain before, in whatever version.
func worse(was, is map[string]bool, updated []ecosystem.Package) string {
	for w := range is {
		excused := slices.ContainsFunc(updated, func(p ecosystem.Package) bool {
			return strings.HasPrefix(w, p.Key.String()+" "+p.Version+" needs ")
		})
		if !was[w] && !excused {
			return w
		}
	}
	return ""
}

func updatedOf(chosen []choice, updated func(i int) bool) []ecosystem.Package {
	var all []ecosystem.Package
	for i, c := range chosen {
		if c.pick != nil && updated(i) {
			all = append(all, c.pick.Package)
		}
	}
	return all
}

func sortedChoices(in *Input) []choice {
	var chosen []choice
	for _, p := range in.Installed {
		chosen = append(chosen, in.choose(p))
	}
	slices.SortStableFunc(chosen, func(a, b choice) int { return compareKeys(a.from.Key, b.from.Key) })
	return chosen
}

type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// checkConsistent checks a decision against the oracle and returns the choices and which were updated.
func checkConsistent(t fataler, in *Input, d *Decision) ([]choice, map[ecosystem.Key]bool) {
	t.Helper()
	chosen := sortedChoices(in)
	updated := make(map[ecosystem.Key]bool)
	for _, u := range d.Updates {
		updated[u.From.Key] = true
	}
	r := &relations{scheme: in.Scheme, native: in.Arch}
	was := broken(r, ends(chosen, func(int) bool { return false }))
	set := func(i int) bool { return updated[chosen[i].from.Key] }
	if w := worse(was, broken(r, ends(chosen, set)), updatedOf(chosen, set)); w != "" {
		t.Fatalf("the updates %v break this: %s", spellDecision(d), w)
	}
	return chosen, updated
}

// genWorld draws a small world in which nearly everything depends on nearly everything.
func genWorld(t *rapid.T) Input {
	names := []string{"a", "b", "c", "d", "e"}
	name := rapid.SampledFrom(append(names, "virtual", "missing"))
	ver := rapid.SampledFrom([]string{"1", "1.1", "1.2"})
	rel := rapid.Custom(func(t *rapid.T) ecosystem.Relation {
		r := ecosystem.Relation{Name: name.Draw(t, "name")}
		if rapid.Bool().Draw(t, "versioned") {
			r.Op, r.Version = rapid.SampledFrom([]string{"<", "<=", "=", ">=", ">"}).Draw(t, "op"), ver.Draw(t, "version")
		}
		r.Arch = rapid.SampledFrom([]string{"", "", "", "any", "i386"}).Draw(t, "arch")
		return r
	})
	pkg := func(key ecosystem.Key, v string) ecosystem.Package {
		p := ecosystem.Package{Key: key, Version: v, Source: key.Name, SourceVersion: v}
		p.MultiArch = rapid.SampledFrom([]string{"", "same", "foreign", "allowed"}).Draw(t, "multiarch")
		for range rapid.IntRange(0, 2).Draw(t, "requires") {
			p.Requires = append(p.Requires, rapid.SliceOfN(rel, 1, 2).Draw(t, "clause"))
		}
		p.Conflicts = rapid.SliceOfN(rel, 0, 1).Draw(t, "conflicts")
		if rapid.IntRange(0, 3).Draw(t, "provides") == 0 {
			p.Provides = []ecosystem.Relation{{Name: "virtual"}}
			if rapid.Bool().Draw(t, "provides version") {
				p.Provides[0].Op, p.Provides[0].Version = "=", ver.Draw(t, "provided")
			}
		}
		return p
	}
	in := Input{
		Scheme: version.Deb, Arch: "amd64", Candidates: make(map[ecosystem.Key][]pkgrepo.Candidate),
		Dates: make(map[pkgrepo.Artifact]time.Time), Rules: Rules{Now: now},
	}
	for _, n := range names {
		for _, arch := range rapid.SampledFrom([][]string{{"amd64"}, {"amd64"}, {"all"}, {"amd64", "i386"}, {}}).Draw(t, "archs") {
			key := ecosystem.Key{Name: n, Arch: arch}
			in.Installed = append(in.Installed, pkg(key, "1"))
			for _, v := range rapid.SliceOfNDistinct(ver, 0, 2, func(s string) string { return s }).Draw(t, "candidates") {
				in.Candidates[key] = append(in.Candidates[key], pkgrepo.Candidate{
					Package: pkg(key, v), Origin: rapid.SampledFrom([]*pkgrepo.Origin{stable, security}).Draw(t, "origin"),
					Priority: rapid.SampledFrom([]int{500, 500, 990, -1}).Draw(t, "priority"), Phase: 100,
				})
			}
		}
	}
	return in
}

func TestDecisionProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := genWorld(t)
		d, err := Decide(in)
		if err != nil {
			t.Fatal(err)
		}
		chosen, updated := checkConsistent(t, &in, d)
		if s := (solver{problem: newProblem(&in, chosen), value: make([]value, len(chosen))}); !s.search(s.order()) {
			t.Fatalf("the search gave up after %d conflicts", s.conflicts)
		}
		checkGreatest(t, &in, chosen, updated)
		checkDeterministic(t, in, d)
		checkIdempotent(t, in, d)
	})
}

func spellWorld(in *Input) string {
	var b strings.Builder
	for _, p := range in.Installed {
		fmt.Fprintf(&b, "%s %s [%s] needs %v conflicts %v provides %v\n", p.Key, p.Version, p.MultiArch, p.Requires, p.Conflicts, p.Provides)
		for _, c := range in.Candidates[p.Key] {
			fmt.Fprintf(&b, "  %s [%s] needs %v conflicts %v provides %v priority %d\n",
				c.Version, c.MultiArch, c.Requires, c.Conflicts, c.Provides, c.Priority)
		}
	}
	return b.String()
}

// checkGreatest tries all larger sets.
func checkGreatest(t *rapid.T, in *Input, chosen []choice, updated map[ecosystem.Key]bool) {
	r := &relations{scheme: in.Scheme, native: in.Arch}
	was := broken(r, ends(chosen, func(int) bool { return false }))
	var left []int
	for i, c := range chosen {
		if c.pick != nil && !updated[c.from.Key] {
			left = append(left, i)
		}
	}
	for more := 1; more < 1<<len(left); more++ {
		larger := func(i int) bool {
			k := slices.Index(left, i)
			return updated[chosen[i].from.Key] || k >= 0 && more>>k&1 == 1
		}
		if worse(was, broken(r, ends(chosen, larger)), updatedOf(chosen, larger)) == "" {
			t.Fatalf("more could be updated: %b of %v in\n%s", more, left, spellWorld(in))
		}
	}
}

func checkDeterministic(t *rapid.T, in Input, d *Decision) {
	again := in
	again.Installed = slices.Clone(in.Installed)
	r := rand.New(rand.NewPCG(uint64(len(in.Installed)), 1))
	r.Shuffle(len(again.Installed), func(i, j int) {
		again.Installed[i], again.Installed[j] = again.Installed[j], again.Installed[i]
	})
	other, err := Decide(again)
	if err != nil || !slices.Equal(spellDecision(d), spellDecision(other)) {
		t.Fatalf("in another order: got %v, %v, want %v", spellDecision(other), err, spellDecision(d))
	}
}

func checkIdempotent(t *rapid.T, in Input, d *Decision) {
	done := in
	done.Installed = slices.Clone(in.Installed)
	for _, u := range d.Updates {
		i := slices.IndexFunc(done.Installed, func(p ecosystem.Package) bool { return p.Key == u.From.Key })
		done.Installed[i] = u.To.Package
	}
	next, err := Decide(done)
	if err != nil || len(next.Updates) > 0 {
		t.Fatalf("after %v there is more to do: %v, %v", spellDecision(d), spellDecision(next), err)
	}
}

func BenchmarkDecide2000(b *testing.B) {
	var installed, candidates []string
	for i := range 2000 {
		needs := fmt.Sprintf("needs: p%d (>= 1.0-1), p%d | p%d, libc (>= 1)", (i+1)%2000, (i*7)%2000, (i*13)%2000)
		installed = append(installed, fmt.Sprintf("p%d 1.0-1 %s; provides: v%d (= 1)", i, needs, i%50))
		candidates = append(candidates,
			fmt.Sprintf("stable p%d 1.0-1 %s", i, needs),
			fmt.Sprintf("stable p%d 1.0-2 needs: p%d (>= 1.0-2), libc; conflicts: p%d (<< 0.9); provides: v%d (= 1)", i, i/2, (i*3)%2000, i%50),
			fmt.Sprintf("security p%d 1.0-3 needs: p%d (>= 1.0-3), libc; conflicts: p%d (<< 0.9); provides: v%d (= 1)", i, i/2, (i*3)%2000, i%50))
	}
	installed = append(installed, "libc 1")
	in := world(installed, candidates)
	in.Rules.Hold = []HoldRule{{Glob: "p1999"}, {Glob: "p3"}}
	b.ReportAllocs()
	for b.Loop() {
		d, err := Decide(in)
		if err != nil || len(d.Updates) < 1000 {
			b.Fatal(len(d.Updates), err)
		}
	}
}
