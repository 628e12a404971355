package cpu

import (
	"fmt"
	"slices"
	"unsafe"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/kernels/ref"
)

// cache is paged key/value memory. Page p of a layer holds, for each key/value head, its keys and then its values.
// Keys lie across, [HeadDim][PageTokens], so that a vector load takes one element of many keys and scores need no sum
// over lanes; values lie along, [PageTokens][HeadDim]. Those of quantized types lie as kernels/ref says.
type cache struct {
	layout kernels.CacheLayout
	memory []byte
	region int       // bytes of the keys and values of a head in a page
	half   []uint16  // the memory of a CacheF16
	full   []float32 // the memory of a CacheF32
	coder  *coder    // of a quantized type

	inPlace *inPlace // nil where a tile always becomes float32 first
}

// coder is how a quantized type is stored and read.
type coder struct {
	encode func(dst []byte, src []float32)                          // quant.Encode
	keys   func(dst []float32, stride int, page []byte, tokens int) // ref.LoadKeyQuants
	values func(dst []float32, src []byte)                          // quant.Decode
}

func (b *backend) NewCache(l kernels.CacheLayout) (kernels.Cache, error) {
	if err := l.Check(); err != nil {
		return nil, fmt.Errorf("cpu: %w", err)
	}
	memory, err := reserve(l.Bytes())
	if err != nil {
		return nil, err
	}
	c := &cache{layout: l, memory: memory, region: 2 * l.PageTokens * l.Type.Encoding().RowBytes(l.HeadDim)}
	p := unsafe.Pointer(unsafe.SliceData(memory))
	switch l.Type {
	case kernels.CacheF16:
		c.half = unsafe.Slice((*uint16)(p), len(memory)/2)
	case kernels.CacheF32:
		c.full = unsafe.Slice((*float32)(p), len(memory)/4)
	default:
		c.coder = b.table.coders[l.Type.Encoding()]
	}
	if p := b.table.inPlace[l.Type.Encoding()]; p != nil && l.HeadDim%p.dims == 0 {
		c.inPlace = p
	}
	return c, nil
}

func (c *cache) Layout() kernels.CacheLayout { return c.layout }

// Discard works on whole pages of the system's: where a page of a layer is no multiple of these, what it shares with others stays.
func (c *cache) Discard(pages []int32) {
	l := &c.layout
	if len(pages) == 0 || len(c.memory) == 0 {
		return
	}
	sorted := slices.Sorted(slices.Values(pages))
	size := len(c.memory) / (l.Layers * l.Pages) // of a page in one layer
	for first := 0; first < len(sorted); {
		end := first + 1
		for end < len(sorted) && sorted[end] == sorted[end-1]+1 {
			end++
		}
		from, to := int(sorted[first])*size, (int(sorted[end-1])+1)*size
		for layer := range l.Layers {
			base := layer * l.Pages * size
			discard(c.memory, base+from, base+to)
		}
		first = end
	}
}

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
	b.eachRow(rowOp{run: storeRows, cache: c, layer: layer, x: k, y: v, ids: slots}, len(slots), 2*k.Cols)
}

func storeRows(b *backend, o *rowOp, s *scratch, first, last int) {
	l := &o.cache.layout
	for i := first; i < last; i++ {
		page, offset := int(o.ids[i])/l.PageTokens, int(o.ids[i])%l.PageTokens
		k, v := row(o.x, i), row(o.y, i)
		if o.cache.coder != nil {
			o.cache.storeQuants(s, o.layer, page, offset, k, v)
			continue
		}
		if l.Type == kernels.CacheF32 {
			storeRow(o.cache, o.cache.full, o.layer, page, offset, k, v)
			continue
		}
		s.halves = grow(s.halves, 2*len(k))
		b.table.floatsToHalves(s.halves[:len(k)], k)
		b.table.floatsToHalves(s.halves[len(k):], v)
		storeRow(o.cache, o.cache.half, o.layer, page, offset, s.halves[:len(k)], s.halves[len(k):])
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

// storeQuants writes the keys and values of one token, of all heads, to a cache of a quantized type.
func (c *cache) storeQuants(s *scratch, layer, page, offset int, k, v []float32) {
	dim, tokens, typ := c.layout.HeadDim, c.layout.PageTokens, c.layout.Type.Encoding()
	size := typ.RowBytes(dim)
	s.blocks = grow(s.blocks, typ.RowBytes(len(k)))
	c.coder.encode(s.blocks, k)
	for h := range c.layout.KVHeads {
		memory := c.page(layer, page, h)
		ref.StoreKeyQuants(typ, memory[:size*tokens], tokens, offset, s.blocks[h*size:(h+1)*size])
		c.coder.encode(memory[size*(tokens+offset):][:size], v[h*dim:(h+1)*dim])
	}
}

// tile reads up to ref.Tile positions from first on into float32: the keys across, the values along. pages is the page
// table of the sequence, n the number of positions wanted; those of the last page come along.
func (c *cache) tile(s *scratch, t *table, layer, head int, pages []int32, first, n int) {
	dim, tokens := c.layout.HeadDim, c.layout.PageTokens
	for at := 0; at < n; at += tokens {
		page := int(pages[(first+at)/tokens])
		if c.coder != nil {
			memory := c.page(layer, page, head)
			c.coder.keys(s.keys[at:], ref.Tile, memory[:len(memory)/2], tokens)
			c.coder.values(s.values[at*dim:][:tokens*dim], memory[len(memory)/2:])
			continue
		}
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
	begin := ((layer*c.layout.Pages+page)*c.layout.KVHeads + head) * c.region
	return c.memory[begin : begin+c.region]
}
