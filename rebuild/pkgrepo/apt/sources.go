package apt

import (
	"bytes"
	"fmt"
	"io/fs"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
)

// Configured is what is known about an image's repositories before any is contacted.
type Configured struct {
	Sources []Source
	// Notes say, a line each, what the configuration holds that is not followed, and why.
	Notes []string
}

// Sources tells which repositories an image uses. root is its tree, arch dpkg's name of its architecture.
//
// Without overrides these are the enabled sources of etc/apt/sources.list and sources.list.d, in both
// formats; an image that has none gets the defaults of its distribution (see Defaults), said in a note.
// Repositories that only exist on the machine that built the image (cdrom:, file:, copy:) are noted and
// left out: file: would name a path of this host. deb-src is ignored. Check-Valid-Until: no and Check-Date: no
// are followed for snapshot.debian.org and snapshot.ubuntu.com only, and noted either way.
//
// Each override takes the place of all that. It is one of
//   - a line in the one-line format: "deb [signed-by=…] http://… bookworm main";
//   - a base, as an http:, https: or file: URL or as a directory: it becomes one Source with an empty Suite.
//     Of the image's codename, codename-updates and codename-security those are used that the base has below
//     dists/, each with those of the distribution's default components that it offers, or with all that it
//     offers where these are none of the default ones. A base that has none of them is a flat repository.
//     Debian's security suite has a base of its own: that takes a second override;
//   - a file in either format: deb822 if its name ends in ".sources" or a line starts with "Types:".
//
// A Signed-By in an override names keyrings of the image, as in the image's own configuration; keys from
// elsewhere are given by Options.Keyring.
func Sources(root fs.FS, arch string, overrides ...string) (*Configured, error) {
	p := &sourceParser{root: root, arch: arch}
	if len(overrides) > 0 {
		p.trusted = true
		for _, spec := range overrides {
			if err := p.override(spec); err != nil {
				return nil, err
			}
		}
		return p.result()
	}
	if err := p.image(); err != nil {
		return nil, err
	}
	if len(p.out) > 0 {
		return p.result()
	}
	distro, err := ReadDistro(root)
	if err != nil {
		return nil, err
	}
	p.notef("the image configures no usable repository: using the defaults of %s", distro)
	if p.out, err = Defaults(distro, arch); err != nil {
		return nil, err
	}
	return p.result()
}

const (
	sourcesList  = "etc/apt/sources.list"
	sourcesParts = "etc/apt/sources.list.d"
)

// sourceParser collects sources from files in either format.
type sourceParser struct {
	root fs.FS
	arch string
	// trusted says that the caller, not the image, names the sources: file: URLs are allowed.
	trusted bool
	out     []Source
	notes   []string
}

func (p *sourceParser) result() (*Configured, error) {
	merged, err := merge(p.out)
	if err != nil {
		return nil, err
	}
	return &Configured{Sources: merged, Notes: p.notes}, nil
}

func (p *sourceParser) notef(format string, args ...any) {
	if len(p.notes) < maxNotes {
		p.notes = append(p.notes, fmt.Sprintf(format, args...))
	}
}

func (p *sourceParser) image() error {
	names := []string{sourcesList}
	parts, err := listParts(p.root, sourcesParts, ".list", ".sources")
	if err != nil {
		return err
	}
	for _, name := range append(names, parts...) {
		data, ok, err := readConfig(p.root, name, maxConfigFile)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		if err := p.file(name, data); err != nil {
			return err
		}
	}
	return nil
}

// file parses a sources file in either format.
func (p *sourceParser) file(name string, data []byte) error {
	if path.Ext(name) == ".sources" || (path.Ext(name) != ".list" && looksLikeDeb822(data)) {
		return p.deb822(name, data)
	}
	return p.oneLine(name, data)
}

func looksLikeDeb822(data []byte) bool {
	for line := range bytes.Lines(data) {
		if len(line) >= 6 && strings.EqualFold(string(line[:6]), "types:") {
			return true
		}
	}
	return false
}

// deb822 parses a .sources file: sources.list(5), "DEB822-STYLE FORMAT".
func (p *sourceParser) deb822(file string, data []byte) error {
	stanzas, err := parseStanzas(file, data)
	if err != nil {
		return err
	}
	for _, s := range stanzas {
		e := entry{file: file, line: s.line, uris: s.words("uris"), suites: s.words("suites"), components: s.words("components")}
		if !parseBool(s.get("enabled"), true) {
			continue
		}
		if s.get("types") == "" {
			return e.errorf("no Types")
		}
		e.options = map[string]string{}
		for name, value := range s.fields {
			e.options[deb822Option(name)] = value
		}
		for _, kind := range s.words("types") {
			if err := p.add(kind, e); err != nil {
				return err
			}
		}
	}
	return nil
}

// deb822Option gives a deb822 field the name it has as an option of the one-line format.
func deb822Option(field string) string {
	switch field {
	case "architectures":
		return "arch"
	case "architectures-add":
		return "arch+"
	case "architectures-remove":
		return "arch-"
	}
	return field
}

// entry is one line or stanza, before its URIs and suites are multiplied out.
type entry struct {
	file                     string
	line                     int
	uris, suites, components []string
	// options have the names of the one-line format.
	options map[string]string
}

func (e entry) errorf(format string, args ...any) error {
	return &ConfigError{e.file, e.line, fmt.Sprintf(format, args...)}
}

func (e entry) from() string {
	if e.line == 0 {
		return e.file
	}
	return fmt.Sprintf("%s:%d", e.file, e.line)
}

// add turns an entry into sources.
func (p *sourceParser) add(kind string, e entry) error {
	switch kind {
	case "deb":
	case "deb-src":
		return nil
	default:
		return e.errorf("unknown type %.30q", kind)
	}
	if len(e.uris) == 0 || len(e.suites) == 0 {
		return e.errorf("no URI or no suite")
	}
	proto, err := p.prototype(e)
	if err != nil {
		return err
	}
	for _, uri := range e.uris {
		uri, ok, err := p.uri(e, uri)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		s := proto
		s.URI = uri
		p.freshness(e, &s)
		for _, suite := range e.suites {
			s.Suite = strings.ReplaceAll(suite, "$(ARCH)", p.arch)
			if err := checkSuite(e, s); err != nil {
				return err
			}
			if len(p.out) == maxSources {
				return e.errorf("more than %d sources", maxSources)
			}
			p.out = append(p.out, s)
		}
	}
	return nil
}

// checkSuite refuses what apt refuses, and what would lead out of the repository or garble a message.
func checkSuite(e entry, s Source) error {
	switch {
	case s.Flat() && len(s.Components) > 0:
		return e.errorf("suite %q is a directory and cannot have components", s.Suite)
	case !s.Flat() && len(s.Components) == 0:
		return e.errorf("suite %q has no component", s.Suite)
	}
	for _, name := range append([]string{s.Suite}, s.Components...) {
		if slices.Contains(strings.Split(name, "/"), "..") || strings.ContainsAny(name, "?#%\\") || !printable(name) {
			return e.errorf("unusable suite or component %.60q", name)
		}
	}
	return nil
}

// printable tells whether s is ASCII without control characters.
func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

// prototype reads the options that all sources of an entry share.
func (p *sourceParser) prototype(e entry) (Source, error) {
	s := Source{Components: e.components, From: e.from()}
	opt := e.options
	signedBy, problem := parseSignedBy(opt["signed-by"])
	if problem != "" {
		return s, e.errorf("%s", problem)
	}
	s.SignedBy = signedBy
	s.NoByHash = !parseBool(opt["by-hash"], true)
	for _, insecure := range []string{"trusted", "allow-insecure", "allow-weak", "allow-downgrade-to-insecure"} {
		if parseBool(opt[insecure], false) {
			p.notef("%s: %s is not honoured: the repository's signature is checked like any other", e.from(), insecure)
		}
	}
	if opt["inrelease-path"] != "" {
		return s, e.errorf("the option inrelease-path is not supported")
	}
	s.Architectures = p.architectures(opt)
	if max(len(s.Components), len(s.Architectures), len(signedBy.Files), len(signedBy.Fingerprints)) > maxWords {
		return s, e.errorf("more than %d components, architectures or keyrings", maxWords)
	}
	return s, nil
}

// freshness applies check-date and check-valid-until. An image may not switch them off for a mirror, which could
// then hide every update for good; a snapshot is out of date by its nature.
func (p *sourceParser) freshness(e entry, s *Source) {
	var off []string
	for _, name := range []string{"check-date", "check-valid-until"} {
		if !parseBool(e.options[name], true) {
			off = append(off, name)
		}
	}
	if len(off) == 0 {
		return
	}
	what := strings.Join(off, "=no, ") + "=no"
	switch {
	case p.trusted:
	case isSnapshot(s.URI):
		p.notef("%s: %s: how old %s is does not count", e.from(), what, s.URI)
	default:
		p.notef("%s: %s is not honoured for %s, which is no snapshot: name it with %s if it is to be used although out of date",
			e.from(), what, s.URI, overrideFlag)
		return
	}
	s.IgnoreDate = slices.Contains(off, "check-date")
	s.IgnoreValidUntil = true
}

// isSnapshot tells whether a repository is at one of the distributions' own snapshot services.
func isSnapshot(uri string) bool {
	u, err := url.Parse(uri)
	return err == nil && (u.Host == "snapshot.debian.org" || u.Host == "snapshot.ubuntu.com")
}

// architectures applies arch, arch+ and arch-. The result is empty where the image's own remain.
func (p *sourceParser) architectures(opt map[string]string) []string {
	list := func(name string) []string {
		return strings.FieldsFunc(opt[name], func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\t' })
	}
	out := list("arch")
	plus, minus := list("arch+"), list("arch-")
	if len(out) == 0 && len(minus) > 0 {
		out = []string{p.arch}
	}
	if len(out) > 0 {
		out = append(out, plus...)
	}
	out = slices.DeleteFunc(out, func(a string) bool { return slices.Contains(minus, a) })
	if len(out) == 0 && len(minus) > 0 {
		return []string{"none"}
	}
	return out
}

// uri brings a URI into its normal form. ok is false for one that is left out.
func (p *sourceParser) uri(e entry, raw string) (uri string, ok bool, err error) {
	scheme, rest, found := strings.Cut(raw, ":")
	if !found {
		return "", false, e.errorf("not a URI: %.60q", raw)
	}
	switch scheme {
	case "cdrom":
		p.notef("%s: left out: a CD-ROM is no repository to update from", e.from())
		return "", false, nil
	case "file", "copy":
		if !p.trusted {
			p.notef("%s: left out: %s: names a directory of the machine that built the image", e.from(), scheme)
			return "", false, nil
		}
		raw = (&url.URL{Scheme: "file", Path: path.Clean("/" + strings.TrimLeft(rest, "/"))}).String()
	case "mirror+file":
		if raw, err = p.mirror(e, rest); err != nil {
			return "", false, err
		}
	case "http", "https":
	default:
		return "", false, e.errorf("the access method %.30q is not supported: name the repository's http: or https: URL with %s",
			scheme, overrideFlag)
	}
	if e.options["snapshot"] != "" {
		if raw, err = snapshotURI(e, raw); err != nil {
			return "", false, err
		}
	}
	u, err := url.Parse(raw)
	if err == nil {
		if secret := pkgrepo.CheckAddress(u); secret != nil {
			return "", false, e.errorf("%v", secret)
		}
	}
	if err != nil || (u.Scheme != "file" && u.Host == "") {
		return "", false, e.errorf("not a usable URI: %.60q", raw)
	}
	return strings.TrimRight(u.String(), "/"), true, nil
}
