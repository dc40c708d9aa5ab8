package apk

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem/apk"
	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
)

// resolvedKind names the derived files that hold a package file's SHA-256, by what its index says of it.
const resolvedKind = "apk-sha256-1"

var (
	errUnknown  = errors.New("no index of this archive lists it")
	errIdentity = errors.New("the control member is not the one that the index names")
	errData     = errors.New("the data member's SHA-256 is not the datahash of the control member")
	errSize     = errors.New("its size is not the one that the index states")
)

// Resolve gives an artifact of a candidate its SHA-256, so that it can be fetched and recorded like any other.
//
// An index names a package by its size and the SHA-1 of its control member; the control member states the SHA-256 of the data
// member behind it. So the file has to be read once to know its digest: all three are checked on the way, and from there on the
// digest stands for them. What the checks leave open is the package's own signature in front, which says nothing that the
// index's does not. The error is pkgrepo.ErrNotFound where the file is gone, pkgrepo.ErrVerification where it is another one.
func (a *Archive) Resolve(ctx context.Context, artifact pkgrepo.Artifact) (pkgrepo.Artifact, error) {
	sum, known := a.checksums[artifact]
	if !known {
		return artifact, fmt.Errorf("resolving %s: %w", artifact.URL, errUnknown)
	}
	derived, err := a.client.Derived(ctx, resolvedKind, resolvedKey(sum, artifact.Size), func(w io.Writer) error {
		digest, err := a.read(ctx, artifact, sum)
		if err != nil {
			return err
		}
		_, err = w.Write(digest[:])
		return err
	})
	if err != nil {
		return artifact, err
	}
	defer derived.Close()
	if _, err := io.ReadFull(derived, artifact.SHA256[:]); err != nil {
		return artifact, fmt.Errorf("resolving %s: %w", artifact.URL, err)
	}
	return artifact, nil
}

func resolvedKey(sum apk.Checksum, size int64) [sha256.Size]byte {
	return sha256.Sum256(binary.BigEndian.AppendUint64(sum[:], uint64(size)))
}

func (a *Archive) read(ctx context.Context, artifact pkgrepo.Artifact, sum apk.Checksum) (digest [sha256.Size]byte, err error) {
	r, err := a.client.Vouched(ctx, artifact.URL, artifact.Size)
	if err != nil {
		return digest, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if digest, err = verifyPackage(r, artifact.Size, sum); err != nil {
		return digest, &pkgrepo.Error{Kind: pkgrepo.ErrVerification, URL: artifact.URL, Err: err}
	}
	return digest, nil
}

// maxHead bounds the signature and control member together, as they are in the file. The largest known have 200 kB.
const maxHead = 4 << 20

// verifyPackage reads a package file to its end, in constant memory, and returns its SHA-256 if it is the one of the given
// size and control member.
func verifyPackage(r io.Reader, size int64, want apk.Checksum) (digest [sha256.Size]byte, err error) {
	whole := sha256.New()
	r = io.TeeReader(r, whole)
	head := make([]byte, min(size, maxHead))
	if _, err := io.ReadFull(r, head); err != nil {
		return digest, fmt.Errorf("%w: %w", errSize, err)
	}
	m, err := apk.ReadMembers(bytes.NewReader(head), int64(len(head)))
	if err != nil {
		return digest, err
	}
	if m.Checksum != want {
		return digest, errIdentity
	}
	data := sha256.New()
	data.Write(head[m.DataOffset:])
	n, err := io.Copy(data, r)
	switch {
	case err != nil:
		return digest, err
	case int64(len(head))+n != size:
		return digest, errSize
	case [sha256.Size]byte(data.Sum(nil)) != m.DataHash:
		return digest, errData
	}
	return [sha256.Size]byte(whole.Sum(nil)), nil
}
