package cli

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/google/renameio/v2"
)

// output is one -o value: a format and where to write it; file "" is standard output.
type output struct {
	format string
	file   string
}

// printer writes a command's result in one format.
type printer func(w io.Writer) error

// parseOutputs reads the -o values against the formats that a command offers; where none is given it is the first.
func parseOutputs(values []string, formats ...string) ([]output, error) {
	if len(values) == 0 {
		return []output{{format: formats[0]}}, nil
	}
	var outs []output
	for _, v := range values {
		format, file, _ := strings.Cut(v, "=")
		if !slices.Contains(formats, format) {
			return nil, usagef("--output %s: unknown format %q; this command has %s", v, format, strings.Join(formats, ", "))
		}
		outs = append(outs, output{format: format, file: file})
	}
	return outs, nil
}

// write prints a result to every output. A file appears whole or not at all.
func write(env Env, outs []output, printers map[string]printer) error {
	for _, o := range outs {
		if o.file == "" {
			if err := printers[o.format](env.Stdout); err != nil {
				return fmt.Errorf("writing the result: %w", err)
			}
			continue
		}
		var b bytes.Buffer
		if err := printers[o.format](&b); err != nil {
			return fmt.Errorf("writing %s: %w", o.file, err)
		}
		if err := renameio.WriteFile(o.file, b.Bytes(), 0o644); err != nil {
			return fmt.Errorf("writing the result: %w", err)
		}
	}
	return nil
}
