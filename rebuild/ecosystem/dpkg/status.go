package dpkg

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
)

// record is one package of the database, whatever its state.
type record struct {
	ecosystem.Package
	stanza Stanza
	// want, flag and state are the words of the Status field: "install", "ok", "installed".
	want, flag, state string
	conffiles         []conffile
	replaces          relations
	// dropIn is the path of the status.d file the package is described in, "" for one of the status file.
	dropIn string
	// sliced are the paths that chisel cut from the package, where it did.
	sliced []string
}

// conffile is one line of the Conffiles field.
type conffile struct {
	// path is as the package has it: clean and relative to the root.
	path string
	// hash is the MD5 of the distributed file in hexadecimal, or one of dpkg's flags ("newconffile", "-").
	hash                      string
	obsolete, removeOnUpgrade bool
}

// newConffile is dpkg's hash of a conffile that was not installed as one before.
const newConffile = "newconffile"

// installed tells whether the package's files and scripts are those of its version, and its configuration done.
// Triggers may be pending.
func (r *record) installed() bool {
	return r.flag == "ok" && (r.state == stateInstalled || r.triggers())
}

// triggers tells whether triggers are still to be processed, by this package or for it.
func (r *record) triggers() bool {
	return r.state == "triggers-pending" || r.state == "triggers-awaited"
}

// stateInstalled is the last word of Status for a package that is fully there.
const stateInstalled = "installed"

// hasFiles tells whether dpkg reads the package's file list.
func (r *record) hasFiles() bool { return r.state != "not-installed" }

// parseStatus reads a status file. Records come in file order.
func parseStatus(data []byte) ([]*record, error) {
	var all []*record
	seen := make(map[ecosystem.Key]bool)
	reader := NewReader(data)
	for {
		s, ok, err := reader.Next()
		if err != nil {
			return nil, err
		}
		if !ok {
			return all, nil
		}
		r, err := parseRecord(s)
		if err != nil {
			return nil, err
		}
		if seen[r.Key] {
			return nil, syntaxErrorf(s.Fields[0].Line, "a second stanza of package %s", r.Key)
		}
		seen[r.Key] = true
		all = append(all, r)
	}
}

// parseRecord reads one stanza of a status file.
func parseRecord(s Stanza) (*record, error) {
	line := s.Fields[0].Line
	r := &record{stanza: s, want: "unknown", flag: "ok", state: "not-installed"}
	if f, ok := s.Field("Status"); ok {
		words := strings.Fields(f.Value)
		if len(words) != 3 {
			return nil, syntaxErrorf(f.Line, "Status %.50q is not three words", f.Value)
		}
		r.want, r.flag, r.state = words[0], words[1], words[2]
	}
	p, err := parsePackage(s)
	if err != nil {
		return nil, err
	}
	if p.Version == "" && r.state != "not-installed" && r.state != "half-installed" {
		return nil, syntaxErrorf(line, "package %s has no Version: the file is truncated or damaged", p.Name)
	}
	p.Hold = r.want == "hold"
	r.Package = p
	if f, ok := s.Field("Conffiles"); ok {
		if r.conffiles, err = parseConffiles(f); err != nil {
			return nil, err
		}
	}
	r.replaces, err = fieldRelations(s, "Replaces")
	return r, err
}

// parsePackage reads what a stanza of a status file or a package's control file says about the package.
func parsePackage(s Stanza) (ecosystem.Package, error) {
	p := ecosystem.Package{
		// dpkg folds names to lower case when it looks them up.
		Key:       ecosystem.Key{Name: strings.ToLower(s.Get("Package")), Arch: s.Get("Architecture")},
		Version:   canonicalVersion(s.Get("Version")),
		MultiArch: strings.ToLower(s.Get("Multi-Arch")),
		Essential: strings.EqualFold(s.Get("Essential"), "yes"),
	}
	if !validName(p.Name) {
		return p, syntaxErrorf(s.Fields[0].Line, "no valid package name but %.50q", p.Name)
	}
	if p.Arch != "" && !validName(p.Arch) {
		return p, syntaxErrorf(s.Fields[0].Line, "package %s has the impossible architecture %.50q", p.Name, p.Arch)
	}
	p.Source, p.SourceVersion = splitSource(s.Get("Source"))
	if p.Source == "" {
		p.Source = p.Name
	}
	if p.SourceVersion == "" {
		p.SourceVersion = p.Version
	}
	if kib, err := strconv.ParseInt(s.Get("Installed-Size"), 10, 64); err == nil && kib > 0 && kib < 1<<50 {
		p.InstalledSize = kib * 1024
	}
	return p, parsePackageRelations(s, &p)
}

func parsePackageRelations(s Stanza, p *ecosystem.Package) error {
	for _, name := range []string{"Pre-Depends", "Depends"} {
		rs, err := fieldRelations(s, name)
		if err != nil {
			return err
		}
		p.Requires = append(p.Requires, rs.clauses()...)
	}
	for _, name := range []string{"Conflicts", "Breaks"} {
		rs, err := fieldRelations(s, name)
		if err != nil {
			return err
		}
		// "Conflicts/Breaks/Replaces get an implicit "any" arch qualifier" (f_dependency in lib/dpkg/fields.c).
		p.Conflicts = append(p.Conflicts, rs.flat("any")...)
	}
	rs, err := fieldRelations(s, "Provides")
	p.Provides = rs.flat("")
	return err
}

// fieldRelations reads a dependency field, adding the line to the error.
func fieldRelations(s Stanza, name string) (relations, error) {
	f, ok := s.Field(name)
	if !ok {
		return nil, nil
	}
	rs, err := parseRelations(name, f.Value)
	if err != nil {
		return nil, syntaxErrorf(f.Line, "%v", err)
	}
	return rs, nil
}

// splitSource takes "glibc (2.36-9)" apart.
func splitSource(value string) (name, version string) {
	name, rest, ok := strings.Cut(value, "(")
	if ok {
		version = canonicalVersion(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), ")")))
	}
	return strings.TrimSpace(name), version
}

// parseConffiles reads the Conffiles field: lines of " PATH HASH", " PATH HASH obsolete" or
// " PATH HASH remove-on-upgrade" (f_conffiles in lib/dpkg/fields.c).
func parseConffiles(f Field) ([]conffile, error) {
	var all []conffile
	for i, line := range strings.Split(f.Value, "\n") {
		line = strings.Trim(line, spaces)
		if line == "" {
			continue
		}
		c := conffile{}
		line, c.removeOnUpgrade = strings.CutSuffix(line, " remove-on-upgrade")
		line, c.obsolete = strings.CutSuffix(line, " obsolete")
		space := strings.LastIndexByte(line, ' ')
		if space <= 0 {
			return nil, syntaxErrorf(f.Line+i, "malformed line %.100q in Conffiles", line)
		}
		c.hash = line[space+1:]
		p, err := cleanPath(line[:space])
		if err != nil || p == "." {
			return nil, syntaxErrorf(f.Line+i, "conffile %.100q is not a path below the root", line[:space])
		}
		c.path = p
		all = append(all, c)
	}
	return all, nil
}

// formatConffiles writes the Conffiles field's value: w_conffiles in lib/dpkg/dump.c.
func formatConffiles(all []conffile) string {
	var b strings.Builder
	for _, c := range all {
		b.WriteString("\n /" + c.path + " " + c.hash)
		if c.obsolete {
			b.WriteString(" obsolete")
		}
		if c.removeOnUpgrade {
			b.WriteString(" remove-on-upgrade")
		}
	}
	return b.String()
}

// controlFields are the fields that dpkg knows, in the order in which it writes them into the status file: fieldinfos
// in lib/dpkg/parse.c. Others follow in the order of the package's control file.
var controlFields = []string{
	"Package", "Essential", "Protected", "Status", "Priority", "Section", "Installed-Size", "Origin", "Maintainer",
	"Bugs", "Architecture", "Multi-Arch", "Source", "Version", "Config-Version", "Replaces", "Provides", "Depends",
	"Pre-Depends", "Recommends", "Suggests", "Breaks", "Conflicts", "Enhances", "Conffiles", "Filename", "Size",
	"MD5sum", "MSDOS-Filename", "Description", "Triggers-Pending", "Triggers-Awaited",
}

// obsoleteFields are read by dpkg but written under other names or not at all; no package of this century has them.
var obsoleteFields = []string{"Recommended", "Optional", "Class", "Revision", "Package-Revision", "Package_Revision"}

// formatStanza writes the stanza that dpkg has in its status file once a package with this control file is installed
// over the package of old: varbuf_stanza in lib/dpkg/dump.c. The old want state stays; no newline follows the last line's.
func formatStanza(control Stanza, old *record, conffiles []conffile) (string, error) {
	var b strings.Builder
	write := func(name, value string) {
		if value != "" {
			b.WriteString(name + ": " + value + "\n")
		}
	}
	for _, name := range controlFields {
		value, err := stanzaField(control, old, name)
		if err != nil {
			return "", err
		}
		if name == "Conffiles" && len(conffiles) > 0 {
			b.WriteString("Conffiles:" + formatConffiles(conffiles) + "\n")
			continue
		}
		write(name, value)
	}
	for _, f := range control.Fields {
		known := func(name string) bool { return strings.EqualFold(name, f.Name) }
		if !slices.ContainsFunc(controlFields, known) && !slices.ContainsFunc(obsoleteFields, known) {
			b.WriteString(f.Name + ": " + f.Value + "\n")
		}
	}
	return b.String(), nil
}

// stanzaField gives the status file's value of one field that dpkg knows, "" where it writes none.
func stanzaField(control Stanza, old *record, name string) (string, error) {
	value := control.Get(name)
	switch name {
	case "Package":
		return strings.ToLower(value), nil
	case "Status":
		return fmt.Sprintf("%s ok %s", old.want, stateInstalled), nil
	case "Essential", "Protected":
		if !strings.EqualFold(value, "yes") {
			return "", nil
		}
		return "yes", nil
	case "Multi-Arch":
		// dpkg does not write the default.
		if value = strings.ToLower(value); value == "no" {
			return "", nil
		}
		return value, nil
	case "Priority":
		// Priority and Section are the package set's, not the version's: a package that has none keeps the old ones.
		if value == "" {
			return old.stanza.Get(name), nil
		}
		return canonicalPriority(value), nil
	case "Section":
		if value == "" {
			return old.stanza.Get(name), nil
		}
		return value, nil
	case "Version":
		return canonicalVersion(value), nil
	case "Replaces", "Provides", "Depends", "Pre-Depends", "Recommends", "Suggests", "Breaks", "Conflicts", "Enhances":
		rs, err := parseRelations(name, value)
		return rs.String(), err
	case "Config-Version", "Conffiles", "Filename", "Size", "MD5sum", "MSDOS-Filename", "Triggers-Pending", "Triggers-Awaited":
		return "", nil
	}
	return value, nil
}

// canonicalPriority folds the priorities that dpkg knows to lower case and leaves others as they are.
func canonicalPriority(value string) string {
	for _, known := range []string{"required", "important", "standard", "optional", "extra"} {
		if strings.EqualFold(value, known) {
			return known
		}
	}
	return value
}

// replaceStanzas returns the file with some records' stanzas replaced; all other bytes stay.
func replaceStanzas(data []byte, records []*record, stanzas map[ecosystem.Key]string) []byte {
	out := make([]byte, 0, len(data)+4096)
	pos := 0
	for _, r := range records {
		text, ok := stanzas[r.Key]
		if !ok || r.dropIn != "" {
			continue
		}
		out = append(out, data[pos:r.stanza.Start]...)
		out = append(out, text...)
		pos = r.stanza.End
	}
	return append(out, data[pos:]...)
}
