// Package gunzip inflates gzip streams (RFC 1951, RFC 1952).
//
// It does what the Reader of compress/gzip does in its default mode, members one after the other up to the end of the
// stream, and takes and refuses the same streams: container runtimes are written in Go, and what they unpack has to be
// read here, what they refuse must not be. Headers are checked and otherwise passed over. Of a stream that is damaged or
// cut short, how much comes before the error is not the same.
//
// # Guarantees
//
// A Reader takes some 450 KB, whatever the stream is. It has no goroutine and holds nothing that has to be closed. The
// end of the stream is reported only when the checksums and lengths of all members are right. No stream makes it
// panic, write outside its buffer, or go on without taking bits of the stream.
//
// # Why this way
//
// Most layers are compressed with gzip, and to inflate them was the largest part of a first run over an image: two
// fifths of the processor time of an SBOM. The best library for it in Go, github.com/klauspost/compress, takes 1.7
// to 2 times as long (see the benchmark), for it asks for the end of the input with each byte and for that of its window
// with each match. Here both are asked for once for every few symbols: the output lies in one piece with its window
// before it, zeros lie behind the input's end, and codes are looked up in tables of up to two levels. These are the
// means of libdeflate; nothing of them needs the package unsafe, and the compiler's bounds checks stay.
//
// Everything else that is compressed (package files, indexes of repositories, what nanopatch writes) is left to
// libraries, as it takes little time.
package gunzip
