// Package synthetic writes GGUF models of any size whose weights are random: the shapes of known models in the types that
// quantizers choose for them, to measure speed with and to compare engines on the same file. What such a model says means
// nothing. It owns shapes, mixes of types and a vocabulary to fill them with; the format is runtime/gguf's, the encodings are
// kernels/quant's, and tiny models for tests of results are modeltest's. It links no test support, so programs may use it.
//
// A model is a function of its Model value: equal ones give equal bytes on every machine.
package synthetic

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math"
	"os"

	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/runtime/gguf"
)

// Model is a model to write. Parse makes one that is sound.
type Model struct {
	Shape Shape
	Mix   string // one of Mixes
	Seed  uint64 // of the weights
}

// Name is what Parse reads, "1.1b:q4_k_m", and the name that the file carries.
func (m Model) Name() string { return m.Shape.Name + ":" + m.Mix }

// WriteFile writes the model to a new file until the context ends. A file that could not be written whole is removed.
func (m Model) WriteFile(ctx context.Context, path string) error {
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err = m.Write(untilDone{ctx, out}); err == nil {
		err = out.Close()
	}
	if err != nil {
		out.Close()
		os.Remove(path)
	}
	return err
}

// untilDone writes until its context ends: models of many gigabytes take a while.
type untilDone struct {
	ctx context.Context
	w   io.Writer
}

func (u untilDone) Write(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.w.Write(p)
}

// Write writes the model tensor by tensor; the memory it takes does not grow with the model.
func (m Model) Write(to io.Writer) error {
	specs, err := m.Tensors()
	if err != nil {
		return err
	}
	buffered := bufio.NewWriterSize(to, 1<<20)
	w, err := gguf.NewWriter(buffered, m.metadata(mixes[m.Mix]), specs)
	if err != nil {
		return fmt.Errorf("synthetic: %s: %w", m.Name(), err)
	}
	pools := pools{}
	for _, t := range specs {
		if err := m.writeTensor(w, t, pools); err != nil {
			return fmt.Errorf("synthetic: %s: %s: %w", m.Name(), t.Name, err)
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	return buffered.Flush()
}

func (m Model) writeTensor(w io.Writer, t gguf.TensorSpec, pools pools) error {
	cols := int(t.Dims[0])
	if len(t.Dims) == 1 { // a norm
		data := make([]byte, t.Type.RowBytes(cols))
		quant.Encode(t.Type, data, Normal(m.Seed, t.Name, cols, 1, 0.1))
		_, err := w.Write(data)
		return err
	}
	return pools.of(m.Seed, t.Type, cols).write(w, m.Seed, t.Name, int(t.Dims[1])*t.Type.RowBytes(cols))
}

// metadata returns the keys.
func (m Model) metadata(mix mix) []gguf.KV {
	s := m.Shape
	head := uint32(s.Width / s.Heads)
	return append([]gguf.KV{
		{Key: "general.architecture", Value: "llama"},
		{Key: "general.name", Value: m.Name()},
		{Key: "general.file_type", Value: mix.file},
		{Key: "general.quantization_version", Value: uint32(2)},
		{Key: "llama.block_count", Value: uint32(s.Layers)},
		{Key: "llama.context_length", Value: uint32(contextLen)},
		{Key: "llama.embedding_length", Value: uint32(s.Width)},
		{Key: "llama.feed_forward_length", Value: uint32(s.FFN)},
		{Key: "llama.attention.head_count", Value: uint32(s.Heads)},
		{Key: "llama.attention.head_count_kv", Value: uint32(s.KVHeads)},
		{Key: "llama.attention.key_length", Value: head},
		{Key: "llama.attention.value_length", Value: head},
		{Key: "llama.attention.layer_norm_rms_epsilon", Value: float32(1e-5)},
		{Key: "llama.rope.dimension_count", Value: head},
		{Key: "llama.rope.freq_base", Value: s.RopeBase},
		{Key: "llama.vocab_size", Value: uint32(s.Vocab)},
	}, vocabulary(s.Vocab)...)
}

// Tensors lists the tensors in the order in which a step reads them.
func (m Model) Tensors() ([]gguf.TensorSpec, error) {
	s := m.Shape
	mix, ok := mixes[m.Mix]
	if !ok {
		return nil, unknownMix(m.Mix)
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	var list []gguf.TensorSpec
	norm := func(name string) {
		list = append(list, gguf.TensorSpec{Name: name + ".weight", Type: quant.F32, Dims: []uint64{uint64(s.Width)}})
	}
	matrix := func(prefix string, role role, layer, rows, cols int) {
		list = append(list, gguf.TensorSpec{
			Name: prefix + string(role) + ".weight", Type: mix.typeOf(s, role, layer, cols), Dims: []uint64{uint64(cols), uint64(rows)},
		})
	}
	kv := s.Width / s.Heads * s.KVHeads
	matrix("", tokenEmbd, 0, s.Vocab, s.Width)
	for i := range s.Layers {
		block := fmt.Sprintf("blk.%d.", i)
		norm(block + "attn_norm")
		matrix(block, attnQ, i, s.Width, s.Width)
		matrix(block, attnK, i, kv, s.Width)
		matrix(block, attnV, i, kv, s.Width)
		matrix(block, attnOutput, i, s.Width, s.Width)
		norm(block + "ffn_norm")
		matrix(block, ffnGate, i, s.FFN, s.Width)
		matrix(block, ffnUp, i, s.FFN, s.Width)
		matrix(block, ffnDown, i, s.Width, s.FFN)
	}
	norm("output_norm")
	if !s.Tied {
		matrix("", output, 0, s.Vocab, s.Width)
	}
	return list, nil
}

// spread is the standard deviation of weights that keeps the size of activations through a matrix of cols columns.
func spread(cols int) float32 { return float32(1 / math.Sqrt(float64(cols))) }
