package cli

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/google/renameio/v2"

	"github.com/nanopatch/nanopatch/cmd/nanopatch/internal/render"
)

// output is one -o value: a format and where to write it; file "" is standard output.
type output struct {
	format string
	file   string
}

// printer writes a command's result in one format.
type printer func(w io.Writer) error

// outputs are the -o values, and those of the config file that stand in for them.
type outputs struct {
	typed, configured []string
}

// parseOutputs reads the outputs that are wanted against the formats that a command offers; where none is given it is the
// first. The config file is for every command: of its formats each command takes those that it has.
func parseOutputs(wanted outputs, formats ...string) ([]output, error) {
	var outs []output
	if len(wanted.typed) == 0 {
		for _, v := range wanted.configured {
			if format, file, _ := strings.Cut(v, "="); slices.Contains(formats, format) {
				outs = append(outs, output{format: format, file: file})
			}
		}
		if len(outs) == 0 {
			outs = []output{{format: formats[0]}}
		}
		return outs, nil
	}
	for _, v := range wanted.typed {
		format, file, _ := strings.Cut(v, "=")
		if !slices.Contains(formats, format) {
			return nil, usagef("--output %s: unknown format %q; this command has %s", v, format, strings.Join(formats, ", "))
		}
		outs = append(outs, output{format: format, file: file})
	}
	return outs, nil
}

// reportRun is what a report says of this run.
func (g *globalOptions) reportRun() render.Run { return render.Run{Now: g.env.Now(), Version: Version} }

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
		if err := writeFile(o.file, b.Bytes()); err != nil {
			return fmt.Errorf("writing the result: %w", err)
		}
	}
	return nil
}

// writeFile has a file appear whole or not at all. What is there and no file, such as /dev/null, a pipe or a symbolic link, is
// written to and not replaced.
func writeFile(name string, content []byte) error {
	info, err := os.Lstat(name)
	if err != nil || info.Mode().IsRegular() {
		return renameio.WriteFile(name, content, 0o644)
	}
	return os.WriteFile(name, content, 0o644)
}
