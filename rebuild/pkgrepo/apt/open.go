package apt

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
)

// Options say which repositories to open and what to look for. Client, Root, Sources, Architectures and Now
// are required.
type Options struct {
	// Client fetches; its cache is used.
	Client *pkgrepo.Client
	// Root is the image's tree: its keyrings, preferences and os-release are read.
	Root fs.FS
	// Sources are the repositories, from the function Sources.
	Sources []Source
	// Architectures are dpkg's names of those the image has packages of, its own one first. "all" goes
	// without saying.
	Architectures []string
	// Names are the packages that are of interest, the installed ones; all others are skipped while
	// reading.
	Names []string
	// Keyring, where not nil, takes the place of the keyrings of the image and of those that Signed-By
	// names. Fingerprints in a Signed-By keep their meaning.
	Keyring *Keyring
	// Now is the clock, for the validity of Release files, signatures and keys.
	Now func() time.Time
	// Logger may be nil.
	Logger *slog.Logger
}

// parallel bounds the suites and indexes under way, and with them the decoders' windows in memory; how many
// requests a host gets at a time is the Client's matter.
const parallel = 4

type opener struct {
	Options
	keys   *keyrings
	distro Distro
	wanted map[string]struct{}
}

// Open fetches and verifies the sources' Release files and indexes and reads what they offer of the named
// packages. Nothing that is not covered by a good signature gets into the Archive.
//
// Errors: a signature, date, digest or suite that does not check out, or a repository that is not signed,
// is a pkgrepo.ErrVerification (*NoKeyringError where there is no key to check with); a server that
// does not answer or has no such suite, a pkgrepo.ErrUnreachable (*ArchivedError where the release's end of
// life explains it); configuration that cannot be followed, a *ConfigError.
func Open(ctx context.Context, opts Options) (*Archive, error) {
	if opts.Client == nil || opts.Root == nil || opts.Now == nil || len(opts.Architectures) == 0 {
		return nil, errors.New("apt.Open: Client, Root, Now and Architectures are required")
	}
	o := &opener{Options: opts}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.wanted = make(map[string]struct{}, len(opts.Names))
	for _, n := range opts.Names {
		o.wanted[n] = struct{}{}
	}
	var err error
	if o.distro, err = ReadDistro(opts.Root); err != nil {
		return nil, err
	}
	o.keys = &keyrings{root: opts.Root, given: opts.Keyring, distro: o.distro}
	prefs, err := readPreferences(opts.Root)
	if err != nil {
		return nil, err
	}
	suites, err := o.suites(ctx)
	if err != nil {
		return nil, err
	}
	var notes []string
	var jobs []indexJob
	for _, s := range suites {
		js, ns := o.jobs(s)
		jobs, notes = append(jobs, js...), append(notes, ns...)
	}
	indexes, err := o.indexes(ctx, jobs)
	if err != nil {
		return nil, err
	}
	a := newArchive(opts.Architectures[0], prefs, indexes)
	a.notes = distinct(notes)
	a.end, _ = EndOfLife(o.distro)
	return a, nil
}

// distinct drops what was said before.
func distinct(notes []string) []string {
	var out []string
	for _, n := range notes {
		out = appendNew(out, n)
	}
	return out
}

// suite is a source whose Release file has been verified.
type suite struct {
	source  Source
	base    string
	release *releaseFile
	notes   []string
}

// suites opens the Release files of all sources, in their order.
func (o *opener) suites(ctx context.Context) ([]*suite, error) {
	opened := make([][]*suite, len(o.Sources))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for i, s := range o.Sources {
		g.Go(func() (err error) {
			if s.Suite == "" {
				opened[i], err = o.base(ctx, s)
				return err
			}
			one, err := o.suite(ctx, s)
			opened[i] = []*suite{one}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return slices.Concat(opened...), nil
}

// base opens what a bare base has; see Sources.
func (o *opener) base(ctx context.Context, s Source) ([]*suite, error) {
	names := o.distro.suites()
	found := make([]*suite, len(names))
	g, gctx := errgroup.WithContext(ctx)
	for i, name := range names {
		g.Go(func() error {
			one := s
			one.Suite, one.Components = name, o.distro.components()
			opened, err := o.suite(gctx, one)
			if errors.As(err, new(*noReleaseError)) {
				return nil
			}
			if err == nil {
				opened.limitComponents()
				found[i] = opened
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	if found = slices.DeleteFunc(found, func(x *suite) bool { return x == nil }); len(found) > 0 {
		return found, nil
	}
	s.Suite = "./"
	flat, err := o.suite(ctx, s)
	if errors.As(err, new(*noReleaseError)) {
		return nil, &pkgrepo.Error{Kind: pkgrepo.ErrUnreachable, URL: s.URI, Err: fmt.Errorf(
			"no repository is there: tried the suites %s below dists/, then a flat repository", strings.Join(names, ", "))}
	}
	return []*suite{flat}, err
}

// limitComponents keeps the default components that the suite offers, or takes all it offers.
func (s *suite) limitComponents() {
	offered := s.release.components
	both := slices.DeleteFunc(slices.Clone(s.source.Components), func(c string) bool { return !slices.Contains(offered, c) })
	switch {
	case len(both) > 0:
		s.source.Components = both
	case len(offered) > 0:
		s.source.Components = offered
	}
}

// noReleaseError says that a suite has no Release file at all.
type noReleaseError struct{ url string }

func (e *noReleaseError) Error() string {
	return fmt.Sprintf("%s has neither InRelease nor Release: is the suite right, and is the release still there?", e.url)
}

func (e *noReleaseError) Unwrap() error { return pkgrepo.ErrUnreachable }

// suite fetches and verifies one Release file: InRelease, or Release with Release.gpg where that is missing.
func (o *opener) suite(ctx context.Context, s Source) (*suite, error) {
	keys, err := o.keys.of(s)
	if err != nil {
		return nil, err
	}
	out := &suite{source: s, base: s.base()}
	url := out.base + "InRelease"
	data, err := o.latest(ctx, url)
	var text []byte
	var signature io.Reader
	switch {
	case err == nil:
		if text, signature, err = splitInline(data); err != nil {
			return nil, unverified(url, err)
		}
	case errors.Is(err, pkgrepo.ErrNotFound):
		url = out.base + "Release"
		if data, signature, err = o.detached(ctx, out.base); err != nil {
			return nil, o.whyNone(s, err)
		}
		text = data
	default:
		return nil, err
	}
	if len(keys.rings) == 0 {
		signers, err := signers(signature)
		if err != nil {
			return nil, unverified(url, err)
		}
		return nil, &NoKeyringError{Source: s, Files: keys.looked, Signers: signers}
	}
	signer, err := keys.verify(text, signature, o.Now())
	if err != nil {
		return nil, unverified(url, err)
	}
	if keys.note != "" {
		out.notes = append(out.notes, keys.note)
	}
	if err := out.accept(text, o.Now()); err != nil {
		return nil, unverified(url, err)
	}
	out.release.digest, out.release.signer = sha256.Sum256(data), signer
	o.Logger.Debug("repository verified", "url", url, "signer", signer, "date", out.release.date)
	return out, nil
}

// accept parses the signed text and checks what it says of itself.
func (s *suite) accept(text []byte, now time.Time) error {
	r, err := parseRelease(text)
	if err != nil {
		return err
	}
	if err := r.checkDates(s.source, now); err != nil {
		return err
	}
	if problem, fatal := r.checkSuite(s.source); fatal {
		return errors.New(problem)
	} else if problem != "" {
		s.notes = append(s.notes, s.base+": "+problem)
	}
	s.release = r
	return nil
}

func unverified(url string, err error) error {
	return &pkgrepo.Error{Kind: pkgrepo.ErrVerification, URL: url, Err: err}
}

func (o *opener) latest(ctx context.Context, url string) ([]byte, error) {
	f, err := o.Client.Latest(ctx, url, maxRelease)
	if err != nil {
		return nil, err
	}
	return readAll(f)
}

// detached fetches Release and Release.gpg.
func (o *opener) detached(ctx context.Context, base string) (data []byte, signature io.Reader, err error) {
	data, err = o.latest(ctx, base+"Release")
	if errors.Is(err, pkgrepo.ErrNotFound) {
		return nil, nil, &noReleaseError{base}
	}
	if err != nil {
		return nil, nil, err
	}
	sig, err := o.latest(ctx, base+"Release.gpg")
	if errors.Is(err, pkgrepo.ErrNotFound) {
		return nil, nil, unverified(base+"Release", errors.New("it is not signed: neither InRelease nor Release.gpg is there"))
	}
	if err != nil {
		return nil, nil, err
	}
	if signature, err = detachedSignature(sig); err != nil {
		return nil, nil, unverified(base+"Release.gpg", err)
	}
	return data, signature, nil
}

// whyNone explains a missing Release file by the end of the release's life where that is past.
func (o *opener) whyNone(s Source, err error) error {
	var none *noReleaseError
	end, known := EndOfLife(o.distro)
	if !errors.As(err, &none) || !known || o.Now().Before(end) || s.From == overrideFlag {
		return err
	}
	return &ArchivedError{Distro: o.distro, EndOfLife: end, URL: none.url}
}
