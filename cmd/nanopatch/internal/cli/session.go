package cli

import (
	"io"
	"log/slog"
	"os"

	"github.com/lmittmann/tint"
	"golang.org/x/term"

	"github.com/nanopatch/nanopatch/cmd/nanopatch/internal/pipeline"
	progress "github.com/nanopatch/nanopatch/cmd/nanopatch/internal/term"
)

// open sets up a run as the shared flags say. close ends it and must be called.
func (g *globalOptions) open() (s *pipeline.Session, closeAll func() error, err error) {
	log := g.logger()
	drawing := g.progress(log)
	s, err = pipeline.Open(pipeline.Config{
		CacheDir: g.cacheDir, InsecureRegistries: g.insecure, CACert: g.caCert, Version: Version, Now: g.env.Now,
		Progress: drawing, Logger: log,
	})
	if err != nil {
		return nil, nil, err
	}
	return s, func() error {
		drawing.Close()
		return s.Close()
	}, nil
}

// logger writes messages to standard error: warnings, or with -v everything.
func (g *globalOptions) logger() *slog.Logger {
	level := slog.LevelWarn
	switch {
	case g.verbose:
		level = slog.LevelDebug
	case g.quiet:
		level = slog.LevelError
	}
	if g.logFormat == "json" {
		return slog.New(slog.NewJSONHandler(g.env.Stderr, &slog.HandlerOptions{Level: min(level, slog.LevelInfo)}))
	}
	return slog.New(tint.NewTextHandler(g.env.Stderr, &tint.Options{Level: level, NoColor: !g.colour(g.env.Stderr)}))
}

func (g *globalOptions) progress(log *slog.Logger) progress.Progress {
	switch {
	case g.quiet:
		return progress.Silent{}
	case g.logFormat == "json":
		return progress.NewLogged(log, g.env.Now)
	case isTerminal(g.env.Stderr) && g.logFormat == "auto" && !g.verbose:
		return progress.NewBars(g.env.Stderr, g.env.Now)
	}
	return progress.NewLines(g.env.Stderr, g.env.Now)
}

// colour tells whether a stream may be coloured (https://no-color.org).
func (g *globalOptions) colour(w io.Writer) bool {
	return g.env.Getenv("NO_COLOR") == "" && isTerminal(w)
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
