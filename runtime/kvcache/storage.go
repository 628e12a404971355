package kvcache

import (
	"fmt"

	"github.com/weft-run/weft/kernels"
)

// Pages is the memory behind a pool of pages, as a Backend gave it. Which page holds what is the Manager's affair.
type Pages struct {
	Cache kernels.Cache
}

// NewPages takes cache memory of the given layout from b. The caller frees it.
func NewPages(b kernels.Backend, l kernels.CacheLayout) (*Pages, error) {
	c, err := b.NewCache(l)
	if err != nil {
		return nil, fmt.Errorf("kvcache: %d pages of %d tokens in %d layers: %w", l.Pages, l.PageTokens, l.Layers, err)
	}
	return &Pages{Cache: c}, nil
}

// Free gives the memory back. No operation may be using it.
func (p *Pages) Free() { p.Cache.Free() }

// Slots appends to dst the cache slots (page*pageTokens + offset) of count consecutive positions from pos on.
func Slots(dst, pages []int32, pageTokens, pos, count int) []int32 {
	for p := pos; p < pos+count; p++ {
		dst = append(dst, pages[p/pageTokens]*int32(pageTokens)+int32(p%pageTokens))
	}
	return dst
}
