package apt

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// oneLine parses a .list file: sources.list(5), "ONE-LINE-STYLE FORMAT".
func (p *sourceParser) oneLine(file string, data []byte) error {
	for n := 1; len(data) > 0; n++ {
		var raw []byte
		raw, data, _ = bytes.Cut(data, []byte("\n"))
		if err := p.line(file, n, string(raw)); err != nil {
			return err
		}
	}
	return nil
}

func (p *sourceParser) line(file string, n int, line string) error {
	line, _, _ = strings.Cut(line, "#")
	e := entry{file: file, line: n, options: map[string]string{}}
	kind, rest, err := nextWord(line)
	if err != nil {
		return e.errorf("%v", err)
	}
	if kind == "" {
		return nil
	}
	if rest = strings.TrimLeft(rest, " \t\r"); strings.HasPrefix(rest, "[") {
		if rest, err = parseOptions(rest[1:], e.options); err != nil {
			return e.errorf("%v", err)
		}
	}
	var words []string
	for {
		var w string
		if w, rest, err = nextWord(rest); err != nil {
			return e.errorf("%v", err)
		}
		if w == "" {
			break
		}
		words = append(words, w)
	}
	if len(words) < 2 {
		return e.errorf("want: deb [options] URI suite component…")
	}
	e.uris, e.suites, e.components = words[:1], words[1:2], words[2:]
	return p.add(kind, e)
}

// parseOptions reads "key=value key=value ]" and returns what follows the bracket.
func parseOptions(s string, into map[string]string) (rest string, err error) {
	for {
		s = strings.TrimLeft(s, " \t\r")
		if s == "" {
			return "", fmt.Errorf("the options' closing bracket is missing")
		}
		if s[0] == ']' {
			return s[1:], nil
		}
		end := strings.IndexAny(s, " \t\r]")
		if end < 0 {
			end = len(s)
		}
		key, value, ok := strings.Cut(s[:end], "=")
		if !ok || key == "" || value == "" {
			return "", fmt.Errorf("option %.60q is not key=value", s[:end])
		}
		into[strings.ToLower(key)] = strings.Trim(value, `"`)
		s = s[end:]
	}
}

// nextWord takes one word off a line. Double quotes and square brackets hold white space together:
// "cdrom:[Debian 12 _Bookworm_]/".
func nextWord(s string) (word, rest string, err error) {
	s = strings.TrimLeft(s, " \t\r")
	var b strings.Builder
	closer := byte(0)
	for i := range len(s) {
		c := s[i]
		switch {
		case closer != 0 && c == closer:
			closer = 0
			if c == '"' {
				continue
			}
		case closer != 0:
		case c == '"':
			closer = '"'
			continue
		case c == '[':
			closer = ']'
		case c == ' ' || c == '\t' || c == '\r':
			return b.String(), s[i:], nil
		}
		b.WriteByte(c)
	}
	if closer != 0 {
		return "", "", fmt.Errorf("%q is missing", string(closer))
	}
	return b.String(), "", nil
}

// mirror resolves a mirror+file: URI: the list is a file of the image, a URI a line with optional tags
// (apt-transport-mirror(1)). The one with the lowest priority number is taken, the first of equals.
func (p *sourceParser) mirror(e entry, rest string) (string, error) {
	name := strings.TrimLeft(rest, "/")
	data, ok, err := readConfig(p.root, name, maxConfigFile)
	if err != nil {
		return "", err
	}
	if !ok {
		return "", e.errorf("the mirror list %s does not exist", name)
	}
	best, priority := "", math.MaxInt
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		n := math.MaxInt - 1
		for _, tag := range fields[1:] {
			if v, ok := strings.CutPrefix(tag, "priority:"); ok {
				if i, err := strconv.Atoi(v); err == nil {
					n = i
				}
			}
		}
		if n < priority {
			best, priority = fields[0], n
		}
	}
	if !strings.HasPrefix(best, "http://") && !strings.HasPrefix(best, "https://") {
		return "", e.errorf("the mirror list %s names no http: or https: mirror first", name)
	}
	return best, nil
}

// snapshotURI applies the option snapshot=ID (apt 2.7 and later), which fixes a source to a moment, for the
// archives whose snapshot service apt knows (Acquire::Snapshots::URI in apt.conf). "enable" alone only
// allows apt's --snapshot.
func snapshotURI(e entry, uri string) (string, error) {
	id := e.options["snapshot"]
	if strings.EqualFold(id, "enable") || !parseBool(id, true) {
		return uri, nil
	}
	if strings.Trim(id, "0123456789TZ") != "" {
		return "", e.errorf("not a snapshot: %.40q", id)
	}
	services := []struct{ archive, service string }{
		{"deb.debian.org/debian", "https://snapshot.debian.org/archive/debian/" + id},
		{"ftp.debian.org/debian", "https://snapshot.debian.org/archive/debian/" + id},
		{"deb.debian.org/debian-security", "https://snapshot.debian.org/archive/debian-security/" + id},
		{"security.debian.org/debian-security", "https://snapshot.debian.org/archive/debian-security/" + id},
		{"archive.ubuntu.com/ubuntu", "https://snapshot.ubuntu.com/ubuntu/" + id},
		{"security.ubuntu.com/ubuntu", "https://snapshot.ubuntu.com/ubuntu/" + id},
	}
	_, bare, _ := strings.Cut(strings.TrimRight(uri, "/"), "://")
	for _, s := range services {
		if bare == s.archive {
			return s.service, nil
		}
	}
	return "", e.errorf("snapshot=%s: no snapshot service is known for %s", id, uri)
}
