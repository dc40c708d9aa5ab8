package term

import (
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"
)

// Progress is told what a long job is doing. Implementations are safe for concurrent use.
type Progress interface {
	// Stage begins a stage: "plan", "rewrite", "push". The function returned ends it; detail says in a few words
	// what came of it, and may be empty.
	Stage(name string) (done func(detail string))
	// Close ends the drawing. Nothing is reported afterwards.
	Close()
}

// Silent reports nothing.
type Silent struct{}

// Stage implements Progress.
func (Silent) Stage(string) func(string) { return func(string) {} }

// Close implements Progress.
func (Silent) Close() {}

// Lines reports each stage as one line when it is done.
type Lines struct {
	w   io.Writer
	now func() time.Time
	mu  sync.Mutex
}

// NewLines writes lines to w; now measures how long stages take.
func NewLines(w io.Writer, now func() time.Time) *Lines { return &Lines{w: w, now: now} }

// Stage implements Progress.
func (l *Lines) Stage(name string) func(string) {
	start := l.now()
	return func(detail string) {
		l.mu.Lock()
		defer l.mu.Unlock()
		_, _ = fmt.Fprintf(l.w, "%-9s %6.2fs  %s\n", name, l.now().Sub(start).Seconds(), Line(detail))
	}
}

// Close implements Progress.
func (l *Lines) Close() {}

// Logged reports stages as log records, for machines.
type Logged struct {
	log *slog.Logger
	now func() time.Time
}

// NewLogged reports to a logger; now measures how long stages take.
func NewLogged(log *slog.Logger, now func() time.Time) *Logged { return &Logged{log: log, now: now} }

// Stage implements Progress.
func (l *Logged) Stage(name string) func(string) {
	start := l.now()
	return func(detail string) {
		l.log.Info("stage", "name", name, "seconds", l.now().Sub(start).Seconds(), "detail", detail)
	}
}

// Close implements Progress.
func (l *Logged) Close() {}
