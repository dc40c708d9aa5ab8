package image

import (
	"encoding/hex"
	"fmt"
	"hash"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// checkBytes compares content with the digest by which it was asked for. where says what and from where.
func checkBytes(where string, content []byte, want v1.Hash) error {
	h, err := v1.Hasher(want.Algorithm)
	if err != nil {
		return &Error{Kind: ErrUnsupported, Ref: where, What: "digest algorithm " + want.Algorithm, Cause: err}
	}
	h.Write(content)
	return checkSum(where, h, want)
}

// damagedError says that content is not what its digest and length say, and what to do about it.
func damagedError(where, what string, cause error) *Error {
	return &Error{
		Kind: ErrVerification, Ref: where, What: what, Hint: "it was damaged or exchanged; push or copy the image again", Cause: cause,
	}
}

func checkSum(where string, h hash.Hash, want v1.Hash) error {
	got := v1.Hash{Algorithm: want.Algorithm, Hex: hex.EncodeToString(h.Sum(nil))}
	if got == want {
		return nil
	}
	return damagedError(where, fmt.Sprintf("the content has digest %s, not %s", got, want), nil)
}

// verifier passes a blob on and fails at its end unless length and digest are right; it never passes more than length.
type verifier struct {
	io.ReadCloser
	where  string
	want   v1.Hash
	length int64
	read   int64
	hash   hash.Hash
}

func newVerifier(rc io.ReadCloser, where string, want v1.Hash, length int64) (io.ReadCloser, error) {
	h, err := v1.Hasher(want.Algorithm)
	if err != nil {
		_ = rc.Close()
		return nil, &Error{Kind: ErrUnsupported, Ref: where, What: "digest algorithm " + want.Algorithm, Cause: err}
	}
	return &verifier{ReadCloser: rc, where: where, want: want, length: length, hash: h}, nil
}

func (v *verifier) Read(p []byte) (int, error) {
	n, err := v.ReadCloser.Read(p)
	v.read += int64(n)
	if v.read > v.length {
		return 0, v.wrongLength("more than")
	}
	v.hash.Write(p[:n])
	if err != io.EOF {
		return n, err
	}
	if v.read < v.length {
		return n, v.wrongLength(fmt.Sprintf("%d of", v.read))
	}
	if err := checkSum(v.where, v.hash, v.want); err != nil {
		return n, err
	}
	return n, io.EOF
}

func (v *verifier) wrongLength(has string) error {
	return damagedError(v.where, fmt.Sprintf("%s has %s %d bytes", v.want, has, v.length), nil)
}
