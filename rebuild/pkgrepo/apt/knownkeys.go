package apt

import (
	_ "embed"
	"fmt"
	"path"
	"strings"
)

// The public keys of the distributions' archives, for images that hold no keyring: distroless ones, and those whose
// keyring package was removed. A key is a fact about the distribution; a test holds these against the keyring packages.
var (
	//go:embed keys/debian.asc
	debianKeys []byte
	//go:embed keys/ubuntu.asc
	ubuntuKeys []byte
)

// The keyring packages' files.
const (
	debianKeyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
	ubuntuKeyring = "/usr/share/keyrings/ubuntu-archive-keyring.gpg"
)

// knownKeys returns a distribution's keys, by its ID in os-release.
func knownKeys(id string) (name string, keys []byte) {
	switch id {
	case "debian":
		return "the archive keys of Debian that this program knows", debianKeys
	case "ubuntu":
		return "the archive keys of Ubuntu that this program knows", ubuntuKeys
	}
	return "", nil
}

// knownFor tells whose keys stand in where a source finds none in the image: those of the distribution whose keyring its
// Signed-By names; without any Signed-By, those of the image's own distribution. A Signed-By that names another file
// asks for other keys, which nobody but the user has.
func (k *keyrings) knownFor(s Source) string {
	if len(s.SignedBy.Files) == 0 {
		return k.distro.ID
	}
	for _, f := range s.SignedBy.Files {
		switch strings.TrimSuffix(f, path.Ext(f)) {
		case strings.TrimSuffix(debianKeyring, ".gpg"):
			return "debian"
		case strings.TrimSuffix(ubuntuKeyring, ".gpg"):
			return "ubuntu"
		}
	}
	return ""
}

// standIn puts known keys into a set that got none from the image, where there are some for the source.
func (k *keyrings) standIn(set keySet, s Source) (keySet, error) {
	name, keys := knownKeys(k.knownFor(s))
	if keys == nil {
		return set, nil
	}
	known, err := k.once(name, func() (*ring, error) { return parseKeyring(name, keys) })
	if err != nil {
		return set, err
	}
	set.rings = []*ring{known}
	set.note = fmt.Sprintf("the image has no keyring for %s: checked with %s", s.URI, name)
	return set, nil
}
