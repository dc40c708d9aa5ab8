package apk

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // the signature that Alpine's indexes have
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem/apk"
	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
)

// Bounds of an index, in bytes: Wolfi's, the largest known, has 15 MB and 120 MB unpacked.
const (
	maxIndex     = 64 << 20
	maxUnpacked  = 2 << 30
	maxSignature = 64 << 10
)

var (
	errUnsigned    = errors.New("the index is not signed")
	errSignature   = errors.New("the signature does not fit the index")
	errNoIndex     = errors.New("no APKINDEX in it")
	errUnpacked    = fmt.Errorf("an index of more than %d bytes unpacked", maxUnpacked)
	errBadChecksum = errors.New("no usable checksum (C)")
	errBadName     = errors.New("a name, version or architecture that cannot be part of an address")
	errBadSize     = errors.New("no usable size (S)")
)

// signed is an index whose signature has been verified.
type signed struct {
	// archive is what the signature covers: a compressed tar archive.
	archive []byte
	digest  [sha256.Size]byte
	// signer is the fingerprint of the key.
	signer string
}

// verify checks an index: a gzip member with signatures, and behind it what they sign.
//
// Of signatures by several keys one by a known key is enough, as for apk. A known key's signature that does not fit is an
// error whatever the others are.
func verify(address string, data []byte, keys *Keyring) (*signed, error) {
	fail := func(err error) (*signed, error) {
		return nil, &pkgrepo.Error{Kind: pkgrepo.ErrVerification, URL: address, Err: err}
	}
	if apk.IsVersion3(data) {
		return fail(apk.ErrVersion3)
	}
	signatures, rest, err := cutSignatures(data)
	if err != nil {
		return fail(err)
	}
	if len(signatures) == 0 {
		return fail(errUnsigned)
	}
	out := &signed{archive: rest, digest: sha256.Sum256(data)}
	var unknown []string
	for _, s := range signatures {
		known, ok := keys.keys[s.key]
		if !ok {
			unknown = append(unknown, s.key)
			continue
		}
		if err := rsa.VerifyPKCS1v15(known.public, s.hash, digest(s.hash, rest), s.value); err != nil {
			return fail(fmt.Errorf("%w: key %s", errSignature, s.key))
		}
		out.signer = known.fingerprint
	}
	if out.signer == "" {
		return nil, &NoKeyError{URL: address, Signers: unknown, Trusted: keys.names()}
	}
	return out, nil
}

func digest(h crypto.Hash, data []byte) []byte {
	switch h {
	case crypto.SHA256:
		s := sha256.Sum256(data)
		return s[:]
	case crypto.SHA512:
		s := sha512.Sum512(data)
		return s[:]
	}
	s := sha1.Sum(data) //nolint:gosec // see the import
	return s[:]
}

// signature is one file of the first member: ".SIGN.RSA256.name-of-the-key".
type signature struct {
	key   string
	hash  crypto.Hash
	value []byte
}

// cutSignatures reads the first member of an index. Without signatures rest is all of it.
func cutSignatures(data []byte) (all []signature, rest []byte, err error) {
	in := bytes.NewReader(data)
	z, err := gzip.NewReader(in)
	if err != nil {
		return nil, nil, fmt.Errorf("index: %w", err)
	}
	z.Multistream(false)
	tr := tar.NewReader(io.LimitReader(z, maxSignature))
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, nil, fmt.Errorf("index: signatures: %w", err)
		}
		name, ok := strings.CutPrefix(h.Name, ".SIGN.")
		if !ok {
			// The member is the index itself.
			return nil, data, nil
		}
		value, err := io.ReadAll(tr)
		if err != nil {
			return nil, nil, fmt.Errorf("index: signatures: %w", err)
		}
		kind, keyName, _ := strings.Cut(name, ".")
		hash, ok := map[string]crypto.Hash{"RSA": crypto.SHA1, "RSA256": crypto.SHA256, "RSA512": crypto.SHA512}[kind]
		if ok {
			all = append(all, signature{keyName, hash, value})
		}
	}
	// The member must end within the bound, or what follows is not what the signature is about.
	if n, err := io.Copy(io.Discard, io.LimitReader(z, maxSignature+1)); err != nil || n > maxSignature {
		return nil, nil, fmt.Errorf("index: signatures: too long or damaged: %w", errors.Join(err, errSignature))
	}
	return all, data[len(data)-in.Len():], nil
}

// index is what one index holds of the packages that are of interest.
type index struct {
	origin   *pkgrepo.Origin
	tag      string
	packages []offer
}

// offer is one package of an index.
type offer struct {
	candidate pkgrepo.Candidate
	checksum  apk.Checksum
}

// read goes through a verified index. The wanted packages' entries are handed over; description is what the repository calls
// its state, date when the index was made.
func (s *signed) read(visit func(*apk.Stanza) error) (description string, date time.Time, err error) {
	z, err := gzip.NewReader(bytes.NewReader(s.archive))
	if err != nil {
		return "", time.Time{}, fmt.Errorf("index: %w", err)
	}
	found := false
	limited := &io.LimitedReader{R: z, N: maxUnpacked}
	tr := tar.NewReader(bufio.NewReaderSize(limited, 128<<10))
	for {
		h, err := tr.Next()
		if limited.N == 0 {
			return "", date, errUnpacked
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", date, fmt.Errorf("index: %w", err)
		}
		switch h.Name {
		case "DESCRIPTION":
			text, err := io.ReadAll(io.LimitReader(tr, maxConfig))
			if err != nil {
				return "", date, fmt.Errorf("index: %w", err)
			}
			description = strings.TrimSpace(string(text))
		case "APKINDEX":
			found, date = true, h.ModTime.UTC()
			if err := apk.ReadStanzas(tr, visit); err != nil {
				return "", date, fmt.Errorf("APKINDEX: %w", err)
			}
		}
	}
	if !found {
		return "", date, errNoIndex
	}
	return description, date, nil
}

// readOffer makes a candidate of an index entry.
func readOffer(s *apk.Stanza, l location, arch string) (offer, error) {
	p, err := s.Package()
	if err != nil {
		return offer{}, err
	}
	var o offer
	var ok bool
	if o.checksum, ok = apk.ParseChecksum(s.Get('C')); !ok {
		return o, fmt.Errorf("%s: %w", p.Name, errBadChecksum)
	}
	size, err := strconv.ParseInt(s.Get('S'), 10, 64)
	if err != nil || size <= 0 {
		return o, fmt.Errorf("%s: %w", p.Name, errBadSize)
	}
	if p.Arch == "" {
		p.Arch = arch
	}
	for _, part := range []string{p.Name, p.Version, p.Arch} {
		if strings.ContainsAny(part, "/\\ ?#%") || strings.HasPrefix(part, ".") {
			return o, fmt.Errorf("%s: %w", p.Name, errBadName)
		}
	}
	o.candidate = pkgrepo.Candidate{
		Package:  p,
		Artifact: pkgrepo.Artifact{URL: l.file(p.Arch, p.Name+"-"+p.Version+".apk"), Size: size},
		Priority: defaultPriority, Phase: 100,
	}
	return o, nil
}

// defaultPriority is that of every version that nothing speaks against.
const defaultPriority = 500
