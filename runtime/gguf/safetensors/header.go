package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"slices"

	"github.com/weft-run/weft/runtime/gguf/strictjson"
)

const (
	lengthBytes = 8
	metadataKey = "__metadata__"
	// valuesPerTensor is how many JSON values one entry has beside its dimensions: itself, the type, two lists, two offsets.
	valuesPerTensor = 6
	// headerDepth is how deep a header nests: the object, an entry, a list.
	headerDepth = 3
)

// ParseHeader reads and checks the header of a file of the given size, and that its tensors fill the data without a hole. It reads no
// data, so a sparse file of any size costs its header.
func ParseHeader(r io.ReaderAt, size int64, lim Limits) (*Header, error) {
	text, err := readHeader(r, size, lim)
	if err != nil {
		return nil, err
	}
	values := lim.Tensors*(valuesPerTensor+lim.Dims) + lim.MetadataBytes
	if err := strictjson.CheckObject(text, strictjson.Limits{Depth: headerDepth, Values: values}); err != nil {
		return nil, refuse(ErrFormat, "header: %v", err)
	}
	var entries map[string]json.RawMessage
	if err := json.Unmarshal(text, &entries); err != nil {
		return nil, refuse(ErrFormat, "header: %v", err)
	}
	h := &Header{DataOffset: lengthBytes + int64(len(text)), Size: size}
	if raw, ok := entries[metadataKey]; ok {
		if len(raw) > lim.MetadataBytes {
			return nil, refuse(ErrFormat, "%s has %d bytes, the limit is %d", metadataKey, len(raw), lim.MetadataBytes)
		}
		if err := json.Unmarshal(raw, &h.Metadata); err != nil {
			return nil, refuse(ErrFormat, "%s is not an object of text: %v", metadataKey, err)
		}
		delete(entries, metadataKey)
	}
	if len(entries) > lim.Tensors {
		return nil, refuse(ErrFormat, "%d tensors, the limit is %d", len(entries), lim.Tensors)
	}
	h.Tensors = make([]Tensor, 0, len(entries))
	for name, raw := range entries {
		t, err := parseTensor(name, raw, lim)
		if err != nil {
			return nil, err
		}
		h.Tensors = append(h.Tensors, t)
	}
	return h, h.checkExtents()
}

// readHeader returns the bytes of the JSON object.
func readHeader(r io.ReaderAt, size int64, lim Limits) ([]byte, error) {
	if size == 0 {
		return nil, refuse(ErrTruncated, "the file is empty")
	}
	if size < lengthBytes {
		return nil, refuse(ErrTruncated, "the file has %d bytes, less than the %d of its header's length", size, lengthBytes)
	}
	var length [lengthBytes]byte
	if err := readFull(r, length[:], 0, "the header's length"); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint64(length[:])
	switch {
	case n > lim.HeaderBytes:
		return nil, refuse(ErrFormat, "header of %d bytes, the limit is %d; is it a safetensors file?", n, lim.HeaderBytes)
	case n > uint64(size-lengthBytes):
		return nil, refuse(ErrTruncated, "header of %d bytes, but only %d follow its length", n, size-lengthBytes)
	case n < 2:
		return nil, refuse(ErrFormat, "header of %d bytes, want a JSON object", n)
	}
	text := make([]byte, n)
	if err := readFull(r, text, lengthBytes, "the header"); err != nil {
		return nil, err
	}
	if text[0] != '{' {
		return nil, refuse(ErrFormat, "header begins with %q, want '{'; is it a safetensors file?", text[:1])
	}
	return text, nil
}

func readFull(r io.ReaderAt, dst []byte, off int64, what string) error {
	n, err := r.ReadAt(dst, off)
	switch {
	case n == len(dst):
		return nil
	case errors.Is(err, io.EOF):
		return refuse(ErrTruncated, "%s: the file ends at %d while it is read", what, off+int64(n))
	}
	return fmt.Errorf("safetensors: reading %s at offset %d: %w", what, off, err)
}

func parseTensor(name string, raw json.RawMessage, lim Limits) (Tensor, error) {
	t := Tensor{Name: name}
	if name == "" || len(name) > lim.NameBytes || bytes.ContainsFunc([]byte(name), control) {
		return t, refuse(ErrFormat, "tensor name %.80q: want 1 to %d bytes without control characters", name, lim.NameBytes)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return t, refuse(ErrFormat, "tensor %q: entry is not an object", name)
	}
	for _, want := range []string{"dtype", "shape", "data_offsets"} {
		// A null, alone or in a list, would be decoded as nothing was there: as 0.
		if len(fields[want]) == 0 || bytes.Contains(fields[want], []byte("null")) {
			return t, refuse(ErrFormat, "tensor %q: %q is missing or null", name, want)
		}
	}
	if len(fields) > 3 {
		return t, refuse(ErrFormat, "tensor %q: %d fields, want dtype, shape and data_offsets", name, len(fields))
	}
	if err := json.Unmarshal(fields["dtype"], &t.Type); err != nil {
		return t, refuse(ErrFormat, "tensor %q: dtype is %.40s, want text", name, fields["dtype"])
	}
	// Integers that are negative, fractional or beyond 64 bits are errors of decoding.
	if err := json.Unmarshal(fields["shape"], &t.Shape); err != nil {
		return t, refuse(ErrFormat, "tensor %q: shape is %.80s, want a list of whole numbers", name, fields["shape"])
	}
	var offsets []uint64
	if err := json.Unmarshal(fields["data_offsets"], &offsets); err != nil || len(offsets) != 2 {
		return t, refuse(ErrFormat, "tensor %q: data_offsets are %.80s, want two whole numbers", name, fields["data_offsets"])
	}
	if offsets[1] < offsets[0] {
		return t, refuse(ErrFormat, "tensor %q: ends at %d, before its beginning at %d", name, offsets[1], offsets[0])
	}
	t.Offset, t.Bytes = offsets[0], offsets[1]-offsets[0]
	return t, t.checkSize(lim)
}

func control(r rune) bool { return r < ' ' || r == 0x7f }

// checkSize compares the bytes between the offsets with what type and shape take.
func (t Tensor) checkSize(lim Limits) error {
	width, ok := dtypeBits[t.Type]
	if !ok {
		return refuse(ErrFormat, "tensor %q: dtype %.40q is unknown", t.Name, string(t.Type))
	}
	if len(t.Shape) > lim.Dims {
		return refuse(ErrFormat, "tensor %q: %d dimensions, the limit is %d", t.Name, len(t.Shape), lim.Dims)
	}
	size := width
	for i, d := range t.Shape {
		if d == 0 {
			return refuse(ErrFormat, "tensor %q: dimension %d is 0; tensors without elements are not read", t.Name, i)
		}
		hi, lo := bits.Mul64(size, d)
		if hi != 0 || lo > math.MaxInt64 {
			return refuse(ErrFormat, "tensor %q: shape %d of %s is beyond 2^63 bits", t.Name, t.Shape, t.Type)
		}
		size = lo
	}
	if size%8 != 0 {
		return refuse(ErrFormat, "tensor %q: shape %d of %s is no whole number of bytes", t.Name, t.Shape, t.Type)
	}
	if size /= 8; size != t.Bytes {
		return refuse(ErrFormat, "tensor %q: data_offsets span %d bytes, but shape %d of %s takes %d", t.Name, t.Bytes, t.Shape, t.Type, size)
	}
	return nil
}

// checkExtents sorts the tensors by offset and proves that they fill the data, one behind the other.
func (h *Header) checkExtents() error {
	slices.SortFunc(h.Tensors, func(a, b Tensor) int {
		return cmp.Or(cmp.Compare(a.Offset, b.Offset), cmp.Compare(a.Name, b.Name))
	})
	end, data := uint64(0), uint64(h.Size-h.DataOffset)
	for i, t := range h.Tensors {
		switch {
		case t.Offset < end:
			return refuse(ErrFormat, "tensor %q: offset %d overlaps tensor %q, which ends at %d", t.Name, t.Offset, h.Tensors[i-1].Name, end)
		case t.Offset > end:
			return refuse(ErrFormat, "tensor %q: offset %d leaves a hole of %d bytes before it", t.Name, t.Offset, t.Offset-end)
		}
		end += t.Bytes // no wrap: offsets are the sums so far, and both ends of each tensor are within 64 bits
	}
	if end > data {
		return refuse(ErrTruncated, "the tensors end at offset %d, but the file has only %d bytes of data", end, data)
	}
	if end < data {
		return refuse(ErrFormat, "%d bytes behind the last tensor", data-end)
	}
	return nil
}
