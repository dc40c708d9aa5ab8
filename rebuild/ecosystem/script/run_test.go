package script_test

import (
	"io"
	"testing"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem/script"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem/script/posix"
)

func input(t testing.TB, text string, out io.Writer) script.Input {
	return script.Input{
		Name: "test", Script: []byte(text), Tree: image(t, nil), Commands: posix.Commands(), Stdout: out,
		Env: map[string]string{"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/root"},
	}
}
