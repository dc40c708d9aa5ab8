package dpkg

import (
	"archive/tar"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/nanopatch/nanopatch/rebuild/layer"
)

// The places of dpkg's configuration (dpkg.cfg(5)).
const (
	configDir  = "etc/dpkg/dpkg.cfg.d"
	configPath = "etc/dpkg/dpkg.cfg"
	// homeConfigPath is read too: dpkg runs with root's HOME.
	homeConfigPath = "root/.dpkg.cfg"
)

// filters are the path-exclude and path-include options of dpkg's configuration, in the order in which dpkg reads
// them. Slim images use them to leave out documentation and translations.
type filters []filter

type filter struct {
	pattern string
	include bool
}

// isConfigName tells whether dpkg reads a file of this name in dpkg.cfg.d (valid_config_filename in lib/dpkg/options.c).
func isConfigName(name string) bool {
	for i := range len(name) {
		if !isAlnum(name[i]) && name[i] != '_' && name[i] != '-' {
			return false
		}
	}
	return name != ""
}

// parseConfig takes the filters out of one configuration file.
func parseConfig(data []byte) filters {
	var fs filters
	for _, line := range strings.Split(string(data), "\n") {
		line = strings.TrimRight(line, spaces)
		n := strings.IndexFunc(line, func(r rune) bool { return r != '-' && (r > 0x7f || !isAlnum(byte(r))) })
		if n < 0 || line[0] == '#' {
			continue
		}
		option, value := line[:n], strings.TrimLeft(strings.TrimPrefix(line[n:], "="), spaces)
		if option != "path-exclude" && option != "path-include" {
			continue
		}
		if len(value) >= 2 && (value[0] == '"' || value[0] == '\'') && value[len(value)-1] == value[0] {
			value = value[1 : len(value)-1]
		}
		fs = append(fs, filter{pattern: value, include: option == "path-include"})
	}
	return fs
}

// skips tells whether dpkg leaves an archive entry out: filter_should_skip in src/main/filters.c. The last matching
// option decides; directories and links stay where an include below them may need them.
func (fs filters) skips(e *layer.Entry) bool {
	skip := false
	name := listName(e.Path)
	for _, f := range fs {
		if skip == f.include && fnmatch(f.pattern, name) {
			skip = !f.include
		}
	}
	if !skip || e.Type != tar.TypeDir && e.Type != tar.TypeSymlink {
		return skip
	}
	for _, f := range fs {
		if !f.include {
			continue
		}
		literal := f.pattern
		if n := strings.IndexAny(literal, `*?[\`); n >= 0 {
			literal = literal[:n]
		}
		if strings.HasPrefix(name, strings.TrimRight(literal, "/")) {
			return false
		}
	}
	return skip
}

// fnmatch is fnmatch(3) without flags: unlike in [path.Match], * and ? match slashes.
func fnmatch(pattern, name string) bool {
	// Backtracking to the last star only is enough, and keeps hostile patterns from taking exponential time.
	star, retry := -1, 0
	p, n := 0, 0
	for n < len(name) {
		if p < len(pattern) && pattern[p] == '*' {
			star, retry = p, n
			p++
			continue
		}
		if used, width := matchOne(pattern[p:], name[n:]); used > 0 {
			p += used
			n += width
			continue
		}
		if star < 0 {
			return false
		}
		_, width := utf8.DecodeRuneInString(name[retry:])
		retry += width
		p, n = star+1, retry
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// matchOne matches one character of name with the start of pattern. It returns how many bytes of each that takes,
// zero if there is no match.
func matchOne(pattern, name string) (used, width int) {
	if pattern == "" {
		return 0, 0
	}
	_, width = utf8.DecodeRuneInString(name)
	switch pattern[0] {
	case '?':
		return 1, width
	case '[':
		if end := bracketEnd(pattern); end > 0 {
			// What is between brackets means the same to path.Match, but for the negation's sign.
			set := pattern[1:end]
			negate := set[0] == '!' || set[0] == '^'
			if negate {
				set = set[1:]
			}
			in, err := path.Match("["+set+"]", name[:width])
			if err != nil {
				return 0, 0
			}
			if in != negate {
				return end + 1, width
			}
			return 0, 0
		}
	case '\\':
		if len(pattern) > 1 && pattern[1] == name[0] {
			return 2, 1
		}
		return 0, 0
	}
	if pattern[0] == name[0] {
		return 1, 1
	}
	return 0, 0
}

// bracketEnd finds the ] that closes the bracket expression pattern starts with, 0 if none does.
func bracketEnd(pattern string) int {
	i := 1
	if i < len(pattern) && (pattern[i] == '!' || pattern[i] == '^') {
		i++
	}
	for i++; i < len(pattern); i++ {
		if pattern[i] == ']' {
			return i
		}
	}
	return 0
}
