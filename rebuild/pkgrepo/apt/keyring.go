package apt

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/ProtonMail/go-crypto/openpgp/armor"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
)

// keyringFlag is what the error messages call the option that gives keyrings.
const keyringFlag = "--keyring"

// maxKeyring bounds a keyring file; Debian's has 56 kB.
const maxKeyring = 8 << 20

// Keyring is a set of OpenPGP keys that may sign repositories. It is safe for concurrent use.
type Keyring struct {
	rings []*ring
}

// ring is one keyring file. They are kept apart because two may hold the same key in different states: one
// that has expired, and one whose expiry was moved since.
type ring struct {
	name string
	// mu guards keys: the library keeps in them which of their own signatures it has checked.
	mu   sync.Mutex
	keys openpgp.EntityList
}

// LoadKeyring reads keyrings from files of this host, binary or armored. Of a directory all files named
// *.gpg, *.pgp and *.asc are read.
func LoadKeyring(paths ...string) (*Keyring, error) {
	k := &Keyring{}
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			return nil, fmt.Errorf("reading keyring: %w", err)
		}
		files := []string{p}
		if info.IsDir() {
			if files, err = keyringFiles(p); err != nil {
				return nil, err
			}
		}
		for _, f := range files {
			if err := k.load(f); err != nil {
				return nil, err
			}
		}
	}
	if len(k.rings) == 0 {
		return nil, fmt.Errorf("no keyring in %s", strings.Join(paths, ", "))
	}
	return k, nil
}

func keyringFiles(dir string) ([]string, error) {
	names, err := listParts(os.DirFS(dir), ".", ".gpg", ".pgp", ".asc")
	if err != nil {
		return nil, err
	}
	for i, n := range names {
		names[i] = filepath.Join(dir, n)
	}
	return names, nil
}

func (k *Keyring) load(file string) error {
	data, ok, err := readConfig(os.DirFS(filepath.Dir(file)), filepath.Base(file), maxKeyring)
	if err != nil {
		return fmt.Errorf("reading keyring %s: %w", file, err)
	}
	if !ok {
		return fmt.Errorf("reading keyring %s: %w", file, fs.ErrNotExist)
	}
	r, err := parseKeyring(file, data)
	if err != nil {
		return err
	}
	k.rings = append(k.rings, r)
	return nil
}

// parseKeyring reads one binary keyring, or any number of armored blocks. Keys of a kind that cannot be
// used are skipped; a file without any usable key is an error.
func parseKeyring(name string, data []byte) (*ring, error) {
	r := &ring{name: name}
	fail := func(err error) (*ring, error) { return nil, fmt.Errorf("reading keyring %s: %w", name, err) }
	if len(data) >= 12 && string(data[8:12]) == "KBXf" {
		return fail(errors.New("it is a GnuPG keybox: export it with gpg --export"))
	}
	if !bytes.Contains(data, []byte(armorStart)) {
		keys, err := openpgp.ReadKeyRing(bytes.NewReader(data))
		if err == nil && len(keys) == 0 {
			err = errors.New("it holds no key")
		}
		if err != nil {
			return fail(err)
		}
		r.keys = keys
		return r, nil
	}
	for rest := data; ; {
		start := bytes.Index(rest, []byte(armorStart))
		if start < 0 {
			return r, nil
		}
		rest = rest[start:]
		block, err := armor.Decode(bytes.NewReader(rest))
		if err != nil {
			return fail(err)
		}
		keys, err := openpgp.ReadKeyRing(block.Body)
		if err != nil {
			return fail(err)
		}
		r.keys = append(r.keys, keys...)
		rest = rest[len(armorStart):]
	}
}

// NoKeyringError says that there is no key to check a repository's signature with. It is an
// ErrVerification.
type NoKeyringError struct {
	Source Source
	// Files are the keyrings, as paths in the image, that were looked for.
	Files []string
	// Signers are the keys that the repository is signed with, as fingerprints or, in old signatures, as key ids.
	// Nothing has checked them.
	Signers []string
}

func (e *NoKeyringError) Error() string {
	return fmt.Sprintf("%s %s: no key to check its signature with: it is signed by %s and the image has no %s; name a keyring with %s",
		e.Source.URI, e.Source.Suite, strings.Join(e.Signers, ", "), strings.Join(e.Files, ", "), keyringFlag)
}

// Unwrap makes it an ErrVerification.
func (e *NoKeyringError) Unwrap() error { return pkgrepo.ErrVerification }

// keyrings finds the keys that may sign a source: the given ones, else those of the image, else the distribution's.
type keyrings struct {
	root   fs.FS
	given  *Keyring
	distro Distro

	mu   sync.Mutex
	read map[string]func() (*ring, error)
}

// keySet is what may sign one source.
type keySet struct {
	rings []*ring
	// fingerprints, where there are any, restrict the keys.
	fingerprints []string
	// looked are the image's files that were looked for and not found, where that left no ring at all.
	looked []string
	// note says that the keys are not the image's own.
	note string
}

const trustedParts = "etc/apt/trusted.gpg.d"

// of returns the keys for a source. Given keyrings take the place of the image's; the fingerprints of a
// Signed-By restrict either.
func (k *keyrings) of(s Source) (keySet, error) {
	set := keySet{fingerprints: s.SignedBy.Fingerprints}
	if k.given != nil {
		set.rings = k.given.rings
		return set, nil
	}
	if s.SignedBy.Keys != "" {
		r, err := parseKeyring("Signed-By of "+s.From, []byte(s.SignedBy.Keys))
		if err != nil {
			return set, &pkgrepo.Error{Kind: pkgrepo.ErrVerification, URL: s.URI, Err: err}
		}
		set.rings = []*ring{r}
		return set, nil
	}
	files := s.SignedBy.Files
	if len(files) == 0 {
		parts, err := listParts(k.root, trustedParts, ".gpg", ".asc")
		if err != nil {
			return set, err
		}
		files = append([]string{"etc/apt/trusted.gpg"}, parts...)
		files = append(files, debianKeyring, ubuntuKeyring)
	}
	for _, f := range files {
		r, err := k.file(strings.TrimLeft(f, "/"))
		if err != nil {
			return set, &pkgrepo.Error{Kind: pkgrepo.ErrVerification, URL: s.URI, Err: err}
		}
		if r != nil {
			set.rings = append(set.rings, r)
		}
	}
	if len(set.rings) > 0 {
		return set, nil
	}
	set.looked = files
	return k.standIn(set, s)
}

// file reads one keyring of the image, once; nil where it does not exist. An empty file holds no key but is
// no mistake either: apt itself makes an empty trusted.gpg.
func (k *keyrings) file(name string) (*ring, error) {
	return k.once(name, func() (*ring, error) {
		if !fs.ValidPath(name) {
			return nil, &ConfigError{File: name, Reason: "not a path in the image"}
		}
		data, ok, err := readConfig(k.root, name, maxKeyring)
		if err != nil || !ok || len(data) == 0 {
			return nil, err
		}
		return parseKeyring(name, data)
	})
}

// once reads a keyring the first time that its name is asked for.
func (k *keyrings) once(name string, read func() (*ring, error)) (*ring, error) {
	k.mu.Lock()
	once, ok := k.read[name]
	if !ok {
		once = sync.OnceValues(read)
		if k.read == nil {
			k.read = make(map[string]func() (*ring, error))
		}
		k.read[name] = once
	}
	k.mu.Unlock()
	return once()
}

// readAll reads what Latest returned.
func readAll(r io.ReadCloser) ([]byte, error) {
	data, err := io.ReadAll(r)
	return data, errors.Join(err, r.Close())
}
