package debscript

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem/script"
)

const (
	adminDir = "var/lib/dpkg"
	infoDir  = adminDir + "/info"
)

func itoa(n int) string { return strconv.Itoa(n) }

func splitPath(p string) (dir, name string) {
	i := strings.LastIndexByte(p, '/')
	return p[:i+1], p[i+1:]
}

// known returns err if it says that something is unknown, and nil if it is an answer: that a file does not exist.
func known(err error) error {
	var unknown *script.UnknownError
	if errors.As(err, &unknown) {
		return unknown
	}
	return nil
}

// database is dpkg's status, by package in the file's order.
type database struct {
	all []*record
}

type record struct {
	name, arch string
	fields     map[string]string
	// stanza is the text of the entry.
	stanza string
}

func (r *record) get(field string) string { return r.fields[strings.ToLower(field)] }

// installed tells whether the package is there in any way.
func (r *record) installed() bool {
	words := strings.Fields(r.get("Status"))
	return len(words) == 3 && words[2] != "not-installed"
}

// native is the architecture of the system: that of dpkg itself.
func (d *database) native() string {
	for _, r := range d.all {
		if r.name == "dpkg" {
			return r.arch
		}
	}
	return ""
}

// open reads the status file once.
func (s *session) open(p *script.Process) (*database, error) {
	if s.database != nil {
		return s.database, nil
	}
	data, err := p.Tree().ReadFile("/" + adminDir + "/status")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, p.Unknownf("reads the package database, which the image does not have")
	}
	if err != nil {
		return nil, err
	}
	if err := p.Spend(len(data)); err != nil {
		return nil, err
	}
	d := &database{}
	for _, text := range strings.Split(string(bytes.TrimSpace(data)), "\n\n") {
		r := &record{fields: make(map[string]string), stanza: strings.Trim(text, "\n")}
		last := ""
		for line := range strings.SplitSeq(r.stanza, "\n") {
			if strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t") {
				r.fields[last] += "\n" + line
				continue
			}
			name, value, _ := strings.Cut(line, ":")
			last = strings.ToLower(name)
			r.fields[last] = strings.TrimSpace(value)
		}
		r.name, r.arch = r.get("Package"), r.get("Architecture")
		if r.name != "" {
			d.all = append(d.all, r)
		}
	}
	s.database = d
	return d, nil
}

// match finds the packages that a name, NAME:ARCH or pattern stands for, sorted.
func (d *database) match(p *script.Process, spec string) ([]*record, error) {
	name, arch, _ := strings.Cut(spec, ":")
	var found []*record
	for _, r := range d.all {
		yes := r.name == name
		if strings.ContainsAny(name, "*?[") {
			var err error
			if yes, err = path.Match(name, r.name); err != nil {
				return nil, p.Unknownf("has the pattern %.40q", spec)
			}
		}
		if yes && (arch == "" || arch == r.arch || arch == "any" || arch == "native" && r.arch == d.native()) {
			found = append(found, r)
		}
	}
	slices.SortFunc(found, func(a, b *record) int {
		return strings.Compare(a.name+":"+a.arch, b.name+":"+b.arch)
	})
	return found, nil
}

// qualified is a package's name as dpkg prints it.
func (r *record) qualified() string {
	if r.get("Multi-Arch") == "same" {
		return r.name + ":" + r.arch
	}
	return r.name
}

// stable refuses answers about packages that are being upgraded while the order of unpacking decides about them.
func (s *session) stable(p *script.Process, r *record, what string) error {
	if r.name == s.Package && what == "Conffiles" && s.Instances <= 1 {
		// The old ones until the new files are in place, the settled ones when postinst runs: as the database has them.
		return nil
	}
	progress, moving := s.Moving[r.name]
	if r.name == s.Package || moving && progress == Waiting {
		return p.Unknownf("asks for the %s of %s, which is being upgraded", what, r.name)
	}
	return nil
}

// now is the record of a package with the status that it has at this point of the run.
func (s *session) now(r *record) *record {
	if r.name == s.Package {
		return s.own(r)
	}
	if s.Moving[r.name] != Unpacked {
		return r
	}
	c := *r
	c.fields = maps.Clone(r.fields)
	words := append(strings.Fields(r.get("Status")), "install")
	c.fields["status"] = words[0] + " ok unpacked"
	return &c
}

// own is the record of the script's own package with the status that dpkg gives it while the script runs (process_archive in
// dpkg's src/main/unpack.c, deferred_configure in configure.c).
func (s *session) own(r *record) *record {
	c := *r
	c.fields = maps.Clone(r.fields)
	words := append(strings.Fields(r.get("Status")), "install")
	switch s.Kind {
	case "preinst", "postrm":
		c.fields["status"] = words[0] + " reinstreq half-installed"
	default:
		c.fields["status"] = words[0] + " ok half-configured"
	}
	return &c
}

// list reads a package's file list.
func (r *record) list(p *script.Process) ([]string, error) {
	data, err := p.Tree().ReadFile("/" + infoDir + "/" + r.qualified() + ".list")
	if err != nil {
		return nil, known(err)
	}
	if err := p.Spend(len(data)); err != nil {
		return nil, err
	}
	return strings.Split(strings.TrimSuffix(string(data), "\n"), "\n"), nil
}
