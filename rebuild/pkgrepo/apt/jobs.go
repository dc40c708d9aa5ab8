package apt

import (
	"context"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
)

// indexJob is one index to read.
type indexJob struct {
	suite  *suite
	origin *pkgrepo.Origin
	arch   string
	offers []offer
}

// jobs lists the indexes of a suite that the image's architectures call for, and says what is missing.
func (o *opener) jobs(s *suite) (jobs []indexJob, notes []string) {
	notes = s.notes
	if s.source.Flat() {
		offers := s.release.offers("Packages")
		if len(offers) == 0 {
			return nil, append(notes, s.base+": the Release file declares no Packages index")
		}
		return []indexJob{{s, o.origin(s, ""), o.Architectures[0], offers}}, notes
	}
	for _, component := range s.source.Components {
		origin := o.origin(s, component)
		found := false
		for _, arch := range o.architectures(s) {
			offers := s.release.offers(component + "/binary-" + arch + "/Packages")
			if len(offers) == 0 {
				continue
			}
			found = true
			jobs = append(jobs, indexJob{s, origin, arch, offers})
		}
		if !found {
			notes = append(notes, fmt.Sprintf("%s: no component %q for %s", s.base, component, o.Architectures[0]))
		}
	}
	return jobs, notes
}

// architectures lists those whose indexes are to be read: apt's rules for "all" are that a repository must
// say it has that architecture, and must not say that its other indexes hold those packages already.
func (o *opener) architectures(s *suite) []string {
	var out []string
	for _, a := range o.Architectures {
		if (len(s.source.Architectures) == 0 || slices.Contains(s.source.Architectures, a)) && s.release.supports(a) {
			out = append(out, a)
		}
	}
	if s.release.supports("all") && !s.release.noAll && !slices.Contains(out, "all") {
		out = append(out, "all")
	}
	return out
}

func (o *opener) origin(s *suite, component string) *pkgrepo.Origin {
	r := s.release
	until := r.validUntil
	if s.source.IgnoreValidUntil {
		until = time.Time{}
	}
	return &pkgrepo.Origin{
		URI:        s.source.URI,
		Label:      r.label,
		Name:       r.origin,
		Suite:      r.suite,
		Codename:   r.codename,
		Version:    r.version,
		Component:  component,
		Date:       r.date,
		ValidUntil: until,
		Digest:     r.digest,
		Signer:     r.signer,
		Security:   r.security(),
		Frozen:     r.frozen(o.distro),
	}
}

// indexes reads all indexes, in order.
func (o *opener) indexes(ctx context.Context, jobs []indexJob) ([]index, error) {
	out := make([]index, len(jobs))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for i, j := range jobs {
		g.Go(func() error {
			x, err := o.index(ctx, j)
			out[i] = x
			return err
		})
	}
	return out, g.Wait()
}

// index reads the wanted packages of one index.
func (o *opener) index(ctx context.Context, j indexJob) (index, error) {
	x := index{pocket: pocket{j.origin, j.suite.release, j.arch}}
	if j.offers[0].size == 0 {
		return x, nil
	}
	table, err := o.table(ctx, j.suite, j.offers)
	if err != nil {
		return x, err
	}
	defer table.Close()
	err = scanTable(table, o.wanted, func(r record) {
		c, err := r.candidate(j.suite.source.URI)
		if err != nil {
			o.Logger.Warn("unusable package in index", "index", j.suite.base+j.offers[0].path, "package", r[fieldPackage], "error", err)
			return
		}
		c.Origin = j.origin
		x.candidates = append(x.candidates, c)
	})
	if err != nil {
		return x, fmt.Errorf("reading the index %s: %w", j.suite.base+j.offers[0].path, err)
	}
	return x, nil
}
