package layer

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Rewrite streams an uncompressed archive from src to dst and applies edits on the way, in the order and with
// the result that x.Apply(edits) describes. x is the index of src. What is not edited is copied byte for
// byte, the bytes behind the end of the archive included. Memory does not grow with the archive.
func Rewrite(ctx context.Context, x *Index, src io.Reader, dst io.Writer, edits Edits) error {
	sc, err := x.plan(edits)
	if err != nil {
		return err
	}
	return sc.run(ctx, src, dst)
}

// rewriter is one run of a script.
type rewriter struct {
	f   *framer
	dst io.Writer
	buf []byte
}

func (sc *script) run(ctx context.Context, src io.Reader, dst io.Writer) error {
	layer, limit := sc.x.DiffID, int64(Limits{}.withDefaults().Header)
	for i := range sc.x.Entries {
		limit = max(limit, sc.x.Entries[i].head)
	}
	w := &rewriter{f: newFramer(src, layer, int(limit)), dst: dst, buf: make([]byte, 128<<10)}
	ops, slot := sc.ops, 0
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		fr, err := w.f.next()
		if ended(err) {
			break
		}
		if err != nil {
			return err
		}
		if fr.global() {
			if err := w.frame(ctx, fr.raw); err != nil {
				return err
			}
			continue
		}
		if slot == len(sc.x.Entries) || !fr.matches(&sc.x.Entries[slot]) {
			return mismatch(layer)
		}
		for ; len(ops) > 0 && ops[0].slot == slot; ops = ops[1:] {
			if err := w.op(ctx, &ops[0], fr); err != nil {
				return err
			}
		}
		slot++
	}
	if slot != len(sc.x.Entries) {
		return mismatch(layer)
	}
	for i := range ops { // an archive without entries has no slots
		if err := w.op(ctx, &ops[i], nil); err != nil {
			return err
		}
	}
	if _, err := dst.Write(w.f.raw); err != nil {
		return err
	}
	_, err := io.CopyBuffer(onlyWriter{dst}, until(ctx, w.f.src), w.buf)
	return err
}

func mismatch(layer v1.Hash) error { return fmt.Errorf("rewriting layer %s: %w", layer, errMismatch) }

// errMismatch says that an archive is not the one that was indexed.
var errMismatch = errors.New("the archive is not the one that the index describes")

// matches tells whether the frame is the one from which an entry was read.
func (f *frame) matches(e *Entry) bool {
	p, err := cleanPath(f.hdr.Name, math.MaxInt)
	return err == nil && p == e.Path && f.offset == e.offset && int64(len(f.raw)) == e.head && f.body == e.body
}

// onlyWriter hides ReadFrom, so that a copy uses its own buffer.
type onlyWriter struct{ io.Writer }

// op writes one entry. fr is the frame at its slot.
func (w *rewriter) op(ctx context.Context, o *op, fr *frame) error {
	raw := o.raw
	if raw == nil {
		raw = fr.raw
	}
	if o.body {
		return w.frame(ctx, raw)
	}
	if _, err := w.dst.Write(raw); err != nil {
		return err
	}
	if !o.entry.IsRegular() {
		return nil
	}
	if err := w.content(ctx, o.entry); err != nil {
		return fmt.Errorf("writing the content of %s: %w", o.entry.Path, err)
	}
	return w.padding(o.entry.Size)
}

// frame writes headers and the current frame's data.
func (w *rewriter) frame(ctx context.Context, raw []byte) error {
	if _, err := w.dst.Write(raw); err != nil {
		return err
	}
	if w.f.left > 0 {
		if _, err := io.CopyBuffer(onlyWriter{w.dst}, until(ctx, w.f), w.buf); err != nil {
			return err
		}
	}
	pad, err := w.f.padding(w.buf)
	if err != nil {
		return err
	}
	_, err = w.dst.Write(pad)
	return err
}

var zeros [blockSize]byte

func (w *rewriter) padding(size int64) error {
	_, err := w.dst.Write(zeros[:aligned(size)-size])
	return err
}

var errChanged = errors.New("the content is not what its size and SHA-256 say")

// content writes an entry's own content and holds it to its digest.
func (w *rewriter) content(ctx context.Context, e *Entry) error {
	if e.content == nil {
		return ErrNotKept
	}
	src, err := e.content.Open()
	if err != nil {
		return err
	}
	defer src.Close()
	sum := sha256.New()
	n, err := io.CopyBuffer(io.MultiWriter(w.dst, sum), until(ctx, io.LimitReader(src, e.Size)), w.buf)
	if err != nil {
		return err
	}
	if n != e.Size || [sha256.Size]byte(sum.Sum(nil)) != e.SHA256 {
		return errChanged
	}
	return nil
}
