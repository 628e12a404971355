package models

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/runtime/gguf"
)

// TestH16H17LoadRefuses: what metadata and tensors say of each other. It holds the class and the words of each refusal: what was asked of the file and what was found.
func TestH16H17LoadRefuses(t *testing.T) {
	set := func(key string, value any) func(*tiny) {
		return func(m *tiny) { m.set(key, value) }
	}
	drop := func(name string) func(*tiny) {
		return func(m *tiny) {
			for i, tensor := range m.tensors {
				if tensor.Name == name {
					m.tensors = append(m.tensors[:i:i], m.tensors[i+1:]...)
					return
				}
			}
		}
	}
	add := func(name string, kind quant.Type, dims ...uint64) func(*tiny) {
		return func(m *tiny) {
			info := kind.Info()
			n := uint64(1)
			for _, d := range dims {
				n *= d
			}
			m.tensors = append(m.tensors, gguf.TensorData{
				TensorSpec: gguf.TensorSpec{Name: name, Type: kind, Dims: dims},
				Data:       make([]byte, n/uint64(info.BlockLen)*uint64(info.BlockBytes)),
			})
		}
	}
	all := func(changes ...func(*tiny)) func(*tiny) {
		return func(m *tiny) {
			for _, c := range changes {
				c(m)
			}
		}
	}
	swap := func(name string, kind quant.Type, dims ...uint64) func(*tiny) {
		return all(drop(name), add(name, kind, dims...))
	}
	words := make([]string, 90)
	for name, c := range map[string]struct {
		change func(*tiny)
		class  error
		want   string
	}{
		"no architecture":      {set("general.architecture", nil), ErrInvalid, `"general.architecture" is missing`},
		"other architecture":   {set("general.architecture", "mamba"), ErrUnsupported, `architecture "mamba"; supported are llama`},
		"architecture no text": {set("general.architecture", uint32(3)), gguf.ErrFormat, "general.architecture"},
		"no layers":            {set("llama.block_count", nil), ErrInvalid, `"llama.block_count" is missing`},
		"layers 0":             {set("llama.block_count", uint32(0)), ErrInvalid, "llama.block_count"},
		"layers 2^32-1":        {set("llama.block_count", uint32(math.MaxUint32)), ErrInvalid, "is 4294967295, want 1 to"},
		"one layer more":       {set("llama.block_count", uint32(4)), ErrInvalid, `"blk.3.attn_norm.weight" is missing`},
		"one layer less":       {set("llama.block_count", uint32(2)), ErrInvalid, `"blk.2.attn_norm.weight" is surplus`},
		"heads 0":              {set("llama.attention.head_count", uint32(0)), ErrInvalid, "llama.attention.head_count"},
		"kv heads 0":           {set("llama.attention.head_count_kv", uint32(0)), ErrInvalid, "llama.attention.head_count_kv"},
		"kv heads 4 of 6":      {set("llama.attention.head_count_kv", uint32(4)), ErrInvalid, "not a multiple of head_count_kv"},
		"width not of heads": {
			all(set("llama.attention.head_count", uint32(5)), set("llama.attention.key_length", nil), set("llama.attention.head_count_kv", uint32(1))),
			ErrInvalid, "embedding_length is 48, not a multiple",
		},
		"heads per layer differ": {set("llama.attention.head_count", []int32{6, 6, 3}), ErrUnsupported, "differs between layers"},
		"negative heads":         {set("llama.attention.head_count", int32(-6)), gguf.ErrFormat, "llama.attention.head_count"},
		"other value length":     {set("llama.attention.value_length", uint32(16)), ErrUnsupported, "key_length is 8 and value_length 16"},
		"head dim 2^31":          {set("llama.attention.key_length", uint32(1<<31)), ErrInvalid, "llama.attention.key_length"},
		"rope wider than head":   {set("llama.rope.dimension_count", uint32(10)), ErrInvalid, "up to the head dimension 8"},
		"odd rope":               {set("llama.rope.dimension_count", uint32(7)), ErrInvalid, "want an even number"},
		"rope base NaN":          {set("llama.rope.freq_base", float32(math.NaN())), ErrInvalid, "llama.rope.freq_base"},
		"rope base 0":            {set("llama.rope.freq_base", float32(0)), ErrInvalid, "llama.rope.freq_base"},
		"longrope":               {set("llama.rope.scaling.type", "longrope"), ErrUnsupported, `"longrope"; supported are`},
		"scaling factor NaN":     {set("llama.rope.scaling.factor", float32(math.NaN())), ErrInvalid, "rope.scaling.factor"},
		"context 0":              {set("llama.context_length", uint32(0)), ErrInvalid, "llama.context_length"},
		"context 2^31":           {set("llama.context_length", uint32(1<<31)), ErrInvalid, "is 2147483648, want 1 to"},
		"context 2^63":           {set("llama.context_length", uint64(1<<63)), ErrInvalid, "llama.context_length"},
		"eps missing":            {set("llama.attention.layer_norm_rms_epsilon", nil), ErrInvalid, "layer_norm_rms_epsilon"},
		"eps negative":           {set("llama.attention.layer_norm_rms_epsilon", float32(-1)), ErrInvalid, "layer_norm_rms_epsilon"},
		"experts":                {all(set("llama.expert_count", uint32(8)), set("llama.expert_used_count", uint32(2))), ErrUnsupported, "mixture of experts"},
		"more experts used":      {set("llama.expert_used_count", uint32(2)), ErrInvalid, "expert_used_count is 2, but expert_count is 0"},
		"not causal":             {set("llama.attention.causal", false), ErrUnsupported, "attention.causal"},
		"soft cap":               {set("llama.final_logit_softcapping", float32(30)), ErrUnsupported, "final_logit_softcapping is 30"},
		"two vocabularies":       {set("llama.vocab_size", uint32(96)), ErrInvalid, "vocab_size is 96, but the vocabulary has 487 tokens"},
		"vocabulary":             {all(set("llama.vocab_size", nil), set("tokenizer.ggml.tokens", words)), ErrInvalid, `"token_embd.weight" has dimensions [48 487], want [48 90]`},
		"no vocabulary":          {all(set("llama.vocab_size", nil), set("tokenizer.ggml.tokens", nil)), ErrInvalid, "the vocabulary has 0 tokens"},
		"tensor missing":         {drop("blk.1.ffn_up.weight"), ErrInvalid, `tensor "blk.1.ffn_up.weight" is missing`},
		"tensor surplus":         {add("blk.1.attn_q_norm.weight", quant.F32, 8), ErrInvalid, `tensor "blk.1.attn_q_norm.weight" is surplus`},
		"layer 2^32-1 in a name": {add("blk.4294967295.attn_q.weight", quant.F32, 48), ErrInvalid, `tensor "blk.4294967295.attn_q.weight" is surplus`},
		"layer -1 in a name":     {add("blk.-1.attn_q.weight", quant.F32, 48), ErrInvalid, `"blk.-1.attn_q.weight" is surplus`},
		"experts -1":             {set("llama.expert_count", int32(-1)), gguf.ErrFormat, "llama.expert_count"},
		"a projector":            {set("general.architecture", "clip"), ErrUnsupported, `architecture "clip"`},
		"tensor turned":          {swap("blk.0.attn_k.weight", quant.F32, 16, 48), ErrInvalid, `"blk.0.attn_k.weight" has dimensions [16 48], want [48 16]`},
		"tensor of three":        {swap("blk.0.attn_k.weight", quant.F32, 48, 16, 2), ErrInvalid, `[48 16 2]`},
		"matrix for a vector":    {swap("output_norm.weight", quant.F32, 48, 2), ErrInvalid, `"output_norm.weight"`},
		"vector for a matrix":    {swap("blk.0.attn_k.weight", quant.F32, 48), ErrInvalid, `"blk.0.attn_k.weight"`},
		"bias too long":          {add("blk.0.attn_k.bias", quant.F32, 17), ErrInvalid, `"blk.0.attn_k.bias"`},
		"type not computed":      {swap("blk.0.attn_q.weight", quant.Type(28), 48, 48), ErrUnsupported, `"blk.0.attn_q.weight" has the type F64, which is not computed`},
		"rope factors too many":  {add("rope_freqs.weight", quant.F32, 5), ErrInvalid, `"rope_freqs.weight" has dimensions [5], want [4 1]`},
		"rope factors 0":         {add("rope_freqs.weight", quant.F32, 4), ErrInvalid, `"rope_freqs.weight": element 0 is 0`},
	} {
		t.Run(name, func(t *testing.T) {
			m := small.build(1)
			c.change(m)
			_, err := Load(m.open(t))
			if !errors.Is(err, c.class) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %q, want %q that is %q", err, c.want, c.class)
			}
		})
	}
}

// TestLoadAccepts what is unusual and right.
func TestLoadAccepts(t *testing.T) {
	for name, change := range map[string]func(*tiny){
		"rows of one value": func(m *tiny) {
			m.set("llama.attention.head_count_kv", []int32{2, 2, 2})
			m.set("llama.feed_forward_length", []uint32{96, 96, 96})
		},
		"old frequencies in every layer": func(m *tiny) {
			m.tensors = append(m.tensors, gguf.TensorData{
				TensorSpec: gguf.TensorSpec{Name: "blk.0.attn_rot_embd.weight", Type: quant.F32, Dims: []uint64{4}}, Data: floats(1, 2, 3, 4),
			})
		},
		"neutral scales": func(m *tiny) {
			m.set("llama.logit_scale", float32(1))
			m.set("llama.expert_count", uint32(0))
		},
		"norms in half precision": func(m *tiny) {
			for i := range m.tensors {
				if m.tensors[i].Name == "output_norm.weight" {
					m.tensors[i].Type, m.tensors[i].Data = quant.F16, make([]byte, 2*48)
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := small.build(1)
			change(m)
			if _, err := Load(m.open(t)); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestWindow: a window does not bound the context, and one that the context fits is none.
func TestWindow(t *testing.T) {
	for window, want := range map[uint32]int{100: 100, 512: 0, 4096: 0} {
		m := small.build(1)
		m.set("llama.attention.sliding_window", window)
		model, err := Load(m.open(t))
		if err != nil {
			t.Fatal(err)
		}
		if c := model.Config(); c.Window != want || c.ContextLen != 512 {
			t.Errorf("a window of %d: %d in a context of %d tokens", window, c.Window, c.ContextLen)
		}
	}
}

// TestLoadOfTruncatedFile: the small tensors are read at load, and a file that shrank since it was opened is an error.
func TestLoadOfTruncatedFile(t *testing.T) {
	m := small
	m.RopeFactors = []float32{1, 2, 3, 4}
	built := m.build(1)
	for i, tensor := range built.tensors { // to the end of the file
		if tensor.Name == "rope_freqs.weight" {
			built.tensors = append(append(built.tensors[:i:i], built.tensors[i+1:]...), tensor)
		}
	}
	path := filepath.Join(t.TempDir(), "cut.gguf")
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := gguf.Write(out, built.meta, built.tensors); err != nil {
		t.Fatal(err)
	}
	f := openFile(t, path)
	if err := out.Truncate(0); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(f); !errors.Is(err, kernels.ErrFault) {
		t.Errorf("error %v, want a memory fault", err)
	}
}

// TestHostileKeys sets keys to anything: Load answers with an error or with a model whose config fits its tensors.
func TestHostileKeys(t *testing.T) {
	base := small.build(1)
	var keys []string
	for _, kv := range base.meta {
		keys = append(keys, kv.Key)
	}
	keys = append(keys, "llama.rope.scaling.type", "llama.rope.scaling.factor", "llama.rope.scaling.original_context_length",
		"llama.rope.scaling.yarn_beta_fast", "llama.rope.scaling.low_freq_factor", "llama.attention.sliding_window", "tokenizer.ggml.tokens")
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		m := *base
		for range rapid.IntRange(1, 3).Draw(t, "changes") {
			m.set(rapid.SampledFrom(keys).Draw(t, "key"), rapid.OneOf(
				rapid.Uint32().AsAny(), rapid.Int64().AsAny(), rapid.Uint64().AsAny(), rapid.Float32().AsAny(), rapid.Bool().AsAny(),
				rapid.SampledFrom([]string{"llama", "yarn", "linear", "llama3", "none", ""}).AsAny(),
				rapid.SliceOfN(rapid.Int32(), 0, 4).AsAny(), rapid.Uint32Range(0, 100).AsAny(), rapid.Just[any](nil),
			).Draw(t, "value"))
		}
		path := filepath.Join(dir, "hostile.gguf")
		out, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		defer out.Close()
		if err := gguf.Write(out, m.meta, m.tensors); err != nil {
			t.Skip(err) // not ours to refuse
		}
		f, err := gguf.Open(path, gguf.DefaultLimits())
		if err != nil {
			t.Skip(err)
		}
		defer f.Close()
		model, err := Load(f)
		if err != nil {
			return
		}
		c := model.Config()
		if c.Layers != 3 || c.Width != 48 || c.Vocab != smallVocab || c.QWidth() != 48 || c.KVWidth() != 16 || c.FFN != 96 ||
			c.Rope.Dims > c.HeadDim || c.ContextLen < 1 || c.ContextLen > maxContext {
			t.Errorf("config %+v", c)
		}
		freqs, scale := c.Rope.Frequencies()
		for _, x := range append(freqs, float64(scale)) {
			if math.IsNaN(x) || math.IsInf(x, 0) {
				t.Errorf("frequencies %v, scale %v of %+v", freqs, scale, c.Rope)
			}
		}
	})
}
