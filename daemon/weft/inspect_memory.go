package main

import (
	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/runtime/models"
)

// cacheTypeNames are the values of --kv.
func cacheTypeNames() []string {
	var names []string
	for _, t := range kernels.CacheTypes() {
		names = append(names, t.String())
	}
	return names
}

// What weftd does where nobody says otherwise; a test compares with its configuration and its engine.
const (
	pageTokens = 32
	stepTokens = 256
	logitRows  = 32
)

// memory is what one sequence takes, in bytes, with weftd's own step and page sizes.
type memory struct {
	Context       int    `json:"context_tokens"`
	Asked         int    `json:"asked_tokens,omitempty"` // where it is more than the model was made for
	CacheType     string `json:"cache_type"`             // what weftd would use: f16 where the model's heads do not fit the one asked for
	Weights       int64  `json:"weights_bytes"`          // the files, mapped
	CachePerToken int64  `json:"cache_per_token_bytes"`
	CacheTokens   int    `json:"cache_tokens,omitempty"` // the most that are in the cache at once, where a window makes that less than the context
	Cache         int64  `json:"cache_bytes"`
	Scratch       int64  `json:"scratch_bytes"`
	Total         int64  `json:"total_bytes"`
}

// measure fills in the shape and the memory that a model of it takes.
func (r *report) measure(c models.Config, o inspection) {
	r.Context = c.ContextLen
	r.Shape = &shape{Layers: c.Layers, Width: c.Width, Heads: c.Heads, KVHeads: c.KVHeads, HeadDim: c.HeadDim, FFN: c.FFN, Vocab: c.Vocab, Window: c.Window}
	kind := o.cacheType
	if !kind.Fits(c.HeadDim) {
		kind = kernels.CacheF16
	}
	m := &memory{Context: c.ContextLen, CacheType: kind.String(), Weights: r.Bytes}
	switch {
	case o.context > c.ContextLen:
		m.Asked = o.context
	case o.context > 0:
		m.Context = o.context
	}
	page := c.CacheLayout(1, pageTokens, kind).Bytes()
	m.CachePerToken = page / pageTokens
	pages := c.CachePages(m.Context, stepTokens, pageTokens)
	m.Cache = int64(pages) * page
	if pages*pageTokens < m.Context {
		m.CacheTokens = pages * pageTokens
	}
	m.Scratch = models.WorkspaceBytes(c, stepTokens, logitRows) + 4*logitRows*int64(c.Vocab)
	m.Total = m.Weights + m.Cache + m.Scratch
	r.Memory = m
}
