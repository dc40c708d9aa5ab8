package cli

import (
	"io"
	"log/slog"
	"os"

	"github.com/adrg/xdg"
	"github.com/lmittmann/tint"
	"golang.org/x/term"

	"github.com/nanopatch/nanopatch/cmd/nanopatch/internal/pipeline"
	progress "github.com/nanopatch/nanopatch/cmd/nanopatch/internal/term"
	"github.com/nanopatch/nanopatch/rebuild/image"
)

// open sets up a run as the shared flags say. closeAll ends it and must be called before anything is printed, since
// progress may be drawn until then.
func (g *globalOptions) open() (s *pipeline.Session, closeAll func() error, err error) {
	drawing, messages := g.progress()
	s, err = pipeline.Open(pipeline.Config{
		CacheDir: g.cacheDir, CacheSize: g.cacheBytes, Registries: g.registries(), RepositoryAuth: g.repoAuth,
		Version: Version, Now: g.env.Now, Offline: g.offline, BuilderID: g.builderID,
		Progress: drawing, Logger: g.logger(messages),
	})
	if err != nil {
		drawing.Close()
		return nil, nil, err
	}
	return s, func() error {
		drawing.Close()
		return s.Close()
	}, nil
}

// registries are the settings for registries, from flags and the config file.
func (g *globalOptions) registries() image.Options {
	o := image.Options{
		InsecureRegistries: g.insecure, CACert: g.caCert, CertDirs: g.certDirs, Jobs: g.jobs, Stall: g.stall,
		Hosts: make(map[string]image.HostOptions),
	}
	if len(o.CertDirs) == 0 {
		o.UsualCertDirs = image.DefaultCertDirs(xdg.Home)
	}
	for host, r := range g.config.Registries {
		chunk, _ := r.ChunkBytes() // checked when the file was read
		o.Hosts[host] = image.HostOptions{
			CACert: r.CACert, ClientCert: r.ClientCert, ClientKey: r.ClientKey, Concurrency: r.Concurrency, ChunkSize: chunk,
		}
		mirrors := image.Mirrors{Prefix: host}
		for _, m := range r.Mirrors {
			mirrors.Mirrors = append(mirrors.Mirrors, image.Mirror{Location: m.Location, Pull: image.MirrorPull(m.PullFromMirror)})
		}
		if len(mirrors.Mirrors) > 0 {
			o.Mirrors = append(o.Mirrors, mirrors)
		}
	}
	return o
}

// during runs f in a session that is closed when it returns. Temporary files that stay behind are worth a warning: what f
// did is done.
func (g *globalOptions) during(f func(*pipeline.Session) error) error {
	s, closeSession, err := g.open()
	if err != nil {
		return err
	}
	err = f(s)
	if closing := closeSession(); closing != nil {
		g.logger(g.env.Stderr).Warn("removing temporary files", "error", closing)
	}
	return err
}

// logger writes messages to w: warnings, or with -v everything, or with -q errors only. As JSON it also has the stages.
func (g *globalOptions) logger(w io.Writer) *slog.Logger {
	level := slog.LevelWarn
	switch {
	case g.quiet:
		level = slog.LevelError
	case g.verbose:
		level = slog.LevelDebug
	case g.logFormat == "json":
		level = slog.LevelInfo
	}
	if g.logFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level}))
	}
	return slog.New(tint.NewTextHandler(w, &tint.Options{Level: level, NoColor: !g.colour(g.env.Stderr)}))
}

// progress chooses how stages are shown, and where messages go meanwhile: past moving bars, not through them.
func (g *globalOptions) progress() (progress.Progress, io.Writer) {
	switch {
	case g.quiet:
		return progress.Silent{}, g.env.Stderr
	case g.logFormat == "json":
		return progress.NewLogged(g.logger(g.env.Stderr), g.env.Now), g.env.Stderr
	case isTerminal(g.env.Stderr) && g.logFormat == "auto" && !g.verbose:
		bars := progress.NewBars(g.env.Stderr, g.env.Now)
		return bars, bars
	}
	return progress.NewLines(g.env.Stderr, g.env.Now), g.env.Stderr
}

// colour tells whether a stream may be coloured (https://no-color.org).
func (g *globalOptions) colour(w io.Writer) bool {
	return g.env.Getenv("NO_COLOR") == "" && isTerminal(w)
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
