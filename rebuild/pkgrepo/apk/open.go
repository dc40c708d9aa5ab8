package apk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem/apk"
	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
)

// Options say which repositories to open and what to look for. Client, Root, Sources, Arch and Now are required.
type Options struct {
	// Client fetches; its cache is used.
	Client *pkgrepo.Client
	// Root is the image's tree: its keys, its world and os-release are read.
	Root fs.FS
	// Sources are the repositories, from the function Sources.
	Sources []Source
	// Arch is apk's name of the image's architecture: "x86_64", "aarch64".
	Arch string
	// Names are the packages that are of interest, the installed ones.
	Names []string
	// Keyring, where not nil, takes the place of the image's keys.
	Keyring *Keyring
	// Now is the clock, for the release's end of life.
	Now func() time.Time
	// Logger may be nil.
	Logger *slog.Logger
}

// parallel bounds the indexes under way.
const parallel = 8

type opener struct {
	Options
	distro Distro
	keys   *Keyring
	world  world
	wanted map[string]bool
}

// Open fetches and verifies the sources' indexes and reads what they offer of the named packages. Nothing that is not
// covered by a good signature gets into the Archive.
//
// Errors: a signature that does not check out, or an index that is not signed, is a pkgrepo.ErrVerification (*NoKeyError
// where there is no key to check with); a server that does not answer or has no index for the architecture, a
// pkgrepo.ErrUnreachable; configuration that cannot be followed, a *ConfigError.
func Open(ctx context.Context, opts Options) (*Archive, error) {
	if opts.Client == nil || opts.Root == nil || opts.Now == nil || opts.Arch == "" {
		return nil, errors.New("apk.Open: Client, Root, Arch and Now are required")
	}
	o := &opener{Options: opts, keys: opts.Keyring, wanted: make(map[string]bool, len(opts.Names))}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	for _, n := range opts.Names {
		o.wanted[n] = true
	}
	var err error
	if o.distro, err = ReadDistro(opts.Root); err != nil {
		return nil, err
	}
	if o.world, err = readWorld(opts.Root); err != nil {
		return nil, err
	}
	if o.keys == nil {
		if o.keys, err = imageKeyring(opts.Root, opts.Arch); err != nil {
			return nil, &pkgrepo.Error{Kind: pkgrepo.ErrVerification, URL: keysDir, Err: err}
		}
	}
	groups := make([][]index, len(opts.Sources))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for i, s := range opts.Sources {
		g.Go(func() (err error) {
			groups[i], err = o.source(gctx, s)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return o.archive(groups), nil
}

// source opens what a source has.
func (o *opener) source(ctx context.Context, s Source) ([]index, error) {
	groups := s.locations(o.distro)
	for _, group := range groups {
		var found []index
		for _, l := range group {
			x, err := o.index(ctx, s, l)
			if errors.Is(err, pkgrepo.ErrNotFound) {
				continue
			}
			if err != nil {
				return nil, err
			}
			found = append(found, *x)
		}
		if len(found) > 0 {
			return found, nil
		}
	}
	err := fmt.Errorf("it has no %s", groups[0][0].index(o.Arch))
	if day, known := EndOfLife(o.distro); known && !o.Now().Before(day) {
		err = fmt.Errorf("%w: %s reached its end of life on %s", err, o.distro, day.Format(time.DateOnly))
	}
	return nil, &pkgrepo.Error{Kind: pkgrepo.ErrUnreachable, URL: s.URI, Err: err}
}

// index opens one index.
func (o *opener) index(ctx context.Context, s Source, l location) (*index, error) {
	address := l.index(o.Arch)
	r, err := o.Client.Latest(ctx, address, maxIndex)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		return nil, fmt.Errorf("reading %s: %w", address, err)
	}
	verified, err := verify(address, data, o.keys)
	if err != nil {
		return nil, err
	}
	x := &index{tag: s.Tag, origin: &pkgrepo.Origin{
		URI: l.base, Component: l.component(), Digest: verified.digest, Signer: verified.signer,
	}}
	description, date, err := verified.read(func(st *apk.Stanza) error {
		if !o.wanted[st.Get('P')] {
			return nil
		}
		offer, err := readOffer(st, l, o.Arch)
		if err != nil {
			o.Logger.WarnContext(ctx, "unusable package in index", "index", address, "error", err)
			return nil
		}
		offer.candidate.Origin = x.origin
		x.packages = append(x.packages, offer)
		return nil
	})
	if err != nil {
		return nil, &pkgrepo.Error{Kind: pkgrepo.ErrVerification, URL: address, Err: err}
	}
	x.describe(o.distro, description, date)
	return x, nil
}

func (x *index) describe(d Distro, description string, date time.Time) {
	x.origin.Label, x.origin.Date = description, date
	if d.stable(description) {
		x.origin.Name, x.origin.Suite, x.origin.Version, x.origin.Frozen = "Alpine Linux", d.Branch(), d.VersionID, true
	}
}
