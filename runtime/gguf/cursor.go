package gguf

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
)

// windowBytes is how much of a file one read of a header takes in.
const windowBytes = 64 << 10

// cursor walks through a header, front to back, in windows. It knows the offset of every byte for messages, refuses to
// pass the file's end, and hashes all that it passes.
type cursor struct {
	src  io.ReaderAt
	size int64
	off  int64 // of the next byte
	buf  []byte
	full []byte    // part of buf that holds bytes of the file
	rest []byte    // unread end of full
	sum  hash.Hash // of all windows before full
	heap uint64    // bytes that may still be allocated for what is read
}

func newCursor(src io.ReaderAt, size int64, lim Limits) *cursor {
	return &cursor{src: src, size: size, buf: make([]byte, min(windowBytes, max(size, 0))), sum: sha256.New(), heap: lim.HeapBytes}
}

// remain is the number of bytes between the next byte and the end of the file.
func (c *cursor) remain() uint64 { return uint64(c.size - c.off) }

// read fills dst. The caller has compared len(dst) with remain where a refusal deserves a better message.
func (c *cursor) read(dst []byte, what string) error {
	if uint64(len(dst)) > c.remain() {
		return refuse(ErrTruncated, "%s takes %d bytes at offset %d, but the file ends at %d", what, len(dst), c.off, c.size)
	}
	for len(dst) > 0 {
		if len(c.rest) == 0 {
			if err := c.fill(what); err != nil {
				return err
			}
		}
		n := copy(dst, c.rest)
		c.rest = c.rest[n:]
		c.off += int64(n)
		dst = dst[n:]
	}
	return nil
}

func (c *cursor) fill(what string) error {
	c.sum.Write(c.full) // all of it has been read: fill is called when nothing rests
	c.full = nil
	window := c.buf[:min(uint64(len(c.buf)), c.remain())]
	n, err := c.src.ReadAt(window, c.off)
	if n < len(window) {
		if err == nil || errors.Is(err, io.EOF) {
			return refuse(ErrTruncated, "%s: the file shrank from %d bytes to %d while it was read", what, c.size, c.off+int64(n))
		}
		return fmt.Errorf("gguf: reading %s at offset %d: %w", what, c.off, err)
	}
	c.full, c.rest = window, window
	return nil
}

// digest is the sha256 of all bytes read so far. Nothing can be read after it.
func (c *cursor) digest() [sha256.Size]byte {
	c.sum.Write(c.full[:len(c.full)-len(c.rest)])
	return [sha256.Size]byte(c.sum.Sum(nil))
}

func (c *cursor) uint32(what string) (uint32, error) {
	var b [4]byte
	err := c.read(b[:], what)
	return binary.LittleEndian.Uint32(b[:]), err
}

func (c *cursor) uint64(what string) (uint64, error) {
	var b [8]byte
	err := c.read(b[:], what)
	return binary.LittleEndian.Uint64(b[:]), err
}

// text reads a length and that many bytes, at most limit, and appends them to dst.
func (c *cursor) text(dst []byte, limit uint64, what string) ([]byte, error) {
	at := c.off
	n, err := c.uint64(what)
	if err != nil {
		return nil, err
	}
	if n > limit {
		return nil, refuse(ErrFormat, "%s at offset %d: length %d is beyond the limit of %d bytes", what, at, n, limit)
	}
	if n > c.remain() {
		return nil, refuse(ErrTruncated, "%s at offset %d: length %d, but only %d bytes of the file follow", what, at, n, c.remain())
	}
	if err := c.charge(n, what); err != nil {
		return nil, err
	}
	dst = growBy(dst, int(n))
	return dst, c.read(dst[len(dst)-int(n):], what)
}

// growBy lengthens b by n bytes.
func growBy(b []byte, n int) []byte {
	if cap(b)-len(b) < n {
		b = append(b, make([]byte, n)...)
		return b
	}
	return b[:len(b)+n]
}

// charge takes n bytes off the memory that this header may use, before they are allocated.
func (c *cursor) charge(n uint64, what string) error {
	if n > c.heap {
		return refuse(ErrFormat, "%s at offset %d: %d bytes of memory would pass the limit for one header by %d", what, c.off, n, n-c.heap)
	}
	c.heap -= n
	return nil
}
