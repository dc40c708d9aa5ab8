// Package clitest lets a test binary be nanopatch: tests that want the program as a process of its own then need no other build.
//
// A package's TestMain calls [Main]; its tests start os.Args[0] with [Environ] in the environment.
//
// Why this way: what is tested is compiled with the tests, so it cannot be an older program than they are.
package clitest
