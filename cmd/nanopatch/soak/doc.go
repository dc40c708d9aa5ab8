// Package soak rebuilds over registries that fail in every way, again and again, with runs that are killed in between and
// with two at once, and looks after each what a stranger would find. It holds tests only: `make soak` makes many runs,
// `make e2e` a few.
package soak
