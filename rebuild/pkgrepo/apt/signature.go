package apt

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/clearsign"
	pgperrors "github.com/ProtonMail/go-crypto/openpgp/errors"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
)

var clearsignStart = []byte("-----BEGIN PGP SIGNED MESSAGE-----\n")

// splitInline takes an InRelease file apart. The message must be all there is: text before or after it, which
// other parsers have taken for signed, is refused. The text returned is what the signature covers, in canonical
// form (RFC 9580, section 7): without dash escapes and trailing white space, the lines ended by CR LF.
func splitInline(data []byte) (text []byte, signature io.Reader, err error) {
	if !bytes.HasPrefix(data, clearsignStart) {
		return nil, nil, errors.New("it does not start with a clear-signed message")
	}
	block, rest := clearsign.Decode(data)
	if block == nil {
		return nil, nil, errors.New("its clear-signed message is malformed or cut off")
	}
	if len(bytes.TrimSpace(rest)) > 0 {
		return nil, nil, errors.New("there is text after its clear-signed message")
	}
	return block.Bytes, block.ArmoredSignature.Body, nil
}

// detachedSignature opens a Release.gpg, armored or binary.
func detachedSignature(data []byte) (io.Reader, error) {
	if !bytes.HasPrefix(bytes.TrimSpace(data), []byte("-----BEGIN PGP")) {
		return bytes.NewReader(data), nil
	}
	block, err := armor.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("malformed signature: %w", err)
	}
	return block.Body, nil
}

// verify checks that one of the signatures is good and by a key of the set that is neither expired nor revoked
// now. It returns the fingerprint of the signing key.
func (k keySet) verify(signedBytes []byte, signature io.Reader, now time.Time) (signer string, err error) {
	sigs, err := io.ReadAll(signature)
	if err != nil {
		return "", fmt.Errorf("malformed signature: %w", err)
	}
	v := verification{keySet: k, signed: signedBytes, signatures: sigs, now: now, config: &packet.Config{
		Time: func() time.Time { return now },
		// As GnuPG does, for keys from before key flags were common.
		InsecureAllowAllKeyFlagsWhenMissing: true,
	}}
	for _, r := range k.rings {
		if signer, err := v.by(r); signer != "" || err != nil {
			return signer, err
		}
	}
	if len(v.bad) > 0 {
		return "", fmt.Errorf("no good signature: %s", strings.Join(v.bad, "; "))
	}
	return "", fmt.Errorf("signed only by keys that are not trusted for it: %s; name a keyring that holds one with %s",
		strings.Join(v.unknown[:min(len(v.unknown), maxNamed)], ", "), keyringFlag)
}

// maxNamed bounds the signers that a message names; Debian signs with three keys.
const maxNamed = 8

// signers lists who signed, as the first signatures say it themselves.
func signers(signature io.Reader) ([]string, error) {
	var all []string
	for packets := packet.NewReader(signature); ; {
		p, err := packets.Next()
		switch {
		case errors.Is(err, io.EOF) && len(all) == 0:
			return nil, errors.New("it is not signed")
		case errors.Is(err, io.EOF), len(all) == maxNamed:
			return all, nil
		case err != nil:
			return nil, fmt.Errorf("malformed signature: %w", err)
		}
		s, ok := p.(*packet.Signature)
		if !ok {
			continue
		}
		if len(s.IssuerFingerprint) > 0 {
			all = appendNew(all, strings.ToUpper(hex.EncodeToString(s.IssuerFingerprint)))
		} else if s.IssuerKeyId != nil {
			all = appendNew(all, fmt.Sprintf("%016X", *s.IssuerKeyId))
		}
	}
}

// verification is the work of checking one file's signatures.
type verification struct {
	keySet
	signed, signatures []byte
	now                time.Time
	config             *packet.Config
	// unknown are the keys that no keyring has, bad the signatures that are no good and why.
	unknown, bad []string
}

// by looks for a good signature by a key of one keyring. It returns "" where there is none, and an error where
// the signatures cannot be read at all.
func (v *verification) by(r *ring) (signer string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	md, err := openpgp.VerifyDetachedSignatureReader(r.keys, bytes.NewReader(v.signed), bytes.NewReader(v.signatures), v.config)
	if errors.Is(err, pgperrors.ErrUnknownIssuer) {
		return "", errors.New("it is not signed")
	}
	if err == nil {
		_, err = io.Copy(io.Discard, md.UnverifiedBody)
	}
	if err != nil {
		return "", fmt.Errorf("malformed signature: %w", err)
	}
	for _, c := range md.SignatureCandidates {
		if c.SignedByEntity == nil {
			v.unknown = appendNew(v.unknown, fmt.Sprintf("%016X", c.IssuerKeyId))
			continue
		}
		err := c.SignatureError
		if err == nil {
			err = v.allowed(c.SignedBy, v.now, v.config)
		}
		if err == nil {
			return fingerprint(c.SignedBy.PublicKey), nil
		}
		v.bad = appendNew(v.bad, fmt.Sprintf("key %016X: %v", c.IssuerKeyId, explain(err)))
	}
	return "", nil
}

func appendNew(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

// explain gives the library's answers the words an administrator expects.
func explain(err error) error {
	switch {
	case errors.Is(err, pgperrors.ErrKeyExpired):
		return errors.New("the key has expired (a newer keyring can be given with " + keyringFlag + ")")
	case errors.Is(err, pgperrors.ErrKeyRevoked):
		return errors.New("the key is revoked")
	case errors.Is(err, pgperrors.ErrSignatureExpired):
		return errors.New("the signature has expired or is dated in the future")
	}
	return err
}

// allowed checks a key whose signature is good. The library judges a key as of the time of the signature; a
// key that expired or was revoked since must not vouch for a repository either, as with gpgv.
func (k keySet) allowed(key *openpgp.Key, now time.Time, cfg *packet.Config) error {
	if _, err := key.Entity.VerifyPrimaryKey(now, cfg); err != nil {
		return err
	}
	if !key.IsPrimary() {
		for i := range key.Entity.Subkeys {
			sub := &key.Entity.Subkeys[i]
			if sub.PublicKey.KeyId != key.PublicKey.KeyId {
				continue
			}
			if _, err := sub.Verify(now, cfg); err != nil {
				return err
			}
		}
	}
	if len(k.fingerprints) == 0 {
		return nil
	}
	// "!" asks for the very key; else a primary key stands for its subkeys.
	signing, primary := fingerprint(key.PublicKey), fingerprint(key.Entity.PrimaryKey)
	for _, f := range k.fingerprints {
		if want, exact := strings.CutSuffix(f, "!"); want == signing || (!exact && want == primary) {
			return nil
		}
	}
	return errors.New("Signed-By does not allow this key")
}

func fingerprint(k *packet.PublicKey) string {
	return strings.ToUpper(hex.EncodeToString(k.Fingerprint))
}
