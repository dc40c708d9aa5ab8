package rebuild

import (
	"cmp"
	"context"
	"io/fs"
	"slices"
	"time"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
	"github.com/nanopatch/nanopatch/rebuild/pkgrepo/apt"
	"github.com/nanopatch/nanopatch/rebuild/plan"
	"github.com/nanopatch/nanopatch/rebuild/rootfs"
)

// aptRepositories serves dpkg's packages from apt repositories.
type aptRepositories struct{ archive *apt.Archive }

func distroAPT(v fs.FS, now time.Time) (plan.Distro, *plan.Date, error) {
	found, err := apt.ReadDistro(v)
	if err != nil {
		return plan.Distro{}, nil, err
	}
	distro := plan.Distro{ID: found.ID, VersionID: found.VersionID, Codename: found.Codename}
	if day, known := apt.EndOfLife(found); known && !day.IsZero() && !now.Before(day) {
		return distro, &plan.Date{Time: day}, nil
	}
	return distro, nil, nil
}

func openAPT(ctx context.Context, v *rootfs.View, db ecosystem.Database, opts *Options) (repositories, error) {
	architectures := installedArchitectures(db)
	configured, err := apt.Sources(v, architectures[0], opts.Repositories...)
	if err != nil {
		return nil, opts.blame(err, opts.Repositories)
	}
	opts.warn(ctx, configured.Notes)
	var keyring *apt.Keyring
	if len(opts.Keyrings) > 0 {
		if keyring, err = apt.LoadKeyring(opts.Keyrings...); err != nil {
			return nil, opts.blame(err, opts.Keyrings)
		}
	}
	var names []string
	for _, p := range db.Packages() {
		names = append(names, p.Name)
	}
	archive, err := apt.Open(ctx, apt.Options{
		Client: opts.Client, Root: v, Sources: configured.Sources, Architectures: architectures, Names: names,
		Keyring: keyring, Now: opts.Now, Logger: opts.Logger,
	})
	if err != nil {
		return nil, err
	}
	opts.warn(ctx, archive.Notes())
	return &aptRepositories{archive: archive}, nil
}

// installedArchitectures lists the architectures of the installed packages, that of most packages first: the native one.
func installedArchitectures(db ecosystem.Database) []string {
	counts := make(map[string]int)
	for _, p := range db.Packages() {
		if p.Arch != "all" && p.Arch != "" {
			counts[p.Arch]++
		}
	}
	var all []string
	for arch := range counts {
		all = append(all, arch)
	}
	slices.SortFunc(all, func(a, b string) int { return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b)) })
	if len(all) == 0 {
		return []string{"all"}
	}
	return all
}

func (r *aptRepositories) Candidates(key ecosystem.Key) []pkgrepo.Candidate {
	return r.archive.Candidates(key.Name, key.Arch)
}

func (r *aptRepositories) Origins() []*pkgrepo.Origin { return r.archive.Origins() }

// Resolve has nothing to add: apt's indexes state the SHA-256 of every file.
func (r *aptRepositories) Resolve(_ context.Context, a pkgrepo.Artifact) (pkgrepo.Artifact, error) {
	return a, nil
}
