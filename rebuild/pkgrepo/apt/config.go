package apt

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
)

// The bounds of what is read from an image's configuration. Real files are a few kilobytes.
const (
	maxConfigFile  = 1 << 20
	maxConfigFiles = 500
	maxSources     = 500
	// maxWords bounds the components of a source, its keyrings, its architectures.
	maxWords = 100
	maxPins  = 5000
	maxNotes = 100
)

// Wants tells whether this package reads the regular file at a clean path of an image, as far as that is known
// before the configuration is: the configuration of apt, os-release, keyrings in their usual places. A
// Signed-By may name a file elsewhere.
func Wants(name string) bool {
	switch name {
	case "etc/os-release", "usr/lib/os-release":
		return true
	}
	return strings.HasPrefix(name, "etc/apt/") || strings.HasPrefix(name, "usr/share/keyrings/")
}

// ConfigError says that a file of apt's configuration, the image's or one given in its place, cannot be
// followed. Line is 0 where it concerns the whole file.
type ConfigError struct {
	File   string
	Line   int
	Reason string
}

func (e *ConfigError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s", e.File, e.Reason)
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Reason)
}

// readConfig reads a file of at most limit bytes. ok is false where there is none.
func readConfig(root fs.FS, name string, limit int64) (data []byte, ok bool, err error) {
	f, err := root.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("reading %s: %w", name, err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, false, &ConfigError{File: name, Reason: "not a regular file"}
	}
	data, err = io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, false, fmt.Errorf("reading %s: %w", name, err)
	}
	if int64(len(data)) > limit {
		return nil, false, &ConfigError{File: name, Reason: fmt.Sprintf("larger than %d bytes", limit)}
	}
	return data, true, nil
}

// listParts lists, sorted, the files of a directory like sources.list.d that apt would read: those with
// one of the given extensions and a name of letters, digits, "_", "-", "." and ":".
func listParts(root fs.FS, dir string, extensions ...string) ([]string, error) {
	entries, err := fs.ReadDir(root, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", dir, err)
	}
	var names []string
	for _, e := range entries {
		name := e.Name()
		if strings.HasPrefix(name, ".") || e.IsDir() || !plainName(name) || !hasExtension(name, extensions) {
			continue
		}
		if len(names) == maxConfigFiles {
			return nil, &ConfigError{File: dir, Reason: fmt.Sprintf("more than %d files", maxConfigFiles)}
		}
		names = append(names, path.Join(dir, name))
	}
	return names, nil
}

func plainName(name string) bool {
	return strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.:") == ""
}

// hasExtension takes "" for "no extension at all".
func hasExtension(name string, extensions []string) bool {
	ext := path.Ext(name)
	for _, e := range extensions {
		if ext == e {
			return true
		}
	}
	return false
}

// stanza is one paragraph of a deb822 file (deb822(5)).
type stanza struct {
	// line is where it starts, counted from 1.
	line int
	// fields maps lower-case names to values: white space at the ends of every line is cut off, lines are
	// joined by "\n".
	fields map[string]string
}

func (s stanza) get(name string) string { return s.fields[name] }

// words splits a field at white space, as the multi-value fields of a .sources file are.
func (s stanza) words(name string) []string { return strings.Fields(s.fields[name]) }

// parseStanzas reads a deb822 file with comments: lines that start with "#".
func parseStanzas(file string, data []byte) ([]stanza, error) {
	p := stanzaParser{file: file}
	for n := 1; len(data) > 0; n++ {
		var line []byte
		line, data, _ = bytes.Cut(data, []byte("\n"))
		if err := p.line(n, strings.TrimRight(string(line), " \t\r")); err != nil {
			return nil, err
		}
	}
	p.endStanza()
	return p.all, nil
}

type stanzaParser struct {
	file string
	all  []stanza
	cur  stanza
	// field is the one that continuation lines add to, value its lines so far.
	field string
	value []string
}

func (p *stanzaParser) line(n int, line string) error {
	fail := func(format string, args ...any) error { return &ConfigError{p.file, n, fmt.Sprintf(format, args...)} }
	switch {
	case strings.HasPrefix(line, "#"):
	case line == "":
		p.endStanza()
	case line[0] == ' ' || line[0] == '\t':
		if p.field == "" {
			return fail("continuation line without a field")
		}
		p.value = append(p.value, strings.TrimLeft(line, " \t"))
	default:
		name, value, ok := strings.Cut(line, ":")
		name = strings.ToLower(strings.TrimSpace(name))
		if !ok || name == "" || strings.ContainsAny(name, " \t") {
			return fail("not a field: %.60q", line)
		}
		p.endField()
		if p.cur.fields == nil {
			p.cur = stanza{line: n, fields: make(map[string]string)}
		}
		if _, twice := p.cur.fields[name]; twice {
			return fail("field %.60q appears twice", name)
		}
		p.field, p.value = name, append(p.value, strings.TrimSpace(value))
	}
	return nil
}

func (p *stanzaParser) endField() {
	if p.field != "" {
		p.cur.fields[p.field] = strings.Join(p.value, "\n")
	}
	p.field, p.value = "", p.value[:0]
}

func (p *stanzaParser) endStanza() {
	p.endField()
	if p.cur.fields != nil {
		p.all = append(p.all, p.cur)
	}
	p.cur = stanza{}
}

// parseBool reads a truth value as apt does; def where it is none.
func parseBool(s string, def bool) bool {
	switch strings.ToLower(s) {
	case "yes", "true", "with", "on", "enable", "1":
		return true
	case "no", "false", "without", "off", "disable", "0":
		return false
	}
	return def
}
