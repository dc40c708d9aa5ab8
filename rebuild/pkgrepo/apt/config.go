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
)

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
	defer f.Close() //nolint:errcheck // only read
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
	var (
		all  []stanza
		cur  stanza
		last string
	)
	for n := 1; len(data) > 0; n++ {
		var raw []byte
		raw, data, _ = bytes.Cut(data, []byte("\n"))
		line := strings.TrimRight(string(raw), " \t\r")
		switch {
		case strings.HasPrefix(line, "#"):
		case line == "":
			if cur.fields != nil {
				all = append(all, cur)
			}
			cur, last = stanza{}, ""
		case line[0] == ' ' || line[0] == '\t':
			if last == "" {
				return nil, &ConfigError{file, n, "continuation line without a field"}
			}
			cur.fields[last] += "\n" + strings.TrimLeft(line, " \t")
		default:
			name, value, ok := strings.Cut(line, ":")
			name = strings.ToLower(strings.TrimSpace(name))
			if !ok || name == "" || strings.ContainsAny(name, " \t") {
				return nil, &ConfigError{file, n, fmt.Sprintf("not a field: %.60q", line)}
			}
			if cur.fields == nil {
				cur = stanza{line: n, fields: make(map[string]string)}
			}
			if _, twice := cur.fields[name]; twice {
				return nil, &ConfigError{file, n, fmt.Sprintf("field %q appears twice", name)}
			}
			cur.fields[name], last = strings.TrimSpace(value), name
		}
	}
	if cur.fields != nil {
		all = append(all, cur)
	}
	return all, nil
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
