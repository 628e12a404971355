package cpu

import (
	"fmt"
	"os"
	"syscall"
)

// reserve returns zeroed memory of n bytes whose pages take room from their first use on. Huge pages are refused: where the system gives them
// unasked a few tokens would take the room of hundreds, as each layer's rows lie far apart, and what discard gives back would stay.
func reserve(n int64) ([]byte, error) {
	if n == 0 {
		return nil, nil
	}
	const flags = syscall.MAP_ANON | syscall.MAP_PRIVATE | syscall.MAP_NORESERVE
	b, err := syscall.Mmap(-1, 0, int(n), syscall.PROT_READ|syscall.PROT_WRITE, flags)
	if err != nil {
		return nil, fmt.Errorf("cpu: reserve %d bytes: %w", n, err)
	}
	_ = syscall.Madvise(b, syscall.MADV_NOHUGEPAGE) // a kernel without huge pages knows no such advice
	return b, nil
}

// release gives memory of reserve back.
func release(b []byte) {
	if b == nil {
		return
	}
	if err := syscall.Munmap(b); err != nil {
		panic("BUG: cpu: release of memory that reserve did not return: " + err.Error())
	}
}

// discard gives the whole pages of the system's that lie between two offsets of memory of reserve back; they are zero from then on.
func discard(b []byte, from, to int) {
	size := os.Getpagesize()
	from, to = (from+size-1)/size*size, to/size*size
	if from >= to {
		return
	}
	if err := syscall.Madvise(b[from:to], syscall.MADV_DONTNEED); err != nil {
		panic("BUG: cpu: discard of memory that reserve did not return: " + err.Error())
	}
}
