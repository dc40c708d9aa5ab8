package term

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// Bars draws a spinner for each stage on a terminal, and leaves its line behind when it is done. Messages written to it
// appear above the spinners.
type Bars struct {
	drawing *mpb.Progress
	w       io.Writer
	now     func() time.Time

	mu     sync.Mutex
	open   map[*mpb.Bar]bool
	closed bool
}

// NewBars draws on w, which is a terminal.
func NewBars(w io.Writer, now func() time.Time) *Bars {
	drawing := mpb.New(mpb.WithOutput(w), mpb.WithWidth(20), mpb.WithAutoRefresh())
	return &Bars{drawing: drawing, w: w, now: now, open: make(map[*mpb.Bar]bool)}
}

// Stage implements Progress.
func (b *Bars) Stage(name string) func(string) {
	start := b.now()
	var mu sync.Mutex
	var said string
	bar := b.drawing.New(1, mpb.SpinnerStyle(),
		mpb.PrependDecorators(decor.Name(fmt.Sprintf("%-9s ", name))),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string {
			mu.Lock()
			defer mu.Unlock()
			return said
		})),
		mpb.BarFillerClearOnComplete(), mpb.BarFillerClearOnAbort(),
	)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open[bar] = true
	return func(detail string) {
		mu.Lock()
		said = fmt.Sprintf("%6.2fs  %s", b.now().Sub(start).Seconds(), Line(detail))
		mu.Unlock()
		b.mu.Lock()
		delete(b.open, bar)
		b.mu.Unlock()
		bar.Increment()
	}
}

// Write shows a message, whole lines, above the spinners; once they are closed it goes straight to the terminal.
func (b *Bars) Write(message []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return b.w.Write(message)
	}
	return b.drawing.Write(message)
}

// Close implements Progress. It returns when the last line is drawn; a stage that never ended keeps its name there.
func (b *Bars) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	b.closed = true
	for bar := range b.open {
		bar.Abort(false)
	}
	b.drawing.Wait()
}
