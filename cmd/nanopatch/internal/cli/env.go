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
	Getenv         func(string) string
	// Now is the clock: what counts as expired, and how old an update is. It never reaches an image.
	Now func() time.Time
}

// System is the process's own environment.
func System() Env {
	return Env{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv, Now: time.Now}
}
