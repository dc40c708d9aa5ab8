package apt

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

const overrideFlag = "--repo-override"

// override reads one value of --repo-override; Sources documents its forms.
func (p *sourceParser) override(spec string) error {
	before := len(p.out)
	if err := p.overrideBy(spec); err != nil {
		return err
	}
	if len(p.out) == before {
		return &ConfigError{File: overrideFlag, Reason: fmt.Sprintf("%q names no repository", spec)}
	}
	return nil
}

func (p *sourceParser) overrideBy(spec string) error {
	if f := strings.Fields(spec); len(f) > 1 && (f[0] == "deb" || f[0] == "deb-src") {
		return p.line(overrideFlag, 0, spec)
	}
	for _, scheme := range []string{"http://", "https://", "file:"} {
		if strings.HasPrefix(spec, scheme) {
			return p.base(spec)
		}
	}
	abs, err := filepath.Abs(spec)
	if err != nil {
		return fmt.Errorf("%s %q: %w", overrideFlag, spec, err)
	}
	info, err := os.Stat(abs)
	if err != nil {
		return fmt.Errorf("%s %q is no source line, no URL and no file: %w", overrideFlag, spec, err)
	}
	if info.IsDir() {
		return p.base((&url.URL{Scheme: "file", Path: filepath.ToSlash(abs)}).String())
	}
	data, _, err := readConfig(os.DirFS(filepath.Dir(abs)), filepath.Base(abs), maxConfigFile)
	if err != nil {
		return fmt.Errorf("%s %q: %w", overrideFlag, spec, err)
	}
	return p.file(spec, data)
}

func (p *sourceParser) base(raw string) error {
	e := entry{file: overrideFlag}
	uri, _, err := p.uri(e, raw)
	if err != nil {
		return err
	}
	p.out = append(p.out, Source{URI: uri, From: overrideFlag})
	return nil
}
