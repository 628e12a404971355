package cpu

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"unsafe"
)

// TestReservedMemoryHasNoHugePages: reserved memory takes room by the system's small pages, also where that gives huge ones to everybody.
func TestReservedMemoryHasNoHugePages(t *testing.T) {
	if _, err := os.Stat("/sys/kernel/mm/transparent_hugepage"); err != nil {
		t.Skip("LOUD: skipped: this kernel has no huge pages to give unasked:", err)
	}
	b, err := reserve(8 << 20)
	if err != nil {
		t.Fatal(err)
	}
	defer release(b)
	maps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	within := false
	at := uintptr(unsafe.Pointer(&b[0]))
	for line := range strings.Lines(string(maps)) {
		var from, to uintptr
		if n, _ := fmt.Sscanf(line, "%x-%x ", &from, &to); n == 2 {
			within = from <= at && at < to
			continue
		}
		if flags, ok := strings.CutPrefix(line, "VmFlags:"); ok && within {
			if !slices.Contains(strings.Fields(flags), "nh") {
				t.Errorf("the flags of reserved memory are %s: no nh (no huge pages)", flags)
			}
			return
		}
	}
	t.Skip("LOUD: skipped: this kernel does not tell the flags of memory")
}
