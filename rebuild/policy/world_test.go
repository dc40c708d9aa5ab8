package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
	"github.com/nanopatch/nanopatch/rebuild/version"
)

// The tests write packages down as control files do, on one line:
//
//	libssl3:i386 3.0.11-1 [same hold] needs: a, b (>= 1) | c; conflicts: d (<< 2); provides: e, f (= 1)
//
// and candidates with where they come from in front: "stable", "security", "backports", "third-party",
// "testing", or "pin=1001", then perhaps "phase=10" and "age=48h" (before now).
var (
	stable       = &pkgrepo.Origin{URI: "http://deb.example/debian", Suite: "stable", Frozen: true}
	security     = &pkgrepo.Origin{URI: "http://security.example/debian", Suite: "stable-security", Frozen: true, Security: true}
	backports    = &pkgrepo.Origin{URI: "http://deb.example/debian", Suite: "stable-backports"}
	testingSuite = &pkgrepo.Origin{URI: "http://deb.example/debian", Suite: "testing"}
	thirdParty   = &pkgrepo.Origin{URI: "http://third.example/apt", Suite: "any"}
	now          = time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)
)

func relation(s string) ecosystem.Relation {
	name, rest, versioned := strings.Cut(strings.TrimSpace(s), " (")
	r := ecosystem.Relation{Name: name}
	r.Name, r.Arch, _ = strings.Cut(name, ":")
	if versioned {
		op, v, _ := strings.Cut(strings.TrimSuffix(rest, ")"), " ")
		r.Op, r.Version = strings.NewReplacer("<<", "<", ">>", ">").Replace(op), v
	}
	return r
}

func relationList(list string) []ecosystem.Relation {
	var all []ecosystem.Relation
	for s := range strings.SplitSeq(list, ",") {
		all = append(all, relation(s))
	}
	return all
}

func parsePackage(line string) ecosystem.Package {
	var p ecosystem.Package
	head, fields := line, ""
	if i := strings.Index(line, ": "); i >= 0 {
		i = strings.LastIndexByte(line[:i], ' ')
		head, fields = line[:i], line[i+1:]
	}
	words := strings.Fields(strings.NewReplacer("[", "", "]", "").Replace(head))
	p.Name, p.Arch, _ = strings.Cut(words[0], ":")
	if p.Arch == "" {
		p.Arch = "amd64"
	}
	p.Version = words[1]
	p.Source, p.SourceVersion = p.Name, p.Version
	for _, w := range words[2:] {
		if w == "hold" {
			p.Hold = true
			continue
		}
		p.MultiArch = w
	}
	for f := range strings.SplitSeq(fields, ";") {
		key, value, ok := strings.Cut(strings.TrimSpace(f), ": ")
		switch {
		case !ok:
		case key == "needs":
			for c := range strings.SplitSeq(value, ",") {
				p.Requires = append(p.Requires, relationList(strings.ReplaceAll(c, "|", ",")))
			}
		case key == "conflicts":
			p.Conflicts = relationList(value)
		case key == "provides":
			p.Provides = relationList(value)
		default:
			panic(line)
		}
	}
	return p
}

func parseCandidate(line string, dates map[pkgrepo.Artifact]time.Time) pkgrepo.Candidate {
	word, rest, _ := strings.Cut(line, " ")
	c := pkgrepo.Candidate{Origin: stable, Priority: 500, Phase: 100}
	switch word {
	case "stable":
	case "security":
		c.Origin = security
	case "backports":
		c.Origin, c.Priority = backports, 100
	case "testing":
		c.Origin = testingSuite
	case "experimental":
		c.Origin, c.Priority = testingSuite, 1
	case "third-party":
		c.Origin = thirdParty
	default:
		c.Origin = thirdParty
		if _, err := fmt.Sscanf(word, "pin=%d", &c.Priority); err != nil {
			panic(line)
		}
	}
	var age string
	for {
		word, after, _ := strings.Cut(rest, " ")
		if strings.HasPrefix(word, "phase=") {
			fmt.Sscanf(word, "phase=%d", &c.Phase)
		} else if a, ok := strings.CutPrefix(word, "age="); ok {
			age = a
		} else {
			break
		}
		rest = after
	}
	c.Package = parsePackage(rest)
	c.Artifact.URL = c.Origin.URI + "/" + c.Name + "_" + c.Version + "_" + c.Arch
	if age != "" {
		d, err := time.ParseDuration(age)
		if err != nil {
			panic(err)
		}
		dates[c.Artifact] = now.Add(-d)
	}
	return c
}

// world makes an input of installed packages and candidates.
func world(installed, candidates []string) Input {
	in := Input{
		Scheme: version.Deb, Arch: "amd64", Candidates: make(map[ecosystem.Key][]pkgrepo.Candidate),
		Dates: make(map[pkgrepo.Artifact]time.Time), Rules: Rules{Now: now},
	}
	for _, line := range installed {
		in.Installed = append(in.Installed, parsePackage(line))
	}
	for _, line := range candidates {
		c := parseCandidate(line, in.Dates)
		key := c.Key
		for _, p := range in.Installed { // a package may change between its architecture and all
			if p.Name == key.Name && p.Arch != key.Arch && (p.Arch == "all" || key.Arch == "all") {
				key = p.Key
			}
		}
		in.Candidates[key] = append(in.Candidates[key], c)
	}
	return in
}

// spellDecision writes a decision down, a line an entry, sorted by kind.
func spellDecision(d *Decision) []string {
	var all []string
	for _, u := range d.Updates {
		s := fmt.Sprintf("update %s %s -> %s (%s)", u.From.Key, u.From.Version, u.To.Version, u.Level)
		s = strings.ReplaceAll(s, ":amd64", "")
		if u.NumberLevel != u.Level {
			s += " by number " + u.NumberLevel.String()
		}
		if u.Security {
			s += " security"
		}
		if u.Beyond != nil {
			s += fmt.Sprintf(", not %s: %s", u.Beyond.Candidate.Version, u.Beyond.Reason)
		}
		all = append(all, s)
	}
	for _, h := range d.Held {
		all = append(all, strings.ReplaceAll(
			fmt.Sprintf("held %s %s -> %s, %s: %s", h.Package.Key, h.Package.Version, h.Candidate.Version, h.Reason, h.Detail), ":amd64", ""))
	}
	for _, u := range d.Unmanaged {
		all = append(all, strings.ReplaceAll(fmt.Sprintf("unmanaged %s %s: %s", u.Package.Key, u.Package.Version, u.Why), ":amd64", ""))
	}
	return all
}

func decide(t testing.TB, in Input) []string {
	t.Helper()
	d, err := Decide(in)
	if err != nil {
		t.Fatal(err)
	}
	return spellDecision(d)
}

func expect(t *testing.T, in Input, want ...string) {
	t.Helper()
	if got := decide(t, in); !slices.Equal(got, want) {
		t.Errorf("got:\n  %s\nwant:\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}
