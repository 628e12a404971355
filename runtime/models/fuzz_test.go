package models

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/runtime/gguf"
	"github.com/weft-run/weft/runtime/modeltest"
)

// fuzzedKeys are the keys that a fuzzed file sets, beside those of a healthy one.
var fuzzedKeys = []string{
	"block_count", "embedding_length", "feed_forward_length", "context_length", "attention.head_count", "attention.head_count_kv",
	"attention.key_length", "attention.value_length", "attention.layer_norm_rms_epsilon", "attention.sliding_window", "vocab_size",
	"rope.dimension_count", "rope.freq_base", "rope.scaling.type", "rope.scaling.factor", "rope.scale_linear",
	"rope.scaling.original_context_length", "rope.scaling.attn_factor", "rope.scaling.yarn_beta_fast", "rope.scaling.yarn_beta_slow",
	"rope.scaling.yarn_ext_factor", "rope.scaling.yarn_log_multiplier", "rope.scaling.low_freq_factor", "rope.scaling.high_freq_factor",
	"expert_count", "expert_used_count", "attention.causal", "logit_scale", "attention.clamp_kqv",
}

// fuzzedValue makes a value of one of the kinds out of 8 bytes; nil is none.
func fuzzedValue(kind byte, bits uint64) any {
	switch kind % 10 {
	case 0:
		return uint32(bits)
	case 1:
		return int64(bits)
	case 2:
		return math.Float32frombits(uint32(bits))
	case 3:
		return math.Float64frombits(bits)
	case 4:
		return bits&1 == 1
	case 5:
		return []string{"none", "linear", "yarn", "llama3", "longrope", ""}[bits%6]
	case 6:
		return []int32{int32(bits), int32(bits >> 32)}
	case 7:
		return []int32{}
	case 8:
		return bits
	}
	return nil
}

// FuzzReadConfig: whatever the keys of a file say, they are refused or make a shape whose products and angles can be computed.
func FuzzReadConfig(f *testing.F) {
	entry := func(key, kind byte, bits uint64) []byte {
		return binary.LittleEndian.AppendUint64([]byte{key, kind}, bits)
	}
	f.Add([]byte{})
	f.Add(append(entry(13, 5, 2), entry(14, 2, uint64(math.Float32bits(4)))...))
	f.Add(append(entry(5, 6, 2<<32|2), entry(9, 0, 64)...))
	f.Add(append(entry(4, 0, 1<<20), entry(0, 8, 1<<63)...))
	f.Add(entry(12, 3, math.Float64bits(math.NaN())))
	f.Fuzz(func(t *testing.T, data []byte) {
		var set []gguf.KV
		seen := map[byte]bool{}
		for ; len(data) >= 10 && len(set) < 8; data = data[10:] {
			at := data[0] % byte(len(fuzzedKeys))
			if seen[at] {
				continue
			}
			seen[at] = true
			set = append(set, gguf.KV{Key: "llama." + fuzzedKeys[at], Value: fuzzedValue(data[1], binary.LittleEndian.Uint64(data[2:]))})
		}
		meta, _ := modeltest.Parts(modeltest.Spec{Width: 8, Heads: 2, FFN: 8, Layers: 1, Set: set})
		m, err := gguf.NewMetadata(meta...)
		if err != nil {
			t.Fatal(err)
		}
		c, err := ReadConfig(m)
		if err != nil {
			return
		}
		if c.Heads%c.KVHeads != 0 || c.QWidth() > maxWidth || c.Rope.Dims > c.HeadDim || c.Rope.Dims%2 != 0 || c.ContextLen < 1 || c.Vocab < 1 {
			t.Fatalf("the shape is %+v", c)
		}
		pages := (c.ContextLen + 15) / 16
		if c.CacheLayout(pages, 16, kernels.CacheF32).Bytes() <= 0 || WorkspaceBytes(c, 8192, 1024) <= 0 {
			t.Fatalf("the sizes of %+v wrap around", c)
		}
		if c.Rope.Dims > 1<<10 {
			return // as right, and slow
		}
		freqs, scale := c.Rope.Frequencies()
		for i, x := range append(freqs, float64(scale)) {
			if math.IsNaN(x) || math.IsInf(x, 0) {
				t.Fatalf("frequency %d of %+v is %v", i, c.Rope, x)
			}
		}
	})
}
