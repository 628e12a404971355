package cpu

import (
	"slices"

	"github.com/weft-run/weft/kernels"
)

func (b *backend) CopyPage(kv kernels.Cache, from, to int32) {
	c := kv.(*cache)
	if kernels.Invariants {
		kernels.CheckCopyPage(c.layout, from, to)
	}
	b.begin()
	for layer := range c.layout.Layers {
		copy(c.pageOf(layer, to), c.pageOf(layer, from))
	}
}

// ReadPage and WritePage wait for nobody's turn: they use no worker, and a cache is one engine's alone.
func (b *backend) ReadPage(dst []byte, kv kernels.Cache, page int32) {
	c := kv.(*cache)
	if kernels.Invariants {
		kernels.CheckPageBytes("ReadPage", c.layout, page, dst)
	}
	b.flush()
	rest := dst
	for layer := range c.layout.Layers {
		rest = rest[copy(rest, c.pageOf(layer, page)):]
	}
	if !littleEndian {
		c.swap(dst)
	}
}

func (b *backend) WritePage(kv kernels.Cache, page int32, src []byte) {
	c := kv.(*cache)
	if kernels.Invariants {
		kernels.CheckPageBytes("WritePage", c.layout, page, src)
	}
	b.flush()
	for layer := range c.layout.Layers {
		memory := c.pageOf(layer, page)
		src = src[copy(memory, src):]
		if !littleEndian {
			c.swap(memory)
		}
	}
}

// pageOf returns the memory of a page in one layer.
func (c *cache) pageOf(layer int, page int32) []byte {
	size := len(c.memory) / (c.layout.Layers * c.layout.Pages)
	return c.memory[(layer*c.layout.Pages+int(page))*size:][:size]
}

// swap turns the bytes of every element around, where elements are numbers of the machine and not blocks.
func (c *cache) swap(memory []byte) {
	if c.coder != nil {
		return
	}
	for size := c.layout.Type.Encoding().RowBytes(1); len(memory) > 0; memory = memory[size:] {
		slices.Reverse(memory[:size])
	}
}
