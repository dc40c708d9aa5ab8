package rebuild

import (
	"context"
	"io/fs"
	"time"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
	"github.com/nanopatch/nanopatch/rebuild/pkgrepo/apk"
	"github.com/nanopatch/nanopatch/rebuild/plan"
	"github.com/nanopatch/nanopatch/rebuild/rootfs"
)

// apkRepositories serves apk's packages from its repositories.
type apkRepositories struct{ *apk.Archive }

func distroAPK(v fs.FS, now time.Time) (plan.Distro, *plan.Date, error) {
	found, err := apk.ReadDistro(v)
	if err != nil {
		return plan.Distro{}, nil, err
	}
	distro := plan.Distro{ID: found.ID, VersionID: found.VersionID}
	if day, known := apk.EndOfLife(found); known && !now.Before(day) {
		return distro, &plan.Date{Time: day}, nil
	}
	return distro, nil, nil
}

func openAPK(ctx context.Context, v *rootfs.View, db ecosystem.Database, opts *Options) (repositories, error) {
	configured, err := apk.Sources(v, opts.Repositories...)
	if err != nil {
		return nil, opts.blame(err, opts.Repositories)
	}
	opts.warn(ctx, configured.Notes)
	var keyring *apk.Keyring
	if len(opts.Keyrings) > 0 {
		if keyring, err = apk.LoadKeyring(opts.Keyrings...); err != nil {
			return nil, opts.blame(err, opts.Keyrings)
		}
	}
	var names, architectures []string
	for _, p := range db.Packages() {
		names, architectures = append(names, p.Name), append(architectures, p.Arch)
	}
	arch, err := apk.Arch(v, architectures)
	if err != nil {
		return nil, err
	}
	archive, err := apk.Open(ctx, apk.Options{
		Client: opts.Client, Root: v, Sources: configured.Sources, Arch: arch, Names: names,
		Keyring: keyring, Now: opts.Now, Logger: opts.Logger,
	})
	if err != nil {
		return nil, err
	}
	opts.warn(ctx, archive.Notes())
	return &apkRepositories{archive}, nil
}

func (r *apkRepositories) Candidates(key ecosystem.Key) []pkgrepo.Candidate {
	return r.Archive.Candidates(key.Name, key.Arch)
}
