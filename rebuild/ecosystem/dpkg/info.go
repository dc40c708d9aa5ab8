package dpkg

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
)

// The places of dpkg's database (dpkg(1), FILES), as clean paths.
const (
	adminDir         = "var/lib/dpkg"
	statusPath       = adminDir + "/status"
	dropInDir        = adminDir + "/status.d"
	infoDir          = adminDir + "/info"
	infoFormatPath   = infoDir + "/format"
	diversionsPath   = adminDir + "/diversions"
	statOverridePath = adminDir + "/statoverride"
	triggersDir      = adminDir + "/triggers"
	fileTriggersPath = triggersDir + "/File"
)

// The control files that mean something to dpkg itself.
const (
	infoList      = "list"
	infoMD5Sums   = "md5sums"
	infoConffiles = "conffiles"
	infoTriggers  = "triggers"
	infoControl   = "control"
)

// infoPath is where the database keeps a control file of a package: coinstallable packages carry their architecture
// in the name, unless the database has dpkg's old layout (pkg_infodb_get_file in lib/dpkg/db-ctrl-access.c).
func infoPath(p ecosystem.Package, multiarchLayout bool, kind string) string {
	return infoDir + "/" + infoBase(p, multiarchLayout) + "." + kind
}

func infoBase(p ecosystem.Package, multiarchLayout bool) string {
	if multiarchLayout && p.MultiArch == "same" && p.Arch != "" {
		return p.Name + ":" + p.Arch
	}
	return p.Name
}

// splitInfoPath takes "var/lib/dpkg/info/libc6:amd64.list" apart into "libc6:amd64" and "list".
func splitInfoPath(p string) (base, kind string, ok bool) {
	dir, name := path.Split(p)
	dot := strings.LastIndexByte(name, '.')
	if dir != infoDir+"/" || dot <= 0 {
		return "", "", false
	}
	return name[:dot], name[dot+1:], true
}

var errEscapes = errors.New("path leads out of the root")

// cleanPath turns a name as dpkg writes it ("/usr/bin/ls", "./usr/bin/", "/.") into a clean path relative to the root.
func cleanPath(name string) (string, error) {
	p := strings.TrimLeft(name, "/")
	if p == "" && name == "" {
		return "", errors.New("empty path")
	}
	p = path.Clean(p)
	if p == ".." || strings.HasPrefix(p, "../") {
		return "", errEscapes
	}
	return p, nil
}

// listName is a clean path as dpkg's file lists spell it.
func listName(p string) string { return "/" + p }

// parseList reads info/*.list: one path a line, in the order of the package's archive.
func parseList(data []byte) ([]string, error) {
	if len(data) > maxDatabase {
		return nil, fmt.Errorf("file of %d bytes is larger than the %d that are read", len(data), maxDatabase)
	}
	paths := make([]string, 0, bytes.Count(data, []byte{'\n'}))
	for line := 1; len(data) > 0; line++ {
		name, rest, ok := bytes.Cut(data, []byte{'\n'})
		if !ok {
			return nil, syntaxErrorf(line, "the file ends in the middle of a line: it is truncated")
		}
		p, err := cleanPath(string(name))
		if err != nil {
			return nil, syntaxErrorf(line, "%v: %.200q", err, name)
		}
		paths = append(paths, p)
		data = rest
	}
	return paths, nil
}

// formatList writes info/*.list: write_filelist_except in lib/dpkg/db-fsys-files.c.
func formatList(paths []string) []byte {
	var b bytes.Buffer
	for _, p := range paths {
		b.WriteString(listName(p) + "\n")
	}
	return b.Bytes()
}

// digest is an MD5, the only digest that dpkg's database has.
type digest [16]byte

func (d digest) String() string { return hex.EncodeToString(d[:]) }

func parseDigest(s string) (digest, bool) {
	var d digest
	if len(s) != hex.EncodedLen(len(d)) {
		return d, false
	}
	_, err := hex.Decode(d[:], []byte(s))
	return d, err == nil
}

// parseMD5Sums reads info/*.md5sums: a digest, two spaces and a path without a leading slash on each line. Lines that
// are none are passed over: md5sum(1) writes others for odd names, and a missing digest only means one check less.
func parseMD5Sums(data []byte) map[string]digest {
	sums := make(map[string]digest, bytes.Count(data, []byte{'\n'}))
	for line := range bytes.Lines(data) {
		line = bytes.TrimRight(line, "\n")
		const width = 2 * len(digest{})
		if len(line) < width+3 || line[width] != ' ' {
			continue
		}
		d, ok := parseDigest(string(line[:width]))
		p, err := cleanPath(string(line[width+2:]))
		if ok && err == nil {
			sums[p] = d
		}
	}
	return sums
}

// formatMD5Sums writes what dpkg writes for a package that ships no md5sums: write_filehash_except in
// lib/dpkg/db-fsys-digest.c.
func formatMD5Sums(paths []string, sums map[string]digest) []byte {
	var b bytes.Buffer
	for _, p := range paths {
		if d, ok := sums[p]; ok {
			fmt.Fprintf(&b, "%s  %s\n", d, p)
		}
	}
	return b.Bytes()
}

// declaredConffile is one line of a package's conffiles control file.
type declaredConffile struct {
	path            string
	removeOnUpgrade bool
}

// parseDeclaredConffiles reads a package's conffiles: one absolute path a line, behind "remove-on-upgrade " where the
// package wants rid of it (deb-conffiles(5)).
func parseDeclaredConffiles(data []byte) ([]declaredConffile, error) {
	var all []declaredConffile
	for line := 1; len(data) > 0; line++ {
		raw, rest, ok := bytes.Cut(data, []byte{'\n'})
		if !ok {
			return nil, syntaxErrorf(line, "missing final newline")
		}
		data = rest
		name := strings.TrimRight(string(raw), spaces)
		if name == "" {
			continue
		}
		c := declaredConffile{}
		name, c.removeOnUpgrade = strings.CutPrefix(name, "remove-on-upgrade ")
		if !strings.HasPrefix(name, "/") {
			return nil, syntaxErrorf(line, "conffile %.200q is not an absolute path", name)
		}
		p, err := cleanPath(name)
		if err != nil || p == "." {
			return nil, syntaxErrorf(line, "conffile %.200q is not a path below the root", name)
		}
		c.path = p
		all = append(all, c)
	}
	return all, nil
}
