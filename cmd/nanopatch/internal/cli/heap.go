package cli

import "runtime/debug"

// heapFloor is memory that is reserved and never touched, so that it costs address space alone. It makes the collector wait
// until there is something worth collecting: a run that begins with an empty heap would go through dozens of collections of a
// few megabytes each, a tenth of the time that a first SBOM takes.
var heapFloor = newHeapFloor(32 << 20)

// hugeHeap is how much of the heap is to be of huge pages, in bytes: as much as most runs come to need.
const hugeHeap = 256 << 20

// newHeapFloor also asks for huge pages behind the floor. A run fills some 200 MB of new memory, and in a virtual machine the first
// touch of an ordinary page can cost ten microseconds: a sixth of the time that a first SBOM takes there. Memory is then charged in
// steps of 2 MiB, which came to 5 to 15 % more at the peak.
func newHeapFloor(size int) []byte {
	percent := debug.SetGCPercent(-1) // no collection because of the blocks alone
	defer debug.SetGCPercent(percent)
	floor := make([]byte, size)
	adviseHugePages(hugeHeap)
	return floor
}
