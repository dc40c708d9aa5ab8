package apt

import (
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

const overrideFlag = "--repo-override"

// override reads one value of --repo-override; Sources documents its forms.
func (p *sourceParser) override(spec string) error {
	if f := strings.Fields(spec); len(f) > 1 && (f[0] == "deb" || f[0] == "deb-src") {
		return p.line(overrideFlag, 0, spec)
	}
	for _, scheme := range []string{"http://", "https://", "file:"} {
		if strings.HasPrefix(spec, scheme) {
			return p.base(spec)
		}
	}
	info, err := os.Stat(spec)
	if err != nil {
		return fmt.Errorf("%s %q is no source line, no URL and no file: %w", overrideFlag, spec, err)
	}
	abs, err := filepath.Abs(spec)
	if err != nil {
		return fmt.Errorf("%s %q: %w", overrideFlag, spec, err)
	}
	if info.IsDir() {
		return p.base((&url.URL{Scheme: "file", Path: filepath.ToSlash(abs)}).String())
	}
	if !info.Mode().IsRegular() || info.Size() > maxConfigFile {
		return &ConfigError{File: spec, Reason: fmt.Sprintf("not a regular file of at most %d bytes", maxConfigFile)}
	}
	f, err := os.Open(abs)
	if err != nil {
		return fmt.Errorf("%s: %w", overrideFlag, err)
	}
	defer f.Close() //nolint:errcheck // only read
	data, err := io.ReadAll(io.LimitReader(f, maxConfigFile))
	if err != nil {
		return fmt.Errorf("reading %s: %w", spec, err)
	}
	before := len(p.out)
	if err := p.file(spec, data); err != nil {
		return err
	}
	if len(p.out) == before {
		return &ConfigError{File: spec, Reason: "names no repository"}
	}
	return nil
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
