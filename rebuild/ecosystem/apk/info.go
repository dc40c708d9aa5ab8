package apk

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
)

// Info is a package's .PKGINFO: lines "key = value", in order. Keys such as depend and provides repeat.
type Info []InfoLine

// InfoLine is one line of .PKGINFO.
type InfoLine struct{ Key, Value string }

var (
	errNoPackage = errors.New(".PKGINFO lacks pkgname or pkgver")
	errControl   = errors.New(".PKGINFO: a control character")
)

// ParseInfo reads .PKGINFO. As in apk, lines without " = " say nothing.
func ParseInfo(data []byte) (Info, error) {
	var info Info
	for line := range strings.Lines(string(data)) {
		line = strings.TrimRight(line, "\n")
		key, value, ok := strings.Cut(line, " = ")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
			return nil, fmt.Errorf("%w in %s", errControl, key)
		}
		info = append(info, InfoLine{key, value})
	}
	if info.Get("pkgname") == "" || info.Get("pkgver") == "" {
		return nil, errNoPackage
	}
	return info, nil
}

// Get returns the last value of a key, "" if there is none.
func (i Info) Get(key string) string {
	for k := len(i) - 1; k >= 0; k-- {
		if i[k].Key == key {
			return i[k].Value
		}
	}
	return ""
}

// All returns the values of a repeated key, separated by spaces as in an index.
func (i Info) All(key string) string {
	var all []string
	for _, l := range i {
		if l.Key == key && l.Value != "" {
			all = append(all, l.Value)
		}
	}
	return strings.Join(all, " ")
}

// Package gives what the package says of itself.
func (i Info) Package() ecosystem.Package {
	p := ecosystem.Package{
		Key:     ecosystem.Key{Name: i.Get("pkgname"), Arch: i.Get("arch")},
		Version: i.Get("pkgver"), Source: i.Get("origin"), MultiArch: multiArch,
	}
	p.SourceVersion = p.Version
	if p.Source == "" {
		p.Source = p.Name
	}
	p.InstalledSize, _ = strconv.ParseInt(i.Get("size"), 10, 64)
	p.Requires, p.Conflicts = requirements(i.All("depend"))
	p.Provides = provisions(i.All("provides"))
	p.Conflicts = append(p.Conflicts, exclusions(p.Provides)...)
	return p
}

// indexKeys are the lines of a stanza in the order in which apk writes them (apk_pkg_write_index_entry in src/package.c),
// with the keys of .PKGINFO that they come from. C and S are the package file's own.
var indexKeys = []struct {
	letter byte
	key    string
}{
	{'C', ""},
	{'P', "pkgname"},
	{'V', "pkgver"},
	{'A', "arch"},
	{'S', ""},
	{'I', "size"},
	{'T', "pkgdesc"},
	{'U', "url"},
	{'L', "license"},
	{'o', "origin"},
	{'m', "maintainer"},
	{'t', "builddate"},
	{'c', "commit"},
	{'k', "provider_priority"},
	{'D', "depend"},
	{'p', "provides"},
	{'i', "install_if"},
}

// noArch is the architecture of packages that run on all of them.
const noArch = "noarch"

// stanza writes the part of a database entry that an index has as well. apk takes it from the index, and an index may state
// another architecture than the packages: Alpine's have its own in place of noarch. So a package that runs on all keeps
// what the entry of its old version had.
func (i Info) stanza(sum Checksum, size int64, oldArch string) string {
	var b strings.Builder
	for _, l := range indexKeys {
		value := i.Get(l.key)
		switch l.letter {
		case 'D', 'p', 'i':
			value = i.All(l.key)
		case 'C':
			value = sum.String()
		case 'S':
			value = strconv.FormatInt(size, 10)
		case 'A':
			if value == noArch && oldArch != "" {
				value = oldArch
			}
		case 'I':
			if value == "" {
				value = "0"
			}
		case 'T', 'U', 'L':
			// These are written even where they are empty.
		case 't', 'k':
			if value == "0" {
				value = ""
			}
		}
		if value != "" || l.letter == 'T' || l.letter == 'U' || l.letter == 'L' {
			fmt.Fprintf(&b, "%c:%s\n", l.letter, value)
		}
	}
	return b.String()
}
