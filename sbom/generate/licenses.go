package generate

import (
	"context"
	"fmt"
	"sync"

	"github.com/anchore/syft/syft"
	"github.com/anchore/syft/syft/cataloging"
)

// licenseScanner recognizes license texts. Its building is the largest single part of a first document's time.
type licenseScanner struct {
	once  sync.Once
	ready chan struct{}
	// values looks up the values of a context that has the scanner in it; err is why there is none. Both stand when ready is
	// closed.
	values func(key any) any
	err    error
}

func newLicenseScanner() *licenseScanner { return &licenseScanner{ready: make(chan struct{})} }

// start begins to build the scanner, the first time it is called.
func (s *licenseScanner) start(ctx context.Context) {
	s.once.Do(func() {
		ctx = context.WithoutCancel(ctx)
		go func() {
			defer close(s.ready)
			scanner, err := syft.SetContextLicenseScanner(ctx, cataloging.DefaultLicenseConfig())
			if err != nil {
				s.err = fmt.Errorf("preparing the license scanner: %w", err)
				return
			}
			s.values = scanner.Value
		}()
	})
}

// attach returns ctx with the scanner in it, when that is built.
func (s *licenseScanner) attach(ctx context.Context) (context.Context, error) {
	s.start(ctx)
	select {
	case <-s.ready:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return overlay{Context: ctx, values: s.values}, s.err
}

// overlay is a context with more values than its own. The scanner is reachable only through the context that the
// cataloging library put it in, and each document is made under a context of its own.
type overlay struct {
	context.Context //nolint:containedctx // it is one
	values          func(key any) any
}

// Value looks in the context itself first.
func (o overlay) Value(key any) any {
	if v := o.Context.Value(key); v != nil {
		return v
	}
	return o.values(key)
}
