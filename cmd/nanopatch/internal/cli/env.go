package cli

import (
	"io"
	"os"
	"time"
)

// Env is all that the program takes from outside.
type Env struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// LookupEnv gives an environment variable, and whether it is set.
	LookupEnv func(string) (string, bool)
	// Now is the clock: what counts as expired, and how old an update is. It never reaches an image.
	Now func() time.Time
}

// System is the process's own environment.
func System() Env {
	return Env{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, LookupEnv: os.LookupEnv, Now: time.Now}
}

// Getenv gives an environment variable for which empty and unset are the same.
func (e Env) Getenv(key string) string {
	v, _ := e.LookupEnv(key)
	return v
}
