package kernels

import (
	"fmt"
	"math"
	"math/bits"
	"strings"

	"github.com/weft-run/weft/kernels/quant"
)

// CacheType is the type in which keys and values are kept.
type CacheType uint8

// The cache types. Keys and values are rounded to the type once, when stored; prefill reads them rounded too. In the
// quantized types each run of 32 elements of a head's key, and of its value, is a block as quant.Encode makes it.
const (
	CacheF16 CacheType = iota
	CacheF32
	CacheQ8_0
	CacheQ4_0
)

// cacheTypes are the encodings, indexed by CacheType.
var cacheTypes = [...]quant.Type{CacheF16: quant.F16, CacheF32: quant.F32, CacheQ8_0: quant.Q8_0, CacheQ4_0: quant.Q4_0}

// CacheTypes returns all cache types.
func CacheTypes() []CacheType {
	return []CacheType{CacheF16, CacheF32, CacheQ8_0, CacheQ4_0}
}

// ParseCacheType returns the cache type of a name, as String writes it.
func ParseCacheType(name string) (CacheType, bool) {
	for _, t := range CacheTypes() {
		if t.String() == name {
			return t, true
		}
	}
	return 0, false
}

// Encoding is how an element is kept: what is read is quant.Decode of quant.Encode of what was stored.
func (t CacheType) Encoding() quant.Type { return cacheTypes[t] }

// String returns the name of t in settings: "f16".
func (t CacheType) String() string {
	if int(t) >= len(cacheTypes) {
		return fmt.Sprintf("cache type %d", uint8(t))
	}
	return strings.ToLower(cacheTypes[t].String())
}

// Fits says whether heads of dim elements can be kept: quantized types want whole blocks.
func (t CacheType) Fits(dim int) bool { return dim%t.Encoding().Info().BlockLen == 0 }

// CacheLayout is the shape of a paged key/value cache: Pages pages of PageTokens tokens in each of Layers layers.
type CacheLayout struct {
	Layers     int
	KVHeads    int
	HeadDim    int
	PageTokens int // a power of two, 16 to 64
	Pages      int
	Type       CacheType
}

// PageFormat numbers the order of a page's bytes outside of a backend: layer after layer, in each head after head, the head's keys
// across, [HeadDim][PageTokens], then its values along, [PageTokens][HeadDim]. Elements are little-endian, those of quantized types
// blocks as kernels/ref keeps them. Another order is another number.
const PageFormat = 1

// PageBytes is the size of one page in all layers.
func (l CacheLayout) PageBytes() int {
	l.Pages = 1
	return int(l.Bytes())
}

// Bytes is the memory that the cache takes when every page is in use; math.MaxInt64, which no machine has, stands for all
// that an int64 cannot hold.
func (l CacheLayout) Bytes() int64 {
	info := l.Type.Encoding().Info()
	size := uint64(2)
	for _, n := range []int{(l.HeadDim + info.BlockLen - 1) / info.BlockLen, info.BlockBytes, l.Layers, l.KVHeads, l.PageTokens, l.Pages} {
		high, low := bits.Mul64(size, uint64(max(n, 0)))
		if high != 0 || low > math.MaxInt64 {
			return math.MaxInt64
		}
		size = low
	}
	return int64(size)
}

// Check returns an error that Is ErrLayout when no backend could make such a cache.
func (l CacheLayout) Check() error {
	switch t := l.PageTokens; {
	case int(l.Type) >= len(cacheTypes):
		return fmt.Errorf("%w: unknown %s", ErrLayout, l.Type)
	case l.Layers < 0 || l.KVHeads < 0 || l.HeadDim < 0 || l.Pages < 0:
		return fmt.Errorf("%w: a negative size in %+v", ErrLayout, l)
	case t < 16 || t > 64 || t&(t-1) != 0:
		return fmt.Errorf("%w: pages of %d tokens; 16, 32 or 64 are possible", ErrLayout, t)
	case !l.Type.Fits(l.HeadDim):
		return fmt.Errorf("%w: type %s wants heads of a multiple of %d elements, these have %d; use f16",
			ErrLayout, l.Type, l.Type.Encoding().Info().BlockLen, l.HeadDim)
	case l.Bytes() == math.MaxInt64:
		return fmt.Errorf("%w: its size does not fit 63 bits: %+v", ErrLayout, l)
	}
	return nil
}
