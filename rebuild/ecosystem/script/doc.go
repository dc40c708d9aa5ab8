// Package script runs the scripts of packages over the tree of an image, without running anything of the image and without
// touching the machine. The dpkg and apk ecosystems share it: their maintainer scripts are sh.
//
// [Run] interprets one script. What it sees is a [Tree]: the merged layers of an image, seen through [View], with the edits of
// earlier scripts on top. What it does are further edits, which [Tree.Changes] lists as entries fit for a layer. The programs that
// it calls are Go functions, given by name: those that every system has are in package posix, those of Debian in package debscript. A
// program exists for a script only where the tree has it. One that is a shell script itself is interpreted in turn.
//
// # Guarantees
//
//   - Nothing of the machine is read, written or executed: no file, no variable, no clock, no process number. A path below /proc,
//     /sys or /dev, but for /dev/null, is unknown.
//   - What is not modelled is an [*UnknownError] with script, line and command, and never passed over: a program, an option of
//     one, a construct of the shell, a file whose content is not at hand. A script that fails is an [*ExitError].
//   - A run is a pure function of its input, and ends: steps, bytes, lengths, depths and files are bounded ([Limits]), and the
//     context is looked at in every step. It starts no goroutine.
//
// # Why this way
//
// Executing the scripts, in a chroot or a virtual machine, would take the image's architecture, a kernel's privileges, and trust in
// what they do. Most of them decide by their arguments that nothing is to do; of the rest most do one of few things.
//
// The syntax comes from mvdan.cc/sh, the interpreter does not. That one runs pipelines and here-documents concurrently through
// pipes of the kernel, looks programs up on the machine in three of its builtins, knows the file descriptors 0 to 2 only (debconf's
// protocol needs 3), runs the last command of a pipeline in the shell itself as neither dash nor bash do, goes on with a message after
// what it does not support, and puts no bound on the size of values. Each of these would have to be caught from outside. An evaluator
// for the same syntax tree that refuses all it does not know is smaller than that, and can be compared with dash snippet by snippet,
// as the tests do.
package script
