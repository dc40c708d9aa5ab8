package cli

import "golang.org/x/sys/unix"

// adviseHugePages has the kernel use huge pages for the size bytes that the heap grows by next. It does nothing where address space is
// limited or the kernel will not: that costs time and nothing else.
func adviseHugePages(size int) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_AS, &limit); err != nil || limit.Cur != unix.RLIM_INFINITY {
		return
	}
	_ = unix.Madvise(make([]byte, size), unix.MADV_HUGEPAGE)
}
