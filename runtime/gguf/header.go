package gguf

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// Least sizes in a file, by which counts are checked: a pair with a key of one byte and a value of one byte, and a tensor
// with a name of one byte and one dimension.
const (
	minPairBytes   = 8 + 1 + 4 + 1
	minTensorBytes = 8 + 1 + 4 + 8 + 4 + 8
)

// pairHeapBytes and tensorHeapBytes are what a pair and a tensor cost in memory besides their text, rounded up.
const (
	pairHeapBytes   = 256
	tensorHeapBytes = 256
)

// ParseHeader reads and checks everything before the tensor data of one file of the given size, and that the tensors lie
// within it. It reads no tensor data, so a sparse file of any size costs its header. The other files of a split set are not
// looked for. Where nothing is wrong but that the tensors end beyond the file, the header comes with the error.
func ParseHeader(r io.ReaderAt, size int64, lim Limits) (*Header, error) {
	if size < 0 {
		return nil, refuse(ErrFormat, "size of the file is %d", size)
	}
	if size == 0 {
		return nil, refuse(ErrTruncated, "the file is empty")
	}
	c := newCursor(r, size, lim)
	h := &Header{Size: size}
	if err := h.readVersion(c); err != nil {
		return nil, err
	}
	tensors, pairs, err := readCounts(c, lim)
	if err != nil {
		return nil, err
	}
	if err := h.readPairs(c, pairs, lim); err != nil {
		return nil, err
	}
	if err := h.readContainerKeys(lim); err != nil {
		return nil, err
	}
	if err := h.readTensors(c, tensors, lim); err != nil {
		return nil, err
	}
	sum := c.digest()
	h.Digest = hex.EncodeToString(sum[:])
	// The header's end is below 2^46 by the limits, or below the file's size, so that padding cannot wrap.
	h.DataOffset = int64(pad(uint64(c.off), h.Alignment))
	if err := h.checkExtents(lim); err != nil {
		if errors.Is(err, ErrTruncated) {
			return h, err
		}
		return nil, err
	}
	return h, nil
}

// pad rounds n up to a multiple of alignment, a power of two.
func pad(n, alignment uint64) uint64 { return (n + alignment - 1) &^ (alignment - 1) }

// formerMagics are the first four bytes of the formats that came before GGUF, as they stand in a file.
var formerMagics = map[string]string{
	"lmgg": "GGML", "fmgg": "GGMF", "tjgg": "GGJT", "algg": "GGLA",
}

func (h *Header) readVersion(c *cursor) error {
	var m [4]byte
	if err := c.read(m[:], "magic"); err != nil {
		return err
	}
	switch name := string(m[:]); {
	case name == "FUGG":
		return refuse(ErrUnsupported, "magic %q at offset 0: file is big-endian, only little-endian files are read", name)
	case formerMagics[name] != "":
		return refuse(ErrUnsupported, "magic %q at offset 0: file is of the format %s, which came before GGUF; convert the model again", name, formerMagics[name])
	case name != magic:
		return refuse(ErrFormat, "magic %q at offset 0 is not %q: not a GGUF file", name, magic)
	}
	v, err := c.uint32("version")
	if err != nil {
		return err
	}
	switch {
	case v == 2 || v == Version:
		h.Version = v
		return nil
	case v == 1:
		return refuse(ErrUnsupported, "version 1 at offset 4 is not read, only 2 and 3 are; convert the model again")
	case v != 0 && v&0xffff == 0:
		return refuse(ErrUnsupported, "version %d at offset 4 is written big-endian, only little-endian files are read", v>>24|v>>8&0xff00)
	case v == 0:
		return refuse(ErrFormat, "version 0 at offset 4 does not exist")
	}
	return refuse(ErrUnsupported, "version %d at offset 4 is newer than 3, the newest that is read", v)
}

// count reads a number of things that take at least each bytes in the file.
func (c *cursor) count(what string, limit, each uint64) (uint64, error) {
	at := c.off
	n, err := c.uint64(what)
	if err != nil {
		return 0, err
	}
	if n > limit {
		return 0, refuse(ErrFormat, "%s %d at offset %d is beyond the limit of %d", what, n, at, limit)
	}
	// The limits keep this product far from wrapping.
	if n*each > c.remain() {
		return 0, refuse(ErrTruncated, "%s %d at offset %d needs at least %d bytes, but only %d follow", what, n, at, n*each, c.remain())
	}
	return n, nil
}

func readCounts(c *cursor, lim Limits) (tensors, pairs uint64, err error) {
	if tensors, err = c.count("tensor count", lim.Tensors, minTensorBytes); err != nil {
		return 0, 0, err
	}
	if pairs, err = c.count("key count", lim.Keys, minPairBytes); err != nil {
		return 0, 0, err
	}
	return tensors, pairs, nil
}

func (h *Header) readPairs(c *cursor, n uint64, lim Limits) error {
	if err := c.charge(n*pairHeapBytes, "keys"); err != nil {
		return err
	}
	h.Meta = Metadata{keys: make([]string, 0, n), values: make(map[string]Value, n)}
	var buf []byte
	for i := range n {
		at := c.off
		var err error
		if buf, err = c.text(buf[:0], lim.KeyBytes, fmt.Sprintf("key %d", i)); err != nil {
			return err
		}
		key := string(buf)
		if err := checkName(key); err != nil {
			return refuse(ErrFormat, "key %d at offset %d: name %.80q %v", i, at, key, err)
		}
		if h.Meta.Has(key) {
			return refuse(ErrFormat, "key %q at offset %d is there twice", key, at)
		}
		v, err := readValue(c, key, lim)
		if err != nil {
			return err
		}
		h.Meta.add(key, v)
	}
	return nil
}

// checkName refuses names that would confuse a reader of messages and listings.
func checkName(name string) error {
	if name == "" {
		return fmt.Errorf("is empty")
	}
	if !utf8.ValidString(name) {
		return fmt.Errorf("is not UTF-8")
	}
	for _, r := range name {
		if r < ' ' || r == 0x7f {
			return fmt.Errorf("has a control character")
		}
	}
	return nil
}

// readContainerKeys interprets the keys that concern the file itself.
func (h *Header) readContainerKeys(lim Limits) error {
	var err error
	if h.Alignment, err = h.Meta.Uint(keyAlignment, DefaultAlignment); err != nil {
		return err
	}
	if a := h.Alignment; a < 8 || a&(a-1) != 0 || a > lim.Alignment {
		return refuse(ErrFormat, "key %q is %d, want a power of two from 8 to %d", keyAlignment, a, lim.Alignment)
	}
	count, err := h.Meta.Uint(keySplitCount, 0)
	if err != nil {
		return err
	}
	no, err := h.Meta.Uint(keySplitNo, 0)
	if err != nil {
		return err
	}
	total, err := h.Meta.Uint(keySplitTensors, 0)
	if err != nil {
		return err
	}
	if count <= 1 {
		return nil
	}
	if count > lim.Shards {
		return refuse(ErrFormat, "key %q is %d, beyond the limit of %d", keySplitCount, count, lim.Shards)
	}
	if no >= count {
		return refuse(ErrFormat, "key %q is %d, want less than %q, which is %d", keySplitNo, no, keySplitCount, count)
	}
	if total > lim.Tensors*count {
		return refuse(ErrFormat, "key %q is %d, beyond the limit of %d", keySplitTensors, total, lim.Tensors*count)
	}
	h.SplitNo, h.SplitCount, h.SplitTensors = int(no), int(count), int(total)
	return nil
}
