package gguf

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mapping is a file in memory: read-only, shared with the page cache, and followed by one anonymous page of zeros, so
// that a vector load which begins at the last weight of a healthy file does not fault.
type mapping struct {
	bytes []byte // of the file
	whole []byte // with the page behind it
}

// mapFile maps size bytes of f; size is positive.
func mapFile(f *os.File, size int64) (mapping, error) {
	page := int64(os.Getpagesize())
	length := (size+page-1)/page*page + page
	if int64(int(length)) != length {
		return mapping{}, fmt.Errorf("gguf: %s: %d bytes do not fit the address space", f.Name(), size)
	}
	// One reservation first, so that the page behind the file is ours wherever the kernel puts it.
	base, err := unix.MmapPtr(-1, 0, nil, uintptr(length), unix.PROT_READ, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	if err != nil {
		return mapping{}, fmt.Errorf("gguf: %s: reserving %d bytes of address space: %w", f.Name(), length, err)
	}
	m := mapping{whole: unsafe.Slice((*byte)(base), int(length))}
	m.bytes = m.whole[:size:size]
	if _, err := unix.MmapPtr(int(f.Fd()), 0, base, uintptr(size), unix.PROT_READ, unix.MAP_SHARED|unix.MAP_FIXED); err != nil {
		m.unmap()
		return mapping{}, fmt.Errorf("gguf: %s: mapping %d bytes: %w", f.Name(), size, err)
	}
	// Weights can be read again from their file, so they have no place in a core dump. The advice may be refused.
	_ = unix.Madvise(m.whole, unix.MADV_DONTDUMP)
	return m, nil
}

func (m *mapping) unmap() {
	if m.whole == nil {
		return
	}
	if err := unix.MunmapPtr(unsafe.Pointer(&m.whole[0]), uintptr(len(m.whole))); err != nil {
		panic("BUG: gguf: unmapping what was mapped: " + err.Error())
	}
	m.whole, m.bytes = nil, nil
}

// prefetch asks the kernel to read the file ahead. It returns at once.
func (m *mapping) prefetch() {
	// Advice only: where it is refused, pages come in as they are read.
	_ = unix.Madvise(m.bytes, unix.MADV_WILLNEED)
}

const (
	// mapPiece is how much is brought in or given back in one go, half a millisecond's work and less: who loses a core to it has it back soon. Smaller ones
	// disturb a step as much, each.
	mapPiece = 8 << 20
	// mostWork is the most that bringing in a piece takes a processor. What took longer waited for a disk.
	mostWork = 2 * time.Millisecond
)

// piece returns piece number n of the file, or nil where there is none.
func (m *mapping) piece(n int64) []byte {
	from := n * mapPiece
	if from >= int64(len(m.bytes)) {
		return nil
	}
	return m.bytes[from:min(from+mapPiece, int64(len(m.bytes)))]
}

// load waits until the piece number n of the file is in memory and its pages are mapped; it is false where there is none. What the disk
// does not give is left to who reads it.
func (m *mapping) load(f *os.File, n int64) bool {
	piece := m.piece(n)
	if piece == nil {
		return false
	}
	if err := unix.Madvise(piece, unix.MADV_POPULATE_READ); errors.Is(err, unix.EINVAL) { // Linux before 5.14
		_, _ = io.Copy(io.Discard, io.NewSectionReader(f, n*mapPiece, int64(len(piece))))
	}
	return true
}

// discard gives the memory of piece number n back; it is false where there is none.
func (m *mapping) discard(n int64) bool {
	piece := m.piece(n)
	if piece == nil {
		return false
	}
	_ = unix.Madvise(piece, unix.MADV_DONTNEED) // advice only: unmap gives back what is left
	return true
}
