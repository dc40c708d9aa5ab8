package apk

import (
	"crypto/sha1" //nolint:gosec // apk's database and index name content by SHA-1
	"encoding/base64"
	"strings"
)

// Checksum is a SHA-1 as apk's files spell it: "Q1" and base64.
type Checksum [sha1.Size]byte

// emptySum is the checksum of no content.
var emptySum = Checksum(sha1.Sum(nil)) //nolint:gosec // see Checksum

// checksumPrefix marks SHA-1.
const checksumPrefix = "Q1"

// ParseChecksum reads a checksum. ok is false for an empty one, and for other kinds (old MD5).
func ParseChecksum(s string) (sum Checksum, ok bool) {
	encoded, ok := strings.CutPrefix(s, checksumPrefix)
	if !ok {
		return sum, false
	}
	b, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(b) != len(sum) {
		return sum, false
	}
	return Checksum(b), true
}

func (c Checksum) String() string { return checksumPrefix + base64.StdEncoding.EncodeToString(c[:]) }
