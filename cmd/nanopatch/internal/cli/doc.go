// Package cli is nanopatch's command line: one file for each command, which turns flags into one call and its result
// into one print.
//
// # Guarantees
//
// Results go to standard output, everything else to standard error. An error is one line. Exit codes are those of
// [ExitHelp]; every error of the libraries finds its code in exit.go, by type and never by text.
//
// # Why this way
//
// Commands share options as small structs that each register their own flags, so a flag has one name, one help text
// and one check wherever it appears. A value comes from the flag, else from NANOPATCH_<FLAG>, else from the config
// file, else the default; settings.go is the only place that knows this order. Commands that work on no image never
// read the config file, so that a broken one can be looked into. Everything that reaches outside the process (streams,
// clock, environment) comes in through [Env], so that the tests run the program as users do, in the same process and on
// a day of their choice.
package cli
