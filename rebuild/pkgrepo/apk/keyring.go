package apk

import (
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
)

const (
	keysDir = "etc/apk/keys"
	// allKeysDir has a directory for each architecture, with the keys of the distribution that concern it.
	allKeysDir = "usr/share/apk/keys"
	maxKey     = 64 << 10
	maxKeys    = 1000
)

// Keyring is a set of RSA keys that may sign indexes, by the names that signatures call them by: the names of their files,
// "alpine-devel@lists.alpinelinux.org-6165ee59.rsa.pub".
type Keyring struct {
	keys map[string]key
}

type key struct {
	public *rsa.PublicKey
	// fingerprint is the SHA-256 of the key's DER form, hexadecimal.
	fingerprint string
}

// LoadKeyring reads keys from files of this host; of a directory all files named *.pub.
func LoadKeyring(paths ...string) (*Keyring, error) {
	k := &Keyring{keys: make(map[string]key)}
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			return nil, fmt.Errorf("reading keyring: %w", err)
		}
		if info.IsDir() {
			err = k.load(os.DirFS(p), ".")
		} else {
			err = k.add(os.DirFS(filepath.Dir(p)), filepath.Base(p))
		}
		if err != nil {
			return nil, fmt.Errorf("reading keyring %s: %w", p, err)
		}
	}
	if len(k.keys) == 0 {
		return nil, fmt.Errorf("no key in %s", strings.Join(paths, ", "))
	}
	return k, nil
}

// imageKeyring reads the keys that an image trusts: those in etc/apk/keys; where that has none, as without apk-tools, those
// that the distribution's package of keys has for the architecture.
func imageKeyring(root fs.FS, arch string) (*Keyring, error) {
	k := &Keyring{keys: make(map[string]key)}
	for _, dir := range []string{keysDir, path.Join(allKeysDir, arch)} {
		if err := k.load(root, dir); err != nil {
			return nil, err
		}
		if len(k.keys) > 0 {
			break
		}
	}
	return k, nil
}

func (k *Keyring) load(root fs.FS, dir string) error {
	entries, err := fs.ReadDir(root, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", dir, err)
	}
	for _, e := range entries {
		if e.IsDir() || !strings.HasSuffix(e.Name(), ".pub") {
			continue
		}
		if len(k.keys) == maxKeys {
			return &ConfigError{File: dir, Reason: fmt.Sprintf("more than %d keys", maxKeys)}
		}
		if err := k.add(root, path.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

var (
	errNoPEM = errors.New("not a PEM file with a public key")
	errNoRSA = errors.New("not an RSA key")
)

func (k *Keyring) add(root fs.FS, name string) error {
	data, err := readFile(root, name, maxKey)
	if err != nil {
		return err
	}
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "PUBLIC KEY" {
		return fmt.Errorf("reading key %s: %w", name, errNoPEM)
	}
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return fmt.Errorf("reading key %s: %w", name, err)
	}
	r, ok := public.(*rsa.PublicKey)
	if !ok {
		return fmt.Errorf("reading key %s: %w", name, errNoRSA)
	}
	sum := sha256.Sum256(block.Bytes)
	k.keys[path.Base(name)] = key{r, hex.EncodeToString(sum[:])}
	return nil
}

// names lists the keys.
func (k *Keyring) names() []string {
	var all []string
	for n := range k.keys {
		all = append(all, n)
	}
	slices.Sort(all)
	return all
}

// NoKeyError says that there is no key to check an index's signature with. It is an ErrVerification.
type NoKeyError struct {
	// URL is the index, Signers are the names of the keys that it is signed with, Trusted those that there are.
	URL              string
	Signers, Trusted []string
}

func (e *NoKeyError) Error() string {
	trusted := "the image trusts none"
	if len(e.Trusted) > 0 {
		trusted = "trusted are " + strings.Join(e.Trusted, ", ")
	}
	return fmt.Sprintf("%s is signed by %s, %s: name a key with --keyring", e.URL, strings.Join(e.Signers, ", "), trusted)
}

// Unwrap makes it an ErrVerification.
func (e *NoKeyError) Unwrap() error { return pkgrepo.ErrVerification }
