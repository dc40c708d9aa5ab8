package dpkg

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// member is one member of an ar archive; its bytes are at Offset in the file.
type member struct {
	name         string
	time         time.Time
	offset, size int64
}

const (
	arMagic      = "!<arch>\n"
	arHeaderSize = 60
	// maxMembers bounds the members of a .deb, which has three; signatures may add a few.
	maxMembers = 64
)

var errNotDeb = errors.New("not a Debian package file")

// readMembers lists the members of an ar archive of the given size: ar(5), the common format.
func readMembers(r io.ReaderAt, size int64) ([]member, error) {
	magic := make([]byte, len(arMagic))
	if _, err := r.ReadAt(magic, 0); err != nil || string(magic) != arMagic {
		return nil, errNotDeb
	}
	var all []member
	header := make([]byte, arHeaderSize)
	for pos := int64(len(arMagic)); pos < size; {
		if len(all) == maxMembers {
			return nil, fmt.Errorf("%w: more than %d members", errNotDeb, maxMembers)
		}
		if _, err := r.ReadAt(header, pos); err != nil {
			return nil, fmt.Errorf("%w: truncated at byte %d", errNotDeb, pos)
		}
		m, err := parseMember(header, pos+arHeaderSize)
		if err != nil {
			return nil, fmt.Errorf("%w: member at byte %d: %w", errNotDeb, pos, err)
		}
		if m.size > size-m.offset {
			return nil, fmt.Errorf("%w: member %.20q of %d bytes is cut off", errNotDeb, m.name, m.size)
		}
		all = append(all, m)
		pos = m.offset + m.size + m.size%2
	}
	return all, nil
}

func parseMember(h []byte, offset int64) (member, error) {
	if string(h[58:60]) != "`\n" {
		return member{}, errors.New("bad header")
	}
	// Some tools end names with a slash.
	m := member{name: strings.TrimSuffix(strings.TrimRight(string(h[:16]), " "), "/"), offset: offset}
	seconds, err := arNumber(h[16:28])
	if err != nil {
		return m, fmt.Errorf("time: %w", err)
	}
	m.time = time.Unix(seconds, 0).UTC()
	if m.size, err = arNumber(h[48:58]); err != nil {
		return m, fmt.Errorf("size: %w", err)
	}
	return m, nil
}

func arNumber(field []byte) (int64, error) {
	n, err := strconv.ParseUint(strings.TrimRight(string(field), " "), 10, 63)
	return int64(n), err
}
