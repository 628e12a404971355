package gguf

import (
	"fmt"
	"math"
	"math/bits"
	"slices"

	"github.com/weft-run/weft/kernels/quant"
)

func (h *Header) readTensors(c *cursor, n uint64, lim Limits) error {
	if err := c.charge(n*tensorHeapBytes, "tensors"); err != nil {
		return err
	}
	h.Tensors = make([]TensorInfo, n)
	names := make(map[string]struct{}, n)
	var buf []byte
	for i := range h.Tensors {
		at := c.off
		var err error
		if buf, err = c.text(buf[:0], lim.NameBytes, fmt.Sprintf("name of tensor %d", i)); err != nil {
			return err
		}
		name := string(buf)
		if err := checkName(name); err != nil {
			return refuse(ErrFormat, "tensor %d at offset %d: name %q %v", i, at, name, err)
		}
		if _, ok := names[name]; ok {
			return refuse(ErrFormat, "tensor %q at offset %d is there twice", name, at)
		}
		names[name] = struct{}{}
		if h.Tensors[i], err = readTensor(c, name); err != nil {
			return err
		}
	}
	return nil
}

func readTensor(c *cursor, name string) (TensorInfo, error) {
	t := TensorInfo{Name: name}
	what := fmt.Sprintf("tensor %q", name)
	at := c.off
	n, err := c.uint32(what)
	if err != nil {
		return t, err
	}
	if n < 1 || n > maxDims {
		return t, refuse(ErrFormat, "%s: %d dimensions at offset %d, want 1 to %d", what, n, at, maxDims)
	}
	t.Dims = make([]uint64, n)
	for i := range t.Dims {
		at := c.off
		d, err := c.uint64(what)
		if err != nil {
			return t, err
		}
		if d == 0 || d > math.MaxInt64 {
			return t, refuse(ErrFormat, "%s: dimension %d at offset %d is %d, want 1 or more", what, i, at, int64(d))
		}
		t.Dims[i] = d
	}
	at = c.off
	id, err := c.uint32(what)
	if err != nil {
		return t, err
	}
	if t.Bytes, err = tensorBytes(what, id, t.Dims, fmt.Sprintf(" at offset %d", at)); err != nil {
		return t, err
	}
	t.Type = quant.Type(id)
	t.Offset, err = c.uint64(what)
	return t, err
}

// tensorBytes is the size of a tensor without padding. Dimensions are 1 or more; where says where the type id stands.
func tensorBytes(what string, id uint32, dims []uint64, where string) (uint64, error) {
	info, ok := quant.Lookup(id)
	if !ok {
		return 0, refuse(ErrUnsupported, "%s: type id %d%s is unknown", what, id, where)
	}
	if info.Removed {
		return 0, refuse(ErrUnsupported, "%s: type %s (id %d)%s was removed from the format; convert the model again", what, info.Name, id, where)
	}
	if dims[0]%uint64(info.BlockLen) != 0 {
		return 0, refuse(ErrFormat, "%s: row length %d is not a multiple of %d, the block length of %s", what, dims[0], info.BlockLen, info.Name)
	}
	size := dims[0] / uint64(info.BlockLen)
	elements := uint64(1)
	for _, d := range dims {
		hi, lo := bits.Mul64(elements, d)
		if hi != 0 || lo > math.MaxInt64 {
			return 0, refuse(ErrFormat, "%s: number of elements of dimensions %d is beyond 2^63-1", what, dims)
		}
		elements = lo
	}
	for _, d := range append([]uint64{uint64(info.BlockBytes)}, dims[1:]...) {
		hi, lo := bits.Mul64(size, d)
		if hi != 0 || lo > math.MaxInt64 {
			return 0, refuse(ErrFormat, "%s: size in bytes of dimensions %d in %s is beyond 2^63-1", what, dims, info.Name)
		}
		size = lo
	}
	return size, nil
}

// checkExtents proves that every tensor is aligned, lies behind the header, within the file, and apart from all others.
func (h *Header) checkExtents(lim Limits) error {
	order := make([]int, len(h.Tensors))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		x, y := h.Tensors[a].Offset, h.Tensors[b].Offset
		switch {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	})
	data := uint64(h.DataOffset)
	padded := uint64(0) // sum of the padded sizes, as readers that allocate one arena compute it
	var last *TensorInfo
	var truncated error // reported after all rules that no further byte could mend
	for _, i := range order {
		t := &h.Tensors[i]
		if t.Offset%h.Alignment != 0 {
			return refuse(ErrFormat, "tensor %q: offset %d is not a multiple of the alignment %d", t.Name, t.Offset, h.Alignment)
		}
		end, carry := bits.Add64(t.Offset, t.Bytes, 0)
		start, carry2 := bits.Add64(data, t.Offset, 0)
		if carry != 0 || carry2 != 0 || start < data {
			return refuse(ErrFormat, "tensor %q: offset %d and size %d wrap around and would lie inside the header", t.Name, t.Offset, t.Bytes)
		}
		var wrapped uint64
		if padded, wrapped = bits.Add64(padded, pad(t.Bytes, h.Alignment), 0); wrapped != 0 || padded > math.MaxInt64 {
			return refuse(ErrFormat, "tensor %q: sum of padded tensor sizes is beyond 2^63-1", t.Name)
		}
		if end > lim.FileBytes || data+end > lim.FileBytes {
			return refuse(ErrFormat, "tensor %q: offset %d and size %d are beyond the limit of %d bytes for one file", t.Name, t.Offset, t.Bytes, lim.FileBytes)
		}
		if last != nil && t.Offset < last.Offset+last.Bytes {
			return refuse(ErrFormat, "tensor %q: offset %d overlaps tensor %q, which takes %d bytes from offset %d", t.Name, t.Offset, last.Name, last.Bytes, last.Offset)
		}
		if data+end > uint64(h.Size) {
			truncated = refuse(ErrTruncated, "tensor %q: offset %d and size %d end at %d, beyond file size %d", t.Name, t.Offset, t.Bytes, data+end, h.Size)
		}
		last = t
	}
	return truncated
}
