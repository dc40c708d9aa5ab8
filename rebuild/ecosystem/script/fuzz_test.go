package script_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem/script"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem/script/posix"
)

// FuzzRun runs any text as a script: it ends in time, with an error of the kinds that are promised or none.
func FuzzRun(f *testing.F) {
	for _, file := range []string{"testdata/snippets.txt", "testdata/files.txt"} {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for _, text := range strings.Split(string(data), "----\n") {
			f.Add("#!/bin/sh\n" + text)
			f.Add("#!/bin/bash\n" + text)
		}
	}
	tree := image(f, map[string]string{"etc/passwd": "root:x:0:0:root:/root:/bin/sh\n", "a/b/c": "x\n"})
	f.Fuzz(func(t *testing.T, text string) {
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		began := time.Now()
		_, err := script.Run(ctx, script.Input{
			Name: "fuzz", Script: []byte(text), Tree: script.NewTree(tree, now), Commands: posix.Commands(), Args: []string{"configure", "1.0"},
			Env: map[string]string{"PATH": "/usr/bin:/bin", "HOME": "/root"}, Limits: script.Limits{Bytes: 1 << 24},
		})
		var unknown *script.UnknownError
		var exit *script.ExitError
		if err != nil && !errors.As(err, &unknown) && !errors.As(err, &exit) {
			t.Errorf("ends with %T: %v", err, err)
		}
		if unknown != nil && strings.Contains(unknown.Detail, "breaks") {
			t.Error(err)
		}
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("takes %v", took)
		}
	})
}
