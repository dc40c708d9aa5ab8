package dpkg

import (
	"bytes"
	"io"
	"strings"

	"github.com/klauspost/compress/gzip"
)

// maxInfo bounds what is read of one Info document, packed and unpacked.
const maxInfo = 16 << 20

// sameInfoEntries tells whether a document below /usr/share/info has the same entries for the directory of documents as
// before: then install-info would make the same directory again. A document that is not there, or that is none (a
// picture), has no entries.
func (u *upgrade) sameInfoEntries(p string) (bool, error) {
	old, err := u.before.ReadFile(p, maxInfo)
	if err != nil {
		return false, err
	}
	changed, err := u.tree.ReadFile(p, maxInfo)
	if err != nil {
		return false, err
	}
	before, readable := infoEntries(old)
	after, alsoReadable := infoEntries(changed)
	return readable && alsoReadable && before == after, nil
}

// infoEntries are the lines of a document that install-info(1) copies into the directory, with the section they go to;
// false says that it cannot be read.
func infoEntries(data []byte) (string, bool) {
	if bytes.HasPrefix(data, []byte("\x1f\x8b")) {
		z, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			return "", false
		}
		if data, err = io.ReadAll(io.LimitReader(z, maxInfo)); err != nil || len(data) == maxInfo {
			return "", false
		}
	}
	var b strings.Builder
	inside := false
	for line := range strings.Lines(string(data)) {
		switch {
		case strings.HasPrefix(line, "START-INFO-DIR-ENTRY"):
			inside = true
		case strings.HasPrefix(line, "END-INFO-DIR-ENTRY"):
			inside = false
		case inside, strings.HasPrefix(line, "INFO-DIR-SECTION"):
			b.WriteString(line)
		}
	}
	return b.String(), true
}
