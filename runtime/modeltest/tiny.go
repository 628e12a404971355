package modeltest

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/runtime/gguf"
	"github.com/weft-run/weft/runtime/modeltest/synthetic"
)

// Spec describes a tiny model of the llama architecture. The zero Spec is a working model; equal Specs give equal bytes on
// every machine.
type Spec struct {
	Seed uint64 // of the weights
	Name string // general.name; default "tiny"

	Layers  int // default 2
	Heads   int // query heads; default 4
	KVHeads int // default 2
	HeadDim int // default Width / Heads
	Width   int // default 64, or a block of Type where that is longer
	FFN     int // default 128, or a block of Type where that is longer
	Context int // default 256

	Vocab     Vocab
	VocabSize int // default as many tokens as Vocab has; more are padded with unused ones

	Type      quant.Type // of all matrices; the zero value is F32
	EmbedType quant.Type // of the embedding where HasEmbedType is set; else Type
	// HasEmbedType tells EmbedType F32 from none.
	HasEmbedType bool

	Untied bool // a head of its own (output.weight)
	Biases bool // on every linear layer of a block

	RopeBase    float32   // default 10000
	RopeFactors []float32 // tensor rope_freqs.weight, HeadDim/2 elements

	// Set holds keys, "llama.rope.scaling.type" for instance, that replace those of the Spec or are added to them. A nil
	// value removes the key.
	Set []gguf.KV
}

// Tiny returns the model as a GGUF file.
func Tiny(s Spec) []byte {
	return encode(Parts(s))
}

// WriteTiny writes the model to a file of the test's own folder and returns its path.
func WriteTiny(t testing.TB, s Spec) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), s.filled().Name+".gguf")
	if err := os.WriteFile(path, Tiny(s), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// WriteTinySplit writes the model to a folder of the test's own as a split set and returns the paths of its shards.
func WriteTinySplit(t testing.TB, s Spec, shards int) []string {
	t.Helper()
	meta, tensors := Parts(s)
	base := filepath.Join(t.TempDir(), s.filled().Name)
	var paths []string
	for no := range shards {
		own := []gguf.KV{
			{Key: "split.no", Value: uint16(no)},
			{Key: "split.count", Value: uint16(shards)},
			{Key: "split.tensors.count", Value: int32(len(tensors))},
		}
		if no == 0 {
			own = append(append([]gguf.KV{}, meta...), own...)
		}
		part := tensors[no*len(tensors)/shards : (no+1)*len(tensors)/shards]
		path := gguf.ShardPath(base, no+1, shards)
		if err := os.WriteFile(path, encode(own, part), 0o600); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	return paths
}

// Parts returns what Tiny writes, for tests that change some of it first.
func Parts(s Spec) ([]gguf.KV, []gguf.TensorData) {
	s = s.filled()
	return s.metadata(), s.tensors()
}

func encode(meta []gguf.KV, tensors []gguf.TensorData) []byte {
	var out bytes.Buffer
	if err := gguf.Write(&out, meta, tensors); err != nil {
		panic("BUG: modeltest: " + err.Error())
	}
	return out.Bytes()
}

// filled returns s with its defaults.
func (s Spec) filled() Spec {
	def := func(field *int, value int) {
		if *field == 0 {
			*field = value
		}
	}
	if s.Name == "" {
		s.Name = "tiny"
	}
	def(&s.Layers, 2)
	def(&s.Heads, 4)
	def(&s.KVHeads, min(2, s.Heads))
	def(&s.Width, max(64, s.Type.Info().BlockLen))
	def(&s.HeadDim, s.Width/s.Heads)
	def(&s.FFN, max(128, s.Type.Info().BlockLen))
	def(&s.Context, 256)
	def(&s.VocabSize, len(s.Vocab.tokens()))
	if !s.HasEmbedType {
		s.EmbedType = s.Type
	}
	if s.RopeBase == 0 {
		s.RopeBase = 10000
	}
	return s
}

// metadata returns the keys of a filled Spec.
func (s Spec) metadata() []gguf.KV {
	meta := []gguf.KV{
		{Key: "general.architecture", Value: "llama"},
		{Key: "general.name", Value: s.Name},
		{Key: "llama.block_count", Value: uint32(s.Layers)},
		{Key: "llama.context_length", Value: uint32(s.Context)},
		{Key: "llama.embedding_length", Value: uint32(s.Width)},
		{Key: "llama.feed_forward_length", Value: uint32(s.FFN)},
		{Key: "llama.attention.head_count", Value: uint32(s.Heads)},
		{Key: "llama.attention.head_count_kv", Value: uint32(s.KVHeads)},
		{Key: "llama.attention.key_length", Value: uint32(s.HeadDim)},
		{Key: "llama.attention.value_length", Value: uint32(s.HeadDim)},
		{Key: "llama.attention.layer_norm_rms_epsilon", Value: float32(1e-5)},
		{Key: "llama.rope.dimension_count", Value: uint32(s.HeadDim)},
		{Key: "llama.rope.freq_base", Value: s.RopeBase},
		{Key: "llama.vocab_size", Value: uint32(s.VocabSize)},
	}
	meta = append(meta, s.Vocab.metadata(s.VocabSize)...)
	for _, set := range s.Set {
		kept := meta[:0]
		for _, kv := range meta {
			if kv.Key != set.Key {
				kept = append(kept, kv)
			}
		}
		meta = kept
		if set.Value != nil {
			meta = append(meta, set)
		}
	}
	return meta
}

// tensors returns the weights of a filled Spec. Each tensor has random numbers of its own: one more tensor leaves the
// others as they are.
func (s Spec) tensors() []gguf.TensorData {
	var list []gguf.TensorData
	add := func(name string, typ quant.Type, rows, cols int, center, spread float32) {
		dims := []uint64{uint64(cols)}
		if rows > 1 {
			dims = append(dims, uint64(rows))
		}
		if cols%typ.Info().BlockLen != 0 {
			panic(fmt.Sprintf("BUG: modeltest: tensor %s has rows of %d, which are not whole blocks of %s", name, cols, typ))
		}
		weights := synthetic.Normal(s.Seed, name, rows*cols, center, spread)
		data := make([]byte, typ.RowBytes(rows*cols))
		quant.Encode(typ, data, weights)
		list = append(list, gguf.TensorData{TensorSpec: gguf.TensorSpec{Name: name, Type: typ, Dims: dims}, Data: data})
	}
	norm := func(name string) { add(name, quant.F32, 1, s.Width, 1, 0.1) }
	linear := func(name string, rows, cols int) {
		// A spread of 1/sqrt(cols) keeps the size of activations; a little more makes the logits of a tiny model decided.
		add(name+".weight", s.Type, rows, cols, 0, 1.5/float32(math.Sqrt(float64(cols))))
		if s.Biases {
			add(name+".bias", quant.F32, 1, rows, 0, 0.1)
		}
	}

	add("token_embd.weight", s.EmbedType, s.VocabSize, s.Width, 0, 1)
	norm("output_norm.weight")
	if s.Untied {
		add("output.weight", s.EmbedType, s.VocabSize, s.Width, 0, 1)
	}
	if s.RopeFactors != nil {
		list = append(list, vector("rope_freqs.weight", s.RopeFactors))
	}
	for i := range s.Layers {
		block := fmt.Sprintf("blk.%d.", i)
		norm(block + "attn_norm.weight")
		linear(block+"attn_q", s.Heads*s.HeadDim, s.Width)
		linear(block+"attn_k", s.KVHeads*s.HeadDim, s.Width)
		linear(block+"attn_v", s.KVHeads*s.HeadDim, s.Width)
		linear(block+"attn_output", s.Width, s.Heads*s.HeadDim)
		norm(block + "ffn_norm.weight")
		linear(block+"ffn_gate", s.FFN, s.Width)
		linear(block+"ffn_up", s.FFN, s.Width)
		linear(block+"ffn_down", s.Width, s.FFN)
	}
	return list
}

func vector(name string, values []float32) gguf.TensorData {
	data := make([]byte, quant.F32.RowBytes(len(values)))
	quant.Encode(quant.F32, data, values)
	return gguf.TensorData{TensorSpec: gguf.TensorSpec{Name: name, Type: quant.F32, Dims: []uint64{uint64(len(values))}}, Data: data}
}
