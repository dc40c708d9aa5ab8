package config

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/parser"
)

// The words that the file may use. Levels are those of package version, formats those of --output.
var (
	levels   = []string{"revision", "patch", "minor", "major"}
	levelsBy = []string{"policy", "number"}
	formats  = []string{"table", "json", "markdown", "spdx-json", "cyclonedx-json", "syft-json"}
)

// badValue is a value that no run could use.
type badValue struct {
	// key is where it stands: "rules[0].level".
	key string
	err error
}

// at puts the place in the file in front: "[3:12] rules[0].level: …", line and column from 1, as the parser's own errors.
func (v *badValue) at(file []byte) error {
	err := fmt.Errorf("%s: %w", v.key, v.err)
	where, pathErr := yaml.PathString("$." + v.key)
	parsed, parseErr := parser.ParseBytes(file, 0)
	if pathErr != nil || parseErr != nil {
		return err
	}
	node, missing := where.FilterFile(parsed)
	if missing != nil || node == nil || node.GetToken() == nil {
		return err // a key that is not there has no line
	}
	p := node.GetToken().Position
	return fmt.Errorf("[%d:%d] %w", p.Line, p.Column, err)
}

// check finds the first value that cannot be used.
func (c *Config) check() *badValue {
	v := &validation{}
	v.word("level", c.Level, levels)
	v.word("levelBy", c.LevelBy, levelsBy)
	v.age("minAge", c.MinAge)
	_, err := ParseSize(c.CacheSize)
	v.add("cacheSize", err)
	v.registries(c.Registries)
	for i, glob := range c.Only {
		v.glob(fmt.Sprintf("only[%d]", i), glob)
	}
	for i, h := range c.Hold {
		v.glob(fmt.Sprintf("hold[%d].name", i), h.Name)
		_, err := h.UntilTime()
		v.add(fmt.Sprintf("hold[%d].until", i), err)
	}
	for i, r := range c.Rules {
		v.glob(fmt.Sprintf("rules[%d].match", i), r.Match)
		v.word(fmt.Sprintf("rules[%d].level", i), r.Level, levels)
		v.age(fmt.Sprintf("rules[%d].minAge", i), r.MinAge)
	}
	for i, o := range c.Output {
		format, _, _ := strings.Cut(o, "=")
		v.word(fmt.Sprintf("output[%d]", i), format, formats)
	}
	return v.first
}

// validation remembers the first thing that is wrong.
type validation struct{ first *badValue }

func (v *validation) add(key string, err error) {
	if v.first == nil && err != nil {
		v.first = &badValue{key, err}
	}
}

// word checks a value that is one of a few words, or not given.
func (v *validation) word(key, value string, words []string) {
	if value != "" && !slices.Contains(words, value) {
		v.add(key, fmt.Errorf("%q: want one of %s", value, strings.Join(words, ", ")))
	}
}

// glob checks a pattern that must be given.
func (v *validation) glob(key, pattern string) {
	if pattern == "" {
		v.add(key, errors.New("is missing: which packages?"))
		return
	}
	if _, err := path.Match(pattern, ""); err != nil {
		v.add(key, fmt.Errorf("%q is not a glob: %w", pattern, err))
	}
}

func (v *validation) age(key, value string) {
	_, err := ParseAge(value)
	v.add(key, err)
}
