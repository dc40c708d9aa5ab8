package cli

import (
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// adviseHugePages has the kernel use huge pages for the size bytes that the heap grows by next. The runtime never asks for them, and what
// it may be told by is only that it hands out the lowest free addresses first: so a block is taken, marked, and given back untouched. The
// collection has it forget the block, so that it does not wait for a heap as large as that.
//
// Nothing is done where so much memory cannot be had twice (limits of a shell, a kernel that does not overcommit), since the runtime would
// end the program, nor where the user has the runtime refuse huge pages. A kernel that will not give any costs time and nothing else.
func adviseHugePages(size int) {
	if strings.Contains(os.Getenv("GODEBUG"), "disablethp=1") {
		return
	}
	room, err := unix.Mmap(-1, 0, 2*size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil || unix.Munmap(room) != nil {
		return
	}
	_ = unix.Madvise(make([]byte, size), unix.MADV_HUGEPAGE)
	runtime.GC()
}
