package cpu

import (
	"os"
	"runtime"
	"syscall"
	"testing"
	"unsafe"

	"github.com/weft-run/weft/kernels"
)

// TestDiscard: the memory of discarded pages is the system's again, that of their neighbours holds what it held.
func TestDiscard(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("memory is given back on Linux alone")
	}
	device, err := NewDevice(Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer device.Close()
	b := device.Open()
	defer b.Close()
	for _, heads := range []int{1, 4} { // a page of 2 KiB in a layer, and one of 8 KiB
		layout := kernels.CacheLayout{Layers: 3, KVHeads: heads, HeadDim: 16, PageTokens: 32, Pages: 16, Type: kernels.CacheF16}
		made, err := b.NewCache(layout)
		if err != nil {
			t.Fatal(err)
		}
		c := made.(*cache)
		for i := range c.memory {
			c.memory[i] = byte(1 + i%255)
		}
		before := resident(t, c.memory)
		c.Discard([]int32{5, 3, 4, 9, 6})
		size := len(c.memory) / (layout.Layers * layout.Pages)
		if heads == 4 { // whole pages of the system's
			if after, want := resident(t, c.memory), before-3*5*size/os.Getpagesize(); os.Getpagesize() == 4096 && after > want {
				t.Errorf("%d of %d pages of the system's are resident, want %d", after, before, want)
			}
		}
		kept := func(page int) bool { return page < 3 || page > 6 && page != 9 }
		for i, x := range c.memory {
			page := i / size % layout.Pages
			if want := byte(1 + i%255); x != want && (kept(page) || x != 0) {
				t.Fatalf("%d heads: byte %d, of page %d, is %d, want %d", heads, i, page, x, want)
			}
		}
		c.Discard(nil)
		c.Free()
	}
}

// resident counts the pages of the system's that memory takes room in. Memory that was read is counted too.
func resident(t *testing.T, b []byte) (n int) {
	t.Helper()
	seen := make([]byte, (len(b)+os.Getpagesize()-1)/os.Getpagesize())
	_, _, errno := syscall.Syscall(syscall.SYS_MINCORE, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), uintptr(unsafe.Pointer(unsafe.SliceData(seen))))
	if errno != 0 {
		t.Skip("mincore: ", errno)
	}
	for _, s := range seen {
		n += int(s & 1)
	}
	return n
}
