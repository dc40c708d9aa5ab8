package pkgrepo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path/filepath"
)

// Derived returns a file that is computed from verified content, and computes it where the cache has none:
// a decoded, reduced copy of an index. kind names the computation and its version, key the input (its
// SHA-256). compute runs in one process at a time and must write the same bytes for the same kind and key
// whoever asks: it must read no other input than the one that has this digest, and fail where it cannot get it.
//
// What compute wrote is trusted as much as the cache directory is; the seal on it finds damage, not malice.
func (c *Client) Derived(ctx context.Context, kind string, key [sha256.Size]byte, compute func(w io.Writer) error) (*Sealed, error) {
	path := filepath.Join(c.cache.dir, derivedDir, kind, hex.EncodeToString(key[:]))
	if s, err := c.cache.openSealed(path); err == nil {
		return s, nil
	}
	unlock, err := c.cache.lock(ctx, derivedDir, key)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if s, err := c.cache.openSealed(path); err == nil {
		return s, nil
	}
	if err := c.cache.createSealed(path, compute); err != nil {
		return nil, err
	}
	s, err := c.cache.openSealed(path)
	if err != nil {
		return nil, c.cache.fail(errors.Join(fmt.Errorf("reading back %s", path), err))
	}
	return s, nil
}
