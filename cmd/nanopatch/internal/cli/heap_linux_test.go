package cli

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"unsafe"
)

// TestHugePages asks the kernel whether new memory of the heap is to be of huge pages, and the runtime whether it has forgotten the block
// that they were asked for with.
func TestHugePages(t *testing.T) {
	modes, err := os.ReadFile("/sys/kernel/mm/transparent_hugepage/enabled")
	if err != nil || strings.Contains(string(modes), "[never]") {
		t.Skipf("this kernel has no huge pages: %s %v", modes, err)
	}
	block := make([]byte, 8<<20)
	defer runtime.KeepAlive(block)
	if flags := mappingFlags(t, uintptr(unsafe.Pointer(&block[0]))); !slices.Contains(flags, "hg") {
		t.Errorf("the heap's flags are %v, want hg among them (proc(5), VmFlags)", flags)
	}
	var stats runtime.MemStats
	if runtime.ReadMemStats(&stats); stats.NextGC < uint64(len(heapFloor)) || stats.NextGC >= hugeHeap {
		t.Errorf("the next collection is at %d MB", stats.NextGC>>20)
	}
	percent := debug.SetGCPercent(100)
	debug.SetGCPercent(percent)
	if percent != 100 && os.Getenv("GOGC") == "" {
		t.Errorf("the collector's percentage is %d", percent)
	}
}

// TestHeapOfLittleMemory starts this program where it may not have the memory that is marked.
func TestHeapOfLittleMemory(t *testing.T) {
	for range 3 {
		out, err := exec.CommandContext(t.Context(), "sh", "-c", `ulimit -d 300000 && exec "$0" -test.run '^$'`, os.Args[0]).CombinedOutput()
		if err != nil {
			t.Errorf("%v\n%.500s", err, out)
		}
	}
}

// mappingFlags are the kernel's flags of the mapping that an address is in.
func mappingFlags(t *testing.T, address uintptr) []string {
	t.Helper()
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	inside := false
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var from, to uintptr
		if n, _ := fmt.Sscanf(lines.Text(), "%x-%x ", &from, &to); n == 2 {
			inside = from <= address && address < to
		}
		if flags, ok := strings.CutPrefix(lines.Text(), "VmFlags:"); ok && inside {
			return strings.Fields(flags)
		}
	}
	t.Fatalf("no mapping of %x: %v", address, lines.Err())
	return nil
}
