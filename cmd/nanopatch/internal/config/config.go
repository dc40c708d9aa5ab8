package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/invopop/jsonschema"
)

// DefaultFile is read where no other file is named and it exists.
const DefaultFile = "nanopatch.yaml"

// maxSize bounds a config file, in bytes.
const maxSize = 1 << 20

// ErrInvalid says that a config file cannot be used; the message names the line.
var ErrInvalid = errors.New("invalid config")

// Config is the content of a config file. Flags and the environment override it.
type Config struct {
	// Level is the farthest update that is taken.
	Level string `yaml:"level,omitempty" json:"level,omitempty" jsonschema:"enum=revision,enum=patch,enum=minor,enum=major"`
	// LevelBy says what an update's level is judged by.
	LevelBy string `yaml:"levelBy,omitempty" json:"levelBy,omitempty" jsonschema:"enum=policy,enum=number"`
	// Only limits updates to the packages that match one of these globs.
	Only []string `yaml:"only,omitempty" json:"only,omitempty"`
	// Hold keeps packages as they are.
	Hold []Hold `yaml:"hold,omitempty" json:"hold,omitempty"`
	// Rules are exceptions from level and minAge for some packages; the first that matches counts.
	Rules []Rule `yaml:"rules,omitempty" json:"rules,omitempty"`
	// SecurityOnly takes updates from security pockets only.
	SecurityOnly bool `yaml:"securityOnly,omitempty" json:"securityOnly,omitempty"`
	// MinAge is how old a package build must be: "72h", "7d".
	MinAge string `yaml:"minAge,omitempty" json:"minAge,omitempty"`
	// Repositories replace those of the image: files in the ecosystem's own format, base URLs or directories.
	Repositories []string `yaml:"repositories,omitempty" json:"repositories,omitempty"`
	// Keyrings are files or directories of keys that repositories must be signed with.
	Keyrings []string `yaml:"keyrings,omitempty" json:"keyrings,omitempty"`
	// Advisories are files or https: URLs that say which CVEs updates fix, or "published" for the distribution's own.
	Advisories []string `yaml:"advisories,omitempty" json:"advisories,omitempty"`
	// RepositoryAuth is a file of logins for package repositories, in the format of apt's auth.conf.
	RepositoryAuth string `yaml:"repositoryAuth,omitempty" json:"repositoryAuth,omitempty"`
	// CacheSize is what the cache may hold before it forgets what was used longest ago: "10GiB". "0" is no limit.
	CacheSize string `yaml:"cacheSize,omitempty" json:"cacheSize,omitempty"`
	// Registries holds settings for registries, by host[:port]; mirrors also by a part of a registry, host[:port]/path.
	Registries map[string]Registry `yaml:"registries,omitempty" json:"registries,omitempty"`
	// Sign says how results are signed.
	Sign Sign `yaml:"sign,omitempty" json:"sign,omitempty"`
	// Output is the format of results, as in --output.
	Output []string `yaml:"output,omitempty" json:"output,omitempty"`
}

// Hold keeps the packages that match a glob, until a day if one is given.
type Hold struct {
	Name   string `yaml:"name" json:"name"`
	Until  string `yaml:"until,omitempty" json:"until,omitempty" jsonschema:"format=date"`
	Reason string `yaml:"reason,omitempty" json:"reason,omitempty"`
}

// Rule sets another level or minimum age for the packages that match a glob.
type Rule struct {
	Match  string `yaml:"match" json:"match"`
	Level  string `yaml:"level,omitempty" json:"level,omitempty" jsonschema:"enum=revision,enum=patch,enum=minor,enum=major"`
	MinAge string `yaml:"minAge,omitempty" json:"minAge,omitempty"`
}

// Sign names the key that results are signed with.
type Sign struct {
	Key string `yaml:"key,omitempty" json:"key,omitempty"`
}

// Load reads a config file. A name of "" means DefaultFile, which may be missing.
func Load(name string) (*Config, error) {
	optional := name == ""
	if optional {
		name = DefaultFile
	}
	info, err := os.Stat(name)
	if optional && errors.Is(err, fs.ErrNotExist) {
		return &Config{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if info.Size() > maxSize {
		return nil, fmt.Errorf("%w: %s: %d bytes; at most %d", ErrInvalid, name, info.Size(), maxSize)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	c, err := Parse(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrInvalid, name, err)
	}
	return c, nil
}

// Parse reads a config file's content. An unknown key, a wrong type and a value that no run could use are errors that
// name their line.
func Parse(b []byte) (*Config, error) {
	c := &Config{}
	if len(bytes.TrimSpace(b)) == 0 {
		return c, nil
	}
	if err := yaml.UnmarshalWithOptions(b, c, yaml.Strict()); err != nil {
		return nil, errors.New(oneLine(err))
	}
	if bad := c.check(); bad != nil {
		return nil, bad.at(b)
	}
	return c, nil
}

// oneLine is the first line of the YAML library's message, which goes on with a drawing of the place.
func oneLine(err error) string {
	line, _, _ := strings.Cut(yaml.FormatError(err, false, false), "\n")
	return line
}

// UntilTime is the end of the hold, zero where it has none.
func (h Hold) UntilTime() (time.Time, error) {
	if h.Until == "" {
		return time.Time{}, nil
	}
	return time.Parse(time.DateOnly, h.Until)
}

// ParseAge reads a duration as time.ParseDuration does, with days ("7d") besides. "" is no age.
func ParseAge(s string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		var n int
		if _, err := fmt.Sscanf(days+"\n", "%d\n", &n); err != nil || n < 0 || n > 36500 {
			return 0, fmt.Errorf("%q is not a number of days", s)
		}
		return time.Duration(n) * 24 * time.Hour, nil
	}
	d, err := time.ParseDuration(s)
	if err == nil && d < 0 {
		err = fmt.Errorf("%q is negative", s)
	}
	return d, err
}

// Schema is the JSON Schema of the config file.
func Schema() ([]byte, error) {
	r := jsonschema.Reflector{FieldNameTag: "yaml", DoNotReference: true}
	s := r.Reflect(&Config{})
	s.ID = "https://nanopatch.dev/schema/nanopatch.yaml.json"
	s.Title = "nanopatch.yaml"
	return json.MarshalIndent(s, "", "  ")
}
