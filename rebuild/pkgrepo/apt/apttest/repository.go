package apttest

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/ulikunitz/xz"
)

// Suite describes one suite of a repository.
type Suite struct {
	// Name is the directory below dists/: "bookworm-security". Empty makes a flat repository: all files lie
	// in the repository's own directory, and Components has one entry, whose name does not matter.
	Name string
	// Fields are those of the Release file: Origin, Label, Suite, Codename, Version, NotAutomatic, …. Date,
	// Valid-Until, Architectures, Components and the checksums are added, Acquire-By-Hash: yes where it is
	// missing.
	Fields map[string]string
	// Date is the Release file's and the signature's. ValidUntil may be zero.
	Date, ValidUntil time.Time
	// Components by name.
	Components map[string]Component
	// Forms are the extensions of the Packages files to write; nil means all three: "", ".gz", ".xz".
	Forms []string
	// Keys sign InRelease and, the first of them, Release.gpg; none leaves the suite unsigned.
	Keys []*Key
}

// Component is what one component of a suite offers.
type Component struct {
	// Debs are package files; they are copied into pool/ and described in the index.
	Debs []string
	// Stanzas are further paragraphs for the index, as they are. The architecture of each is its own.
	Stanzas []string
}

// Write writes suites into a directory, which becomes the base of a repository: its file: or http: URL is what
// a source names.
func Write(dir string, suites ...Suite) error {
	for _, s := range suites {
		if err := write(dir, s); err != nil {
			return fmt.Errorf("writing test repository %s: %w", s.Name, err)
		}
	}
	return nil
}

func write(dir string, s Suite) error {
	base := dir
	if s.Name != "" {
		base = filepath.Join(dir, "dists", filepath.FromSlash(s.Name))
	}
	files := make(map[string][]byte)
	archs := make(map[string]struct{})
	for _, name := range slices.Sorted(maps.Keys(s.Components)) {
		indexes, err := s.Components[name].indexes(dir, name, s.Name == "")
		if err != nil {
			return err
		}
		for arch, text := range indexes {
			index := "Packages"
			if s.Name != "" {
				archs[arch] = struct{}{}
				index = name + "/binary-" + arch + "/Packages"
			}
			if err := s.addForms(files, index, text); err != nil {
				return err
			}
		}
	}
	for name, data := range files {
		if err := writeFile(filepath.Join(base, filepath.FromSlash(name)), data); err != nil {
			return err
		}
		byHash := filepath.Join(base, filepath.FromSlash(filepath.Dir(name)), "by-hash", "SHA256", fmt.Sprintf("%x", sha256.Sum256(data)))
		if err := writeFile(byHash, data); err != nil {
			return err
		}
	}
	return s.sign(base, []byte(s.release(files, slices.Sorted(maps.Keys(archs)))))
}

// indexes copies the packages into the pool and describes them, by architecture. Packages of architecture
// all are listed with every other one, as in Debian.
func (c Component) indexes(dir, name string, flat bool) (map[string]string, error) {
	stanzas := slices.Clone(c.Stanzas)
	for _, deb := range c.Debs {
		text, err := Control(deb)
		if err != nil {
			return nil, err
		}
		data, err := os.ReadFile(deb)
		if err != nil {
			return nil, err
		}
		filename := "./" + filepath.Base(deb)
		if !flat {
			filename = "pool/" + name + "/" + filepath.Base(deb)
		}
		if err := writeFile(filepath.Join(dir, filepath.FromSlash(filename)), data); err != nil {
			return nil, err
		}
		stanzas = append(stanzas, fmt.Sprintf("%s\nFilename: %s\nSize: %d\nSHA256: %x", text, filename, len(data), sha256.Sum256(data)))
	}
	if flat {
		return map[string]string{"": strings.Join(stanzas, "\n\n") + "\n"}, nil
	}
	return byArchitecture(stanzas), nil
}

func byArchitecture(stanzas []string) map[string]string {
	archs := make(map[string]*strings.Builder)
	of := make([]string, len(stanzas))
	for i, s := range stanzas {
		for line := range strings.Lines(s) {
			if v, ok := strings.CutPrefix(line, "Architecture:"); ok {
				of[i] = strings.TrimSpace(v)
			}
		}
		archs[of[i]] = &strings.Builder{}
	}
	if len(archs) > 1 {
		delete(archs, "all")
	}
	out := make(map[string]string)
	for arch, b := range archs {
		for i, s := range stanzas {
			if of[i] == arch || of[i] == "all" {
				b.WriteString(strings.TrimRight(s, "\n") + "\n\n")
			}
		}
		out[arch] = b.String()
	}
	return out
}

func (s Suite) addForms(files map[string][]byte, name, text string) error {
	forms := s.Forms
	if forms == nil {
		forms = []string{"", ".gz", ".xz"}
	}
	for _, form := range forms {
		var b bytes.Buffer
		var w io.WriteCloser
		var err error
		switch form {
		case "":
			files[name] = []byte(text)
			continue
		case ".gz":
			w = gzip.NewWriter(&b)
		case ".xz":
			w, err = xz.NewWriter(&b)
		default:
			err = fmt.Errorf("unknown form %q", form)
		}
		if err != nil {
			return err
		}
		if _, err := io.WriteString(w, text); err != nil {
			return err
		}
		if err := w.Close(); err != nil {
			return err
		}
		files[name+form] = b.Bytes()
	}
	return nil
}

func (s Suite) release(files map[string][]byte, archs []string) string {
	fields := maps.Clone(s.Fields)
	if fields == nil {
		fields = make(map[string]string)
	}
	set := func(name, value string) {
		if _, ok := fields[name]; !ok && value != "" {
			fields[name] = value
		}
	}
	const layout = "Mon, 02 Jan 2006 15:04:05 UTC"
	set("Date", s.Date.UTC().Format(layout))
	if !s.ValidUntil.IsZero() {
		set("Valid-Until", s.ValidUntil.UTC().Format(layout))
	}
	set("Acquire-By-Hash", "yes")
	if s.Name != "" {
		set("Architectures", strings.Join(archs, " "))
		set("Components", strings.Join(slices.Sorted(maps.Keys(s.Components)), " "))
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		fmt.Fprintf(&b, "%s: %s\n", name, fields[name])
	}
	b.WriteString("SHA256:\n")
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(&b, " %x %8d %s\n", sha256.Sum256(files[name]), len(files[name]), name)
	}
	return b.String()
}

func (s Suite) sign(base string, release []byte) error {
	if err := writeFile(filepath.Join(base, "Release"), release); err != nil || len(s.Keys) == 0 {
		return err
	}
	inline, err := SignInline(release, s.Date, s.Keys...)
	if err != nil {
		return err
	}
	if err := writeFile(filepath.Join(base, "InRelease"), inline); err != nil {
		return err
	}
	detached, err := s.Keys[0].SignDetached(release, s.Date)
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(base, "Release.gpg"), detached)
}

func writeFile(name string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, data, 0o644)
}
