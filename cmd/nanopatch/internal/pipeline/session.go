package pipeline

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/nanopatch/nanopatch/cmd/nanopatch/internal/cache"
	"github.com/nanopatch/nanopatch/cmd/nanopatch/internal/keychain"
	"github.com/nanopatch/nanopatch/cmd/nanopatch/internal/term"
	"github.com/nanopatch/nanopatch/rebuild"
	"github.com/nanopatch/nanopatch/rebuild/image"
	"github.com/nanopatch/nanopatch/rebuild/layer"
	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
	"github.com/nanopatch/nanopatch/sbom/generate"
)

// Config is what all stages share. Every field but CacheSize, Registries, RepositoryAuth and Logger must be set.
type Config struct {
	CacheDir string
	// CacheSize is what the cache may hold when a run is over, in bytes; 0 is no limit.
	CacheSize int64
	// Registries are the settings for registries. Keychain, UserAgent and Logger are filled in; CACert is for package
	// repositories, too.
	Registries image.Options
	// RepositoryAuth is a file of logins for package repositories (pkgrepo.ParseLogins).
	RepositoryAuth string
	Version        string
	// BuilderID names who runs the rebuild in its provenance, a URI; empty is nanopatch itself.
	BuilderID string
	// Offline forbids the network: what is not in a layout or the cache is not there.
	Offline  bool
	Now      func() time.Time
	Progress term.Progress
	Logger   *slog.Logger
}

// Session is one run of the program.
type Session struct {
	cfg       Config
	cache     *cache.Run
	images    *image.Client
	packages  *pkgrepo.Client
	layers    *layer.Store
	documents *generate.Generator

	mu      sync.Mutex
	seconds map[string]float64
}

// keepID names what the index of a layer keeps; it changes when that does, so that old indexes are not used. The number
// is for rebuild.Keep.
func keepID() string { return "3-" + generate.WantsID() }

// Open sets up a run. Nothing is asked of the network yet.
func Open(cfg Config) (*Session, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Session{cfg: cfg, seconds: make(map[string]float64)}
	var err error
	if s.cache, err = cache.Enter(cfg.CacheDir, cfg.Now); err != nil {
		return nil, err
	}
	if err := s.open(); err != nil {
		return nil, errors.Join(err, s.cache.Close())
	}
	return s, nil
}

// open sets up what a run is made with.
func (s *Session) open() error {
	cfg := s.cfg
	agent := "nanopatch/" + cfg.Version
	options := cfg.Registries
	options.UserAgent, options.Logger = agent, cfg.Logger
	options.Keychain = keychain.New(keychain.Options{Logger: cfg.Logger})
	if cfg.Offline {
		options.Transport, options.CACert = nowhere{}, ""
	}
	var err error
	if s.images, err = image.New(options); err != nil {
		return err
	}
	tlsConfig, err := image.Authorities(cfg.Registries.CACert)
	if err != nil {
		return err
	}
	var logins pkgrepo.Logins
	if cfg.RepositoryAuth != "" {
		if logins, err = pkgrepo.LoadLogins(cfg.RepositoryAuth); err != nil {
			return fmt.Errorf("%w: %w", rebuild.ErrOptions, err)
		}
	}
	var network http.RoundTripper = pkgrepo.NewTransport(tlsConfig)
	if cfg.Offline {
		network = nowhere{}
	}
	s.packages, err = pkgrepo.New(pkgrepo.Options{
		Dir: filepath.Join(cfg.CacheDir, packagesDir), Used: s.cache.Used, Now: cfg.Now, Transport: network,
		UserAgent: agent, Logger: cfg.Logger, Logins: logins,
	})
	if err != nil {
		return err
	}
	s.layers, err = layer.OpenStore(filepath.Join(cfg.CacheDir, layersDir), layer.StoreOptions{
		Keep: wants, KeepID: keepID(), KeepBlobs: true, Used: s.cache.Used, Logger: cfg.Logger,
	})
	if err != nil {
		return err
	}
	documents := filepath.Join(cfg.CacheDir, sbomsDir)
	if err := errors.Join(os.MkdirAll(documents, 0o700), layer.CheckPrivate(documents)); err != nil {
		return errors.Join(fmt.Errorf("opening the cache of SBOMs: %w", err), s.layers.Close())
	}
	s.documents = generate.New(generate.Options{ToolVersion: cfg.Version, CacheDir: documents, Used: s.cache.Used, Logger: cfg.Logger})
	return nil
}

// Close removes the run's temporary files, and what the cache holds above its limit.
func (s *Session) Close() error {
	err := errors.Join(s.layers.Close(), s.images.Close(), s.cache.Close())
	if s.cfg.CacheSize <= 0 {
		return err
	}
	report, cleaning := CleanCache(s.cfg.CacheDir, s.cfg.CacheSize)
	if cleaning == nil && report.Removed.Files > 0 {
		s.cfg.Logger.Debug("cleaned the cache", "removed", report.Removed.Files, "bytes", report.Removed.Bytes)
	}
	return errors.Join(err, cleaning)
}

// wants tells which files' content the index of a layer keeps: the package database's, and what the SBOM's catalogers
// may read.
func wants(e *layer.Entry, head []byte) bool {
	return rebuild.Keep(e, head) || generate.Wants(e.Path, e.Mode, e.Size, head)
}

// stage begins a stage; the function returned ends it. A stage that runs for several images adds up.
func (s *Session) stage(name string) func(detail string) {
	done := s.cfg.Progress.Stage(name)
	start := s.cfg.Now()
	return func(detail string) {
		took := s.cfg.Now().Sub(start).Seconds()
		s.mu.Lock()
		s.seconds[name] += took
		s.mu.Unlock()
		done(detail)
	}
}

// ErrNotVerified says that what was written, or what was asked to be verified, does not hold.
var ErrNotVerified = errors.New("verification failed")
