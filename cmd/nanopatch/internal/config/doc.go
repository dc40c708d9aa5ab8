// Package config reads nanopatch.yaml.
//
// # Guarantees
//
// Parsing is strict: an unknown key, a wrong type or an unreadable date is an error that names the line, never a
// setting that quietly does nothing. The JSON Schema is generated from the same structs that the file is read into.
//
// # Why this way
//
// The file holds what is the same for every image of a team; what differs from run to run stays a flag.
package config
