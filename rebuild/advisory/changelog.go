package advisory

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/layer"
	"github.com/nanopatch/nanopatch/rebuild/version"
)

// maxChangelog bounds what is read of one changelog, in bytes unpacked. The longest in Debian, the kernel's, has 3 MB.
const maxChangelog = 32 << 20

// maxLine bounds a changelog's line, in bytes.
const maxLine = 1 << 20

// Entry is one version's part of a Debian changelog.
type Entry struct {
	Source, Version string
	// CVEs are the identifiers that the entry names, in its order.
	CVEs []string
}

// heading begins an entry: "openssl (3.0.15-1~deb12u1) bookworm; urgency=medium" (deb-changelog(5)).
var heading = regexp.MustCompile(`^([A-Za-z0-9][-+0-9A-Za-z.]*) \(([^()\s]+)\)(?:\s+[-+0-9A-Za-z.]+)+;`)

// ReadChangelog reads a Debian changelog, the newest entry first as it stands there. What comes before the first heading, and
// in a text that is no Debian changelog all of it, is no entry's.
func ReadChangelog(r io.Reader) ([]Entry, error) {
	var entries []Entry
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 4096), maxLine)
	for lines.Scan() {
		line := lines.Text()
		if m := heading.FindStringSubmatch(line); m != nil {
			entries = append(entries, Entry{Source: m[1], Version: m[2]})
			continue
		}
		if n := len(entries); n > 0 {
			entries[n-1].CVEs = append(entries[n-1].CVEs, cve.FindAllString(line, -1)...)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading the changelog: %w", err)
	}
	return entries, nil
}

// logs are the changelogs in the package files of a run, by source package and version: all packages of one build have the same,
// and some have only a link to another's.
type logs map[build][]Entry

type build struct{ source, version string }

func (u *Update) build() build { return build{u.Source, u.SourceTo} }

func changelogs(updates []Update) logs {
	all := make(logs)
	for i := range updates {
		u := &updates[i]
		if u.Type != "deb" || u.Files == nil || all[u.build()] != nil {
			continue
		}
		if entries := u.changelog(); entries != nil {
			all[u.build()] = entries
		}
	}
	return all
}

// changelog reads the changelog in an update's package file, nil where there is none. Policy manual 12.7: a package has
// changelog.Debian.gz; one that is Debian's own has changelog.gz instead, which elsewhere is the upstream author's.
func (u *Update) changelog() []Entry {
	dir := "usr/share/doc/" + u.Name
	for _, name := range []string{"changelog.Debian.gz", "changelog.Debian", "changelog.gz", "changelog"} {
		entries, err := readEntries(u.Files, path.Join(dir, name))
		if err != nil || len(entries) == 0 {
			continue // a link, or not a changelog: another package of the build may have it
		}
		if !strings.HasPrefix(name, "changelog.Debian") && entries[0].Source != u.Source {
			continue
		}
		return entries
	}
	return nil
}

// rebuilds are the entries of binary-only rebuilds, which are kept in a file of their own: changelog.Debian.amd64.gz.
func (u *Update) rebuilds() []Entry {
	for i := range u.Files.Entries {
		e := &u.Files.Entries[i]
		dir, name := path.Split(e.Path)
		if dir != "usr/share/doc/"+u.Name+"/" || e.Type != tar.TypeReg {
			continue
		}
		arch, ok := strings.CutPrefix(strings.TrimSuffix(name, ".gz"), "changelog.Debian.")
		if !ok || arch == "" {
			continue
		}
		if entries, err := readEntries(u.Files, e.Path); err == nil {
			return entries
		}
	}
	return nil
}

var errNoChangelog = errors.New("no such file")

func readEntries(files *layer.Index, name string) ([]Entry, error) {
	e, ok := files.Lookup(name)
	if !ok {
		return nil, errNoChangelog
	}
	f, err := files.Open(e)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(name, ".gz") {
		z, err := gzip.NewReader(f)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		defer z.Close()
		r = z
	}
	limited := &limitedReader{r: r, left: maxChangelog}
	return ReadChangelog(limited)
}

// limitedReader fails where there is more to read than it may.
type limitedReader struct {
	r    io.Reader
	left int64
}

var errTooLarge = errors.New("larger than is read")

func (l *limitedReader) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, errTooLarge
	}
	n, err := l.r.Read(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	return n, err
}

// binaryRebuild is what a rebuild of the binary packages alone appends to the source's version (policy manual 5.6.12).
var binaryRebuild = regexp.MustCompile(`\+b[0-9]+$`)

// of gives what the changelogs say of an update; ok is false where there is none.
func (l logs) of(u *Update) (s Statement, ok bool) {
	if u.Type != "deb" || u.Files == nil {
		return Statement{}, false
	}
	entries := l[u.build()]
	if entries == nil {
		return Statement{}, false
	}
	// Entries have versions of the source package, those of binary rebuilds with what these append.
	from, to := u.SourceFrom+binaryRebuild.FindString(u.From), u.SourceTo+binaryRebuild.FindString(u.To)
	var ids []string
	reached := false
	for _, e := range append(u.rebuilds(), entries...) {
		if between(version.Deb, from, e.Version, to) {
			ids = append(ids, e.CVEs...)
		}
		n, err := version.Deb.Compare(e.Version, from)
		reached = reached || err == nil && n <= 0
	}
	return Statement{Kind: Changelog, Name: u.Source + " " + u.SourceTo, CVEs: sorted(ids), Incomplete: !reached}, true
}
