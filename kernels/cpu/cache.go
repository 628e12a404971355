package cpu

import (
	"fmt"
	"unsafe"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/kernels/ref"
)

// cache is paged key/value memory. Page p of a layer holds, for each key/value head, its keys and then its values.
// Keys lie across, [HeadDim][PageTokens], so that a vector load takes one element of many keys and scores need no sum
// over lanes; values lie along, [PageTokens][HeadDim].
type cache struct {
	layout kernels.CacheLayout
	memory []byte
	half   []uint16  // the memory of a CacheF16
	full   []float32 // the memory of a CacheF32
}

func (b *backend) NewCache(l kernels.CacheLayout) (kernels.Cache, error) {
	if t := l.PageTokens; t < 16 || t > 64 || t&(t-1) != 0 {
		return nil, fmt.Errorf("cpu: cache pages of %d tokens; 16, 32 or 64 are possible", t)
	}
	memory, err := reserve(l.Bytes())
	if err != nil {
		return nil, err
	}
	c := &cache{layout: l, memory: memory}
	p := unsafe.Pointer(unsafe.SliceData(memory))
	switch l.Type {
	case kernels.CacheF16:
		c.half = unsafe.Slice((*uint16)(p), len(memory)/2)
	case kernels.CacheF32:
		c.full = unsafe.Slice((*float32)(p), len(memory)/4)
	default:
		release(memory)
		return nil, fmt.Errorf("cpu: unknown cache type %d", l.Type)
	}
	return c, nil
}

func (c *cache) Layout() kernels.CacheLayout { return c.layout }

func (c *cache) Free() {
	release(c.memory)
	*c = cache{}
}

// at returns where the keys of a head begin in a page; its values begin half a region later.
func (c *cache) at(layer, page, head int) int {
	l := &c.layout
	region := 2 * l.HeadDim * l.PageTokens
	return ((layer*l.Pages+page)*l.KVHeads + head) * region
}

func (b *backend) StoreKV(kv kernels.Cache, layer int, k, v kernels.Matrix, slots []int32) {
	c := kv.(*cache)
	if kernels.Invariants {
		kernels.CheckStoreKV(c.layout, layer, k, v, slots)
	}
	b.rows = rowTask{cache: c, layer: layer, x: k, y: v, ids: slots}
	b.eachRow(b.operation.store, len(slots), 2*k.Cols)
}

func (b *backend) storeRows(s *scratch, first, last int) {
	t := &b.rows
	l := &t.cache.layout
	for i := first; i < last; i++ {
		page, offset := int(t.ids[i])/l.PageTokens, int(t.ids[i])%l.PageTokens
		k, v := row(t.x, i), row(t.y, i)
		if l.Type == kernels.CacheF32 {
			storeRow(t.cache, t.cache.full, t.layer, page, offset, k, v)
			continue
		}
		s.halves = grow(s.halves, 2*len(k))
		b.table.floatsToHalves(s.halves[:len(k)], k)
		b.table.floatsToHalves(s.halves[len(k):], v)
		storeRow(t.cache, t.cache.half, t.layer, page, offset, s.halves[:len(k)], s.halves[len(k):])
	}
}

// storeRow writes the keys and values of one token, of all heads.
func storeRow[T uint16 | float32](c *cache, memory []T, layer, page, offset int, k, v []T) {
	dim, tokens := c.layout.HeadDim, c.layout.PageTokens
	for h := range c.layout.KVHeads {
		at := c.at(layer, page, h)
		keys := memory[at : at+dim*tokens]
		for d, x := range k[h*dim : (h+1)*dim] {
			keys[d*tokens+offset] = x
		}
		copy(memory[at+(tokens+offset)*dim:][:dim], v[h*dim:(h+1)*dim])
	}
}

// tile reads up to ref.Tile positions from first on into float32: the keys across, the values along. pages is the page
// table of the sequence, n the number of positions wanted; those of the last page come along.
func (c *cache) tile(s *scratch, t *table, layer, head int, pages []int32, first, n int) {
	dim, tokens := c.layout.HeadDim, c.layout.PageTokens
	for at := 0; at < n; at += tokens {
		page := int(pages[(first+at)/tokens])
		base := c.at(layer, page, head)
		middle, end := base+dim*tokens, base+2*dim*tokens
		keys, values := s.keys[at:], s.values[at*dim:]
		if c.layout.Type == kernels.CacheF16 {
			t.halvesToFloats(keys, ref.Tile, c.half[base:middle], tokens)
			t.halvesToFloats(values, dim*tokens, c.half[middle:end], dim*tokens)
			continue
		}
		for d := range dim {
			copy(keys[d*ref.Tile:], c.full[base+d*tokens:base+(d+1)*tokens])
		}
		copy(values, c.full[middle:end])
	}
}

// page returns the memory of a head's keys and values in a page.
func (c *cache) page(layer, page, head int) []byte {
	size := len(c.memory) / (c.layout.Layers * c.layout.Pages * c.layout.KVHeads)
	begin := ((layer*c.layout.Pages+page)*c.layout.KVHeads + head) * size
	return c.memory[begin : begin+size]
}
