// Package conformance rebuilds images whose layers are of every kind found in the wild, in every transport, and has other
// tools read the results. It holds tests only: `make conformance` runs them and prints the table.
package conformance
