package apk

import (
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
)

// Source is one repository: a directory that has one below it for each architecture, with an APKINDEX.tar.gz in it.
type Source struct {
	// URI is the repository's base without a slash at the end: http:, https:, or (never from an image's own
	// configuration) file:.
	URI string
	// Tag is the name, without "@", by which packages have to ask for the repository; empty for one that serves all.
	Tag string
	// Bare says that URI came without saying what it has. Instead of a repository it may be a directory that holds the index
	// itself, or a mirror of a whole distribution, of which the image's own release is used.
	Bare bool
	// From says where the source is configured: "etc/apk/repositories:3", "--repo-override", "defaults".
	From string
}

func (s Source) String() string {
	if s.Tag != "" {
		return "@" + s.Tag + " " + s.URI
	}
	return s.URI
}

// Configured is what is known about an image's repositories before any is contacted.
type Configured struct {
	Sources []Source
	// Notes say, a line each, what the configuration holds that is not followed, and why.
	Notes []string
}

// ConfigError says that apk's configuration, the image's or one given in its place, cannot be followed. Line is 0 where it
// concerns the whole file.
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

const (
	repositoriesFile = "etc/apk/repositories"
	repositoriesDir  = "etc/apk/repositories.d"
	overrideFlag     = "--repo-override"
	maxSources       = 500
)

// Sources tells which repositories an image uses. root is its tree.
//
// Without overrides these are the lines of etc/apk/repositories and repositories.d/*.list; an image that has none gets the
// defaults of its distribution (see Defaults), said in a note. Repositories on the machine itself (a path, as for a CD) are
// noted and left out: it would be a path of this host.
//
// Each override takes the place of all that. It is a line of that file with a tag, "@edge https://…", a file of such lines,
// or a base, as an http:, https: or file: URL or as a directory; see Source.Bare for what a base may be.
func Sources(root fs.FS, overrides ...string) (*Configured, error) {
	p := &sourceParser{}
	if len(overrides) > 0 {
		p.trusted = true
		for _, spec := range overrides {
			if err := p.override(spec); err != nil {
				return nil, err
			}
		}
		return &p.out, nil
	}
	if err := p.image(root); err != nil || len(p.out.Sources) > 0 {
		return &p.out, err
	}
	distro, err := ReadDistro(root)
	if err != nil {
		return nil, err
	}
	p.notef("the image configures no usable repository: using the defaults of %s", distro)
	p.out.Sources, err = Defaults(distro)
	return &p.out, err
}

// sourceParser collects sources.
type sourceParser struct {
	// trusted says that the caller, not the image, names the sources: local ones are allowed.
	trusted bool
	out     Configured
}

func (p *sourceParser) notef(format string, args ...any) {
	p.out.Notes = append(p.out.Notes, fmt.Sprintf(format, args...))
}

func (p *sourceParser) image(root fs.FS) error {
	names := []string{repositoriesFile}
	parts, err := fs.Glob(root, repositoriesDir+"/*.list")
	if err != nil {
		return fmt.Errorf("reading %s: %w", repositoriesDir, err)
	}
	for _, name := range append(names, parts...) {
		data, err := readFile(root, name, maxConfig)
		if err != nil {
			return err
		}
		if err := p.file(name, string(data)); err != nil {
			return err
		}
	}
	return nil
}

func (p *sourceParser) file(name, text string) error {
	number := 0
	for line := range strings.Lines(text) {
		number++
		if err := p.line(name, number, line); err != nil {
			return err
		}
	}
	return nil
}

// line reads one line: an optional tag and a URL, or a comment (apk_db_add_repository in src/database.c).
func (p *sourceParser) line(file string, number int, line string) error {
	fields := strings.Fields(line)
	if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
		return nil
	}
	s := Source{From: fmt.Sprintf("%s:%d", file, number)}
	if number == 0 {
		s.From = file
	}
	if tag, ok := strings.CutPrefix(fields[0], "@"); ok {
		s.Tag, fields = tag, fields[1:]
	}
	fail := func(format string, args ...any) error {
		return &ConfigError{File: file, Line: number, Reason: fmt.Sprintf(format, args...)}
	}
	switch {
	case len(fields) == 0:
		return fail("a tag without a repository")
	case len(fields) > 1:
		return fail("more than a repository's address: %.60q", strings.Join(fields[1:], " "))
	case len(p.out.Sources) == maxSources:
		return fail("more than %d repositories", maxSources)
	case strings.HasSuffix(fields[0], ".adb"):
		return fail("%.200s is an index of apk-tools 3, which is not supported yet", fields[0])
	}
	u, err := url.Parse(fields[0])
	if err != nil {
		return fail("not an address: %.60q", fields[0])
	}
	switch u.Scheme {
	case "http", "https":
		if err := pkgrepo.CheckAddress(u); err != nil {
			return fail("%v", err)
		}
	case "file":
		if !p.trusted {
			p.notef("%s: %s is a path on the machine that built the image", s.From, u)
			return nil
		}
	case "":
		p.notef("%s: %s is a path on the machine that built the image", s.From, u)
		return nil
	default:
		p.notef("%s: %s: repositories are only fetched by http: and https:", s.From, u.Redacted())
		return nil
	}
	s.URI = strings.TrimRight(fields[0], "/")
	p.out.Sources = append(p.out.Sources, s)
	return nil
}

// override reads one value of --repo-override.
func (p *sourceParser) override(spec string) error {
	if strings.HasPrefix(spec, "@") {
		return p.line(overrideFlag, 0, spec)
	}
	for _, scheme := range []string{"http://", "https://", "file:"} {
		if strings.HasPrefix(spec, scheme) {
			u, err := url.Parse(spec)
			if err != nil {
				return &ConfigError{File: overrideFlag, Reason: "not a usable address"}
			}
			if err := pkgrepo.CheckAddress(u); err != nil {
				return &ConfigError{File: overrideFlag, Reason: err.Error()}
			}
			p.out.Sources = append(p.out.Sources, Source{URI: strings.TrimRight(spec, "/"), Bare: true, From: overrideFlag})
			return nil
		}
	}
	abs, err := filepath.Abs(spec)
	if err != nil {
		return fmt.Errorf("%s %q: %w", overrideFlag, spec, err)
	}
	info, err := os.Stat(abs)
	if err != nil {
		return fmt.Errorf("%s %q is no URL and no file: %w", overrideFlag, spec, err)
	}
	if info.IsDir() {
		uri := (&url.URL{Scheme: "file", Path: filepath.ToSlash(abs)}).String()
		p.out.Sources = append(p.out.Sources, Source{URI: uri, Bare: true, From: overrideFlag})
		return nil
	}
	data, err := readFile(os.DirFS(filepath.Dir(abs)), filepath.Base(abs), maxConfig)
	if err != nil {
		return fmt.Errorf("%s %q: %w", overrideFlag, spec, err)
	}
	before := len(p.out.Sources)
	if err := p.file(spec, string(data)); err != nil {
		return err
	}
	if len(p.out.Sources) == before {
		return &ConfigError{File: overrideFlag, Reason: fmt.Sprintf("%q names no repository", spec)}
	}
	return nil
}

// location is where an index may be, and with it the package files: in the same directory, or each in its architecture's.
type location struct {
	base string
	// flat says that index and packages are in base itself.
	flat bool
}

func (l location) index(arch string) string { return l.file(arch, "APKINDEX.tar.gz") }

func (l location) file(arch, name string) string {
	if l.flat {
		return l.base + "/" + name
	}
	return l.base + "/" + url.PathEscape(arch) + "/" + name
}

// locations lists where a bare base's indexes are looked for: all of the first group that has any.
func (s Source) locations(d Distro) [][]location {
	if !s.Bare {
		return [][]location{{{base: s.URI}}}
	}
	groups := [][]location{{{base: s.URI}}, {{base: s.URI, flat: true}}}
	if branch := d.Branch(); branch != "" && d.ID == alpine {
		groups = append(groups, []location{{base: s.URI + "/" + branch + "/main"}, {base: s.URI + "/" + branch + "/community"}})
	}
	return groups
}

// component guesses what a repository calls itself by the end of its address.
func (l location) component() string {
	if l.flat {
		return ""
	}
	return path.Base(l.base)
}
