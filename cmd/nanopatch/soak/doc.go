// Package soak rebuilds over a registry that fails in every way, again and again, with runs that are killed in between, and
// looks after each what a stranger would find. It holds tests only: `make soak` makes many runs, `make e2e` a few.
package soak
