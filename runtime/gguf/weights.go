package gguf

import (
	"cmp"
	"slices"

	"github.com/weft-run/weft/kernels/quant"
)

// WeightCheck looks for weights that are infinite or not a number in one file of a model. All bytes of the file are written to it,
// front to back, as whoever computes a digest reads them anyway. It belongs to one goroutine.
type WeightCheck struct {
	data    uint64       // where the tensor data starts
	tensors []TensorInfo // of this file that are not behind us, in the order of their offsets
	off     uint64       // of the next byte
	part    []byte       // the beginning of a block that a write cut
	err     error
}

// CheckWeights begins a check of file number shard. Tensors of types that are not computed with are passed over.
func (f *File) CheckWeights(shard int) *WeightCheck {
	c := &WeightCheck{data: uint64(f.shards[shard].header.DataOffset)}
	for _, t := range f.tensors {
		if t.Shard == shard && t.Type.Info().Computable {
			c.tensors = append(c.tensors, t)
		}
	}
	slices.SortFunc(c.tensors, func(a, b TensorInfo) int { return cmp.Compare(a.Offset, b.Offset) })
	return c
}

// Write looks at the next bytes. From the first damage on it returns an error that is ErrDamaged and names tensor and block.
func (c *WeightCheck) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0 && c.err == nil && len(c.tensors) > 0; {
		n := c.next(rest)
		c.off += uint64(n)
		rest = rest[n:]
	}
	if c.err != nil {
		return 0, c.err
	}
	return len(p), nil
}

// next looks at the beginning of p, which lies at off, and returns how much of it that was.
func (c *WeightCheck) next(p []byte) int {
	t := &c.tensors[0]
	start := c.data + t.Offset
	if c.off < start {
		return int(min(uint64(len(p)), start-c.off))
	}
	size := t.Type.Info().BlockBytes
	left := start + t.Bytes - c.off
	p = p[:min(uint64(len(p)), left)]
	block := (c.off - start) / uint64(size)
	switch {
	case len(c.part) > 0 || len(p) < size: // a block that two writes share
		n := min(size-len(c.part), len(p))
		c.part = append(c.part, p[:n]...)
		p = p[:n]
		if len(c.part) == size {
			c.look(t, block, c.part)
			c.part = c.part[:0]
		}
	default:
		p = p[:len(p)/size*size]
		c.look(t, block, p)
	}
	if uint64(len(p)) == left {
		c.tensors = c.tensors[1:]
	}
	return len(p)
}

// look checks whole blocks of a tensor, the first of which has the number block.
func (c *WeightCheck) look(t *TensorInfo, block uint64, b []byte) {
	at := quant.NonFinite(t.Type, b)
	if at < 0 {
		return
	}
	info := t.Type.Info()
	block += uint64(at)
	weight := block * uint64(info.BlockLen)
	what := "scale"
	if info.BlockLen == 1 {
		what = "weight"
	}
	c.err = refuse(ErrDamaged, "tensor %q: block %d of type %s (row %d, weight %d) has a %s that is infinite or not a number; the file is damaged "+
		"or was converted wrongly: fetch or convert it again and replace it by rename",
		t.Name, block, info.Name, weight/t.Dims[0], weight%t.Dims[0], what)
}
