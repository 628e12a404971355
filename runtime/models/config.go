package models

import (
	"errors"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/runtime/gguf"
	"github.com/weft-run/weft/runtime/kvcache"
)

// Limits on what metadata may claim. They lie far above every model in use and keep all products of two of them within an
// int; the tensors' own extents, which runtime/gguf has checked against the file, are the real limit.
const (
	maxLayers  = 1 << 12
	maxWidth   = 1 << 20 // also of the feed-forward layer and of all heads together
	maxVocab   = 1 << 24
	maxContext = 1 << 26
)

// Config is the shape of a model. It is plain data, fixed at load.
type Config struct {
	Architecture string
	Layers       int
	Width        int // of the residual stream ("embedding length")
	Heads        int // query heads
	KVHeads      int // key/value heads; Heads is a multiple
	HeadDim      int
	FFN          int // width of the feed-forward layer
	Vocab        int // rows of the embedding
	// ContextLen is how many tokens the model was made for, after its RoPE scaling.
	ContextLen int
	// Window is how many positions a row sees in each layer, its own included; 0: all.
	Window  int
	NormEps float32
	Rope    Rope
}

// QWidth is the width of all query heads together.
func (c Config) QWidth() int { return c.Heads * c.HeadDim }

// KVWidth is the width of all key heads together, and of all value heads.
func (c Config) KVWidth() int { return c.KVHeads * c.HeadDim }

// CacheLayout is the key/value cache that the model needs for the given number of pages.
func (c Config) CacheLayout(pages, pageTokens int, t kernels.CacheType) kernels.CacheLayout {
	return kernels.CacheLayout{
		Layers: c.Layers, KVHeads: c.KVHeads, HeadDim: c.HeadDim, PageTokens: pageTokens, Pages: pages, Type: t,
	}
}

// CachePages is the largest number of pages of pageTokens tokens that a sequence of so many tokens holds at once, where a step has up to stepTokens rows.
func (c Config) CachePages(tokens, stepTokens, pageTokens int) int {
	pages := (tokens + pageTokens - 1) / pageTokens
	if c.Window > 0 {
		pages = min(pages, kvcache.WindowPages(c.Window, stepTokens, pageTokens))
	}
	return pages
}

// metaReader reads keys "ARCH.name" and keeps what is wrong with them, so that a list of keys reads like a list.
type metaReader struct {
	meta gguf.Metadata
	arch string
	errs []error
}

func (r *metaReader) has(name string) bool { return r.meta.Has(r.arch + "." + name) }

func (r *metaReader) fail(err error) { r.errs = append(r.errs, err) }

// failed says whether anything was wrong so far: what is computed of several keys would then be wrong by their fault.
func (r *metaReader) failed() bool { return len(r.errs) > 0 }

// number returns an integer of low to high. An absent key has the value def, which is not checked; def < 0 says that the
// key must be there.
func (r *metaReader) number(name string, def, low, high int) int {
	key := r.arch + "." + name
	if !r.meta.Has(key) {
		if def < 0 {
			r.fail(invalid("key %q is missing", key))
		}
		return def
	}
	n, err := r.scalar(key)
	if err != nil {
		r.fail(err)
		return low
	}
	if n < uint64(low) || n > uint64(high) {
		r.fail(invalid("key %q is %d, want %d to %d", key, n, low, high))
		return low
	}
	return int(n)
}

// scalar returns an integer, or the value that all elements of an array share: some writers give one per layer.
func (r *metaReader) scalar(key string) (uint64, error) {
	v, _ := r.meta.Get(key)
	if v.Kind() != gguf.KindArray {
		return r.meta.Uint(key, 0)
	}
	list, err := r.meta.I32s(key)
	if err != nil {
		return 0, err
	}
	if len(list) == 0 || list[0] < 0 {
		return 0, invalid("key %q is an empty array or starts with a negative number", key)
	}
	for layer, n := range list {
		if n != list[0] {
			return 0, unsupported("key %q differs between layers (%d in layer 0, %d in layer %d)", key, list[0], n, layer)
		}
	}
	return uint64(list[0]), nil
}

// float returns a number within low to high; NaN is outside.
func (r *metaReader) float(name string, def, low, high float32) float32 {
	key := r.arch + "." + name
	x, err := r.meta.F32(key, def)
	if err != nil {
		r.fail(err)
		return def
	}
	if r.meta.Has(key) && !(x >= low && x <= high) {
		r.fail(invalid("key %q is %v, want %v to %v", key, x, low, high))
		return def
	}
	return x
}

func (r *metaReader) str(name, def string) string {
	s, err := r.meta.Str(r.arch+"."+name, def)
	if err != nil {
		r.fail(err)
	}
	return s
}

// ReadConfig reads and checks the shape of a model. The error joins all that is wrong with it.
func ReadConfig(meta gguf.Metadata) (Config, error) {
	arch, err := meta.Str("general.architecture", "")
	if err != nil {
		return Config{}, err
	}
	if arch == "" {
		return Config{}, invalid(`key "general.architecture" is missing`)
	}
	if _, ok := architectures[arch]; !ok {
		return Config{}, unsupported("architecture %q; supported are %s", arch, Architectures())
	}
	r := &metaReader{meta: meta, arch: arch}
	r.refuseUnsupported()
	c := Config{
		Architecture: arch,
		Layers:       r.number("block_count", -1, 1, maxLayers),
		Width:        r.number("embedding_length", -1, 1, maxWidth),
		Heads:        r.number("attention.head_count", -1, 1, maxWidth),
		FFN:          r.number("feed_forward_length", -1, 1, maxWidth),
		ContextLen:   r.number("context_length", -1, 1, maxContext),
		NormEps:      r.float("attention.layer_norm_rms_epsilon", 0, 0, 1),
	}
	if !r.has("attention.layer_norm_rms_epsilon") {
		r.fail(invalid("key %q is missing", arch+".attention.layer_norm_rms_epsilon"))
	}
	c.KVHeads = r.number("attention.head_count_kv", c.Heads, 1, maxWidth)
	r.readHeads(&c)
	c.Vocab = r.readVocab()
	c.Rope = r.readRope(c)
	// Mistral 7B v0.1 (Jiang et al., 2023): one window for all layers. One as long as the context is none.
	if w := r.number("attention.sliding_window", c.ContextLen, 1, maxContext); w < c.ContextLen {
		c.Window = w
	}
	return c, errors.Join(r.errs...)
}

// readHeads checks the head counts and fills HeadDim.
func (r *metaReader) readHeads(c *Config) {
	if r.failed() {
		return
	}
	if c.Heads%c.KVHeads != 0 {
		r.fail(invalid("%s.attention.head_count is %d, not a multiple of head_count_kv, which is %d", r.arch, c.Heads, c.KVHeads))
	}
	if !r.has("attention.key_length") && c.Width%c.Heads != 0 {
		r.fail(invalid("%s.embedding_length is %d, not a multiple of attention.head_count, which is %d", r.arch, c.Width, c.Heads))
	}
	c.HeadDim = r.number("attention.key_length", c.Width/c.Heads, 1, maxWidth)
	value := r.number("attention.value_length", c.HeadDim, 1, maxWidth)
	if !r.failed() && value != c.HeadDim {
		r.fail(unsupported("%s.attention.key_length is %d and value_length %d; only equal lengths are computed", r.arch, c.HeadDim, value))
	}
	if !r.failed() && c.Heads*c.HeadDim > maxWidth {
		r.fail(invalid("%s: %d heads of %d are wider than %d", r.arch, c.Heads, c.HeadDim, maxWidth))
	}
}

// readVocab returns the size that metadata gives the vocabulary; the embedding must have as many rows.
func (r *metaReader) readVocab() int {
	tokens, err := r.meta.Strings("tokenizer.ggml.tokens")
	if err != nil {
		r.fail(err)
	}
	size := r.number("vocab_size", len(tokens), 1, maxVocab)
	if len(tokens) > 0 && size != len(tokens) {
		r.fail(invalid("%s.vocab_size is %d, but the vocabulary has %d tokens", r.arch, size, len(tokens)))
	}
	if !r.failed() && (size < 1 || size > maxVocab) {
		r.fail(invalid("the vocabulary has %d tokens, want 1 to %d", size, maxVocab))
	}
	return size
}

// refuseUnsupported refuses, by name, keys that change the function in ways that are not computed here. Loading such a file
// would give wrong text without a word.
func (r *metaReader) refuseUnsupported() {
	experts := r.number("expert_count", 0, 0, maxWidth)
	used := r.number("expert_used_count", 0, 0, maxWidth)
	switch {
	case used > experts:
		r.fail(invalid("%s.expert_used_count is %d, but expert_count is %d", r.arch, used, experts))
	case experts > 0:
		r.fail(unsupported("mixture of experts (%s.expert_count is %d)", r.arch, experts))
	}
	if causal, err := r.meta.Bool(r.arch+".attention.causal", true); err != nil {
		r.fail(err)
	} else if !causal {
		r.fail(unsupported("%s.attention.causal is false; only causal attention is computed", r.arch))
	}
	for _, k := range []struct {
		name    string
		neutral float32
	}{
		{"logit_scale", 1},
		{"residual_scale", 1},
		{"embedding_scale", 1},
		{"attention.scale", 0},
		{"attention.clamp_kqv", 0},
		{"attention.max_alibi_bias", 0},
		{"attention.temperature_scale", 0},
		{"attn_logit_softcapping", 0},
		{"final_logit_softcapping", 0},
		{"rope.scaling.alpha", 0},
	} {
		x, err := r.meta.F32(r.arch+"."+k.name, k.neutral)
		if err != nil {
			r.fail(err)
		} else if x != k.neutral && x != 0 {
			r.fail(unsupported("%s.%s is %v; only %v is computed", r.arch, k.name, x, k.neutral))
		}
	}
}
