package diff

import (
	"fmt"
	"strings"
)

// Planned is one update of a plan.
type Planned struct{ Type, Name, Arch, From, To string }

// Explain tells whether a plan rewrites all the paths of a package, and because of which update ("libssl3 3.0.13"). No
// paths are never explained.
type Explain func(paths []string) (because string, ok bool)

// GateError says that an image is not what its plan says. The command line exits with 4 because of it.
type GateError struct {
	// Offenders are all of them, in the order of the plan and then of the diff.
	Offenders []Offender
}

// Offender is a change that a plan does not account for, or an update that did not take place as planned.
type Offender struct {
	Type, Name, Arch string
	// From and To are the versions; From is empty where the package was added, To where it was removed.
	From, To string
	// Problem is what is wrong, in a few words.
	Problem string
}

func (o Offender) String() string {
	name := o.Type + " " + o.Name
	if o.Arch != "" {
		name += ":" + o.Arch
	}
	switch {
	case o.From == "":
		return fmt.Sprintf("%s %s added: %s", name, o.To, o.Problem)
	case o.To == "":
		return fmt.Sprintf("%s %s removed: %s", name, o.From, o.Problem)
	default:
		return fmt.Sprintf("%s %s to %s: %s", name, o.From, o.To, o.Problem)
	}
}

// shownOffenders bounds how many the error's text names; Offenders has them all.
const shownOffenders = 10

func (e *GateError) Error() string {
	shown := e.Offenders[:min(len(e.Offenders), shownOffenders)]
	texts := make([]string, len(shown))
	for i, o := range shown {
		texts[i] = o.String()
	}
	text := "the new packages are not what the plan says: " + strings.Join(texts, "; ")
	if more := len(e.Offenders) - len(shown); more > 0 {
		text += fmt.Sprintf("; and %d more", more)
	}
	return text
}

// Gate holds the difference against the plan that made it. Every planned update must be in it exactly once. Any other
// change must lie wholly in paths that the plan rewrites, and be of a package type that the plan has no updates of: a
// package database is edited only as planned. It returns the difference with these moved to its Consequences, or a
// *GateError. d itself stays as it is.
func (d *Diff) Gate(planned []Planned, explain Explain) (*Diff, error) {
	g := gate{explain: explain, managed: map[string]bool{}, out: *d}
	g.out.Changed, g.out.Added, g.out.Removed = []Change{}, []Package{}, []Package{}
	g.out.Consequences = append([]Consequence{}, d.Consequences...)

	times := map[Planned]int{}
	for _, c := range d.Changed {
		times[Planned{c.Type, c.Name, c.Arch, c.From, c.To}]++
	}
	wanted := map[Planned]bool{}
	for _, p := range planned {
		g.managed[p.Type] = true
		switch {
		case wanted[p]:
			g.offend(p, "planned twice")
		case times[p] == 0:
			g.offend(p, "planned, but did not happen")
		case times[p] > 1:
			g.offend(p, fmt.Sprintf("planned once, but happened %d times", times[p]))
		}
		wanted[p] = true
	}
	for _, c := range d.Changed {
		if p := (Planned{c.Type, c.Name, c.Arch, c.From, c.To}); wanted[p] {
			g.out.Changed = append(g.out.Changed, c)
		} else {
			g.follow(p, c.paths())
		}
	}
	for _, p := range d.Added {
		g.follow(Planned{Type: p.Type, Name: p.Name, Arch: p.Arch, To: p.Version}, p.paths)
	}
	for _, p := range d.Removed {
		g.follow(Planned{Type: p.Type, Name: p.Name, Arch: p.Arch, From: p.Version}, p.paths)
	}
	if len(g.offenders) > 0 {
		return nil, &GateError{Offenders: g.offenders}
	}
	g.out.sort()
	return &g.out, nil
}

type gate struct {
	explain   Explain
	managed   map[string]bool
	out       Diff
	offenders []Offender
}

func (g *gate) offend(p Planned, problem string) {
	g.offenders = append(g.offenders, Offender{Type: p.Type, Name: p.Name, Arch: p.Arch, From: p.From, To: p.To, Problem: problem})
}

// follow takes a change that is not planned for a consequence, or for an offender.
func (g *gate) follow(p Planned, paths []string) {
	if g.managed[p.Type] {
		g.offend(p, "not planned")
		return
	}
	because, ok := "", false
	if len(paths) > 0 {
		because, ok = g.explain(paths)
	}
	if !ok {
		g.offend(p, "not planned, and not inside anything that is")
		return
	}
	g.out.Consequences = append(g.out.Consequences, Consequence{
		Type: p.Type, Name: p.Name, Arch: p.Arch, From: p.From, To: p.To, Because: because,
	})
}
