// Package ldcache reads and writes the dynamic linker's cache (ld.so.cache), and reads of shared libraries what ldconfig(8) does.
//
// # Guarantees
//
// The formats are those of glibc since 2.2: the present one alone, behind that of libc5 ("compat", glibc's default before 2.32), and
// with extensions (since 2.33), in either byte order. What [Parse] gives writes the bytes that it was read from, or [Cache.Exact]
// says that it does not; then nothing may be built on it but reading. Entries come in ldconfig's order. All input is bounded.
//
// # Why this way
//
// ldconfig makes the cache of all libraries that there are; of an image's layers only what the cache itself says of the
// libraries is at hand. So the cache is edited: entries that an upgrade does not concern stay as they are. That a cache comes
// out of its own entries byte for byte is the proof, for each image anew, that its ldconfig writes as this package does. It is no
// proof that the right libraries are in it: that is for the caller to know.
//
// The layouts are those of glibc's sysdeps/generic/dl-cache.h, the order is compare's in elf/cache.c, the strings are arranged as
// in elf/stringtable.c; the kinds of libraries are from sysdeps/generic/ldconfig.h and the readelflib.c of each architecture.
package ldcache
