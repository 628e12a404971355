package models

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/runtime/gguf"
)

// tiny is a seeded llama with every switch of the architecture. It writes itself as GGUF and, independently of the
// package under test, computes itself in float64 by plain loops and the math package.
type tiny struct {
	width, layers, heads, kvHeads, headDim, ffn, vocab int
	ropeDims                                           int
	base                                               float64
	biases, untied                                     bool
	factors                                            []float32 // rope_freqs.weight
	stretch                                            func(freq float64, pair int) float64
	magnitude                                          float64 // on cos and sin
	keys                                               []gguf.KV
	kind                                               quant.Type

	tensors []gguf.TensorData
	values  map[string][]float64 // by tensor name, row-major
}

// build fills in defaults and draws the weights.
func (m tiny) build(seed uint64) *tiny {
	if m.headDim == 0 {
		m.headDim = m.width / m.heads
	}
	if m.ropeDims == 0 {
		m.ropeDims = m.headDim
	}
	if m.base == 0 {
		m.base = 10000
	}
	if m.magnitude == 0 {
		m.magnitude = 1
	}
	if m.stretch == nil {
		m.stretch = func(f float64, _ int) float64 { return f }
	}
	m.values = map[string][]float64{}
	r := rand.New(rand.NewPCG(seed, 7))
	m.add(r, "token_embd.weight", m.vocab, m.width, 1)
	if m.untied {
		m.add(r, "output.weight", m.vocab, m.width, 1)
	}
	m.add(r, "output_norm.weight", 0, m.width, 0)
	if m.factors != nil {
		m.put("rope_freqs.weight", quant.F32, []uint64{uint64(len(m.factors))}, m.factors)
	}
	for i := range m.layers {
		m.add(r, name(i, "attn_norm.weight"), 0, m.width, 0)
		m.add(r, name(i, "ffn_norm.weight"), 0, m.width, 0)
		for _, l := range []struct {
			name       string
			rows, cols int
		}{
			{"attn_q", m.heads * m.headDim, m.width},
			{"attn_k", m.kvHeads * m.headDim, m.width},
			{"attn_v", m.kvHeads * m.headDim, m.width},
			{"attn_output", m.width, m.heads * m.headDim},
			{"ffn_gate", m.ffn, m.width},
			{"ffn_up", m.ffn, m.width},
			{"ffn_down", m.width, m.ffn},
		} {
			m.add(r, name(i, l.name+".weight"), l.rows, l.cols, 1.5/math.Sqrt(float64(l.cols)))
			if m.biases {
				m.add(r, name(i, l.name+".bias"), 0, l.rows, 0.3)
			}
		}
	}
	return &m
}

func name(layer int, suffix string) string {
	return "blk." + string(rune('0'+layer)) + "." + suffix
}

// add draws a tensor: a matrix, or a vector where rows is 0, around 1 where sigma is 0.
func (m *tiny) add(r *rand.Rand, name string, rows, cols int, sigma float64) {
	dims, n, kind := []uint64{uint64(cols)}, cols, quant.F32
	if rows > 0 {
		dims, n, kind = append(dims, uint64(rows)), rows*cols, m.kind
	}
	x := make([]float32, n)
	for i := range x {
		if x[i] = float32(r.NormFloat64() * sigma); sigma == 0 {
			x[i] = float32(1 + 0.2*r.NormFloat64())
		}
	}
	m.put(name, kind, dims, x)
}

func (m *tiny) put(name string, kind quant.Type, dims []uint64, x []float32) {
	data := make([]byte, kind.RowBytes(len(x)))
	quant.Encode(kind, data, x)
	quant.Decode(kind, x, data)
	m.values[name] = make([]float64, len(x))
	for i := range x {
		m.values[name][i] = float64(x[i])
	}
	m.tensors = append(m.tensors, gguf.TensorData{TensorSpec: gguf.TensorSpec{Name: name, Type: kind, Dims: dims}, Data: data})
}

// meta are the keys of the model; keys of m replace those of the same name, and a nil value leaves a key out.
func (m *tiny) meta() []gguf.KV {
	all := []gguf.KV{
		{Key: "general.architecture", Value: "llama"},
		{Key: "llama.block_count", Value: uint32(m.layers)},
		{Key: "llama.embedding_length", Value: uint32(m.width)},
		{Key: "llama.attention.head_count", Value: uint32(m.heads)},
		{Key: "llama.attention.head_count_kv", Value: uint32(m.kvHeads)},
		{Key: "llama.attention.key_length", Value: uint32(m.headDim)},
		{Key: "llama.attention.value_length", Value: uint32(m.headDim)},
		{Key: "llama.feed_forward_length", Value: uint32(m.ffn)},
		{Key: "llama.context_length", Value: uint32(512)},
		{Key: "llama.attention.layer_norm_rms_epsilon", Value: float32(1e-5)},
		{Key: "llama.rope.dimension_count", Value: uint32(m.ropeDims)},
		{Key: "llama.rope.freq_base", Value: float32(m.base)},
		{Key: "llama.vocab_size", Value: uint32(m.vocab)},
	}
	for _, kv := range m.keys {
		replaced := false
		for i := range all {
			if all[i].Key == kv.Key {
				all[i].Value, replaced = kv.Value, true
			}
		}
		if !replaced {
			all = append(all, kv)
		}
	}
	var kept []gguf.KV
	for _, kv := range all {
		if kv.Value != nil {
			kept = append(kept, kv)
		}
	}
	return kept
}

// open writes the model and opens the file.
func (m *tiny) open(t testing.TB) *gguf.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tiny.gguf")
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := gguf.Write(out, m.meta(), m.tensors); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	return openFile(t, path)
}

func openFile(t testing.TB, path string) *gguf.File {
	t.Helper()
	f, err := gguf.Open(path, gguf.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// logits computes the logits of every token of one sequence.
func (m *tiny) logits(tokens []int32) [][]float64 {
	keys := make([][][]float64, m.layers) // [layer][position][KV heads * head dim]
	values := make([][][]float64, m.layers)
	var out [][]float64
	for position, token := range tokens {
		x := append([]float64(nil), m.values["token_embd.weight"][int(token)*m.width:int(token+1)*m.width]...)
		for i := range m.layers {
			h := m.norm(x, name(i, "attn_norm.weight"))
			q := m.rotate(m.linear(h, name(i, "attn_q")), position)
			keys[i] = append(keys[i], m.rotate(m.linear(h, name(i, "attn_k")), position))
			values[i] = append(values[i], m.linear(h, name(i, "attn_v")))
			var att []float64
			for head := range m.heads {
				att = append(att, m.attend(q[head*m.headDim:(head+1)*m.headDim], keys[i], values[i], head*m.kvHeads/m.heads)...)
			}
			plus(x, m.linear(att, name(i, "attn_output")))
			h = m.norm(x, name(i, "ffn_norm.weight"))
			gate, up := m.linear(h, name(i, "ffn_gate")), m.linear(h, name(i, "ffn_up"))
			for k, g := range gate {
				up[k] *= g / (1 + math.Exp(-g))
			}
			plus(x, m.linear(up, name(i, "ffn_down")))
		}
		head := "output"
		if !m.untied {
			head = "token_embd"
		}
		out = append(out, m.linear(m.norm(x, "output_norm.weight"), head))
	}
	return out
}

func plus(x, y []float64) {
	for i := range x {
		x[i] += y[i]
	}
}

func (m *tiny) norm(x []float64, weight string) []float64 {
	sum := 0.0
	for _, v := range x {
		sum += v * v
	}
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = v / math.Sqrt(sum/float64(len(x))+float64(float32(1e-5))) * m.values[weight][i]
	}
	return out
}

func (m *tiny) linear(x []float64, name string) []float64 {
	w := m.values[name+".weight"]
	out := make([]float64, len(w)/len(x))
	copy(out, m.values[name+".bias"])
	for i := range out {
		for k, v := range x {
			out[i] += w[i*len(x)+k] * v
		}
	}
	return out
}

func (m *tiny) rotate(x []float64, position int) []float64 {
	for first := 0; first < len(x); first += m.headDim {
		for k := range m.ropeDims / 2 {
			freq := 1 / math.Pow(m.base, float64(2*k)/float64(m.ropeDims))
			if m.factors != nil {
				freq /= float64(m.factors[k])
			}
			sin, cos := math.Sincos(float64(position) * m.stretch(freq, k))
			a, b := x[first+2*k], x[first+2*k+1]
			x[first+2*k] = (a*cos - b*sin) * m.magnitude
			x[first+2*k+1] = (a*sin + b*cos) * m.magnitude
		}
	}
	return x
}

func (m *tiny) attend(q []float64, keys, values [][]float64, kvHead int) []float64 {
	scores, most := make([]float64, len(keys)), math.Inf(-1)
	for j := range keys {
		for d, v := range q {
			scores[j] += v * keys[j][kvHead*m.headDim+d]
		}
		scores[j] /= math.Sqrt(float64(m.headDim))
		most = max(most, scores[j])
	}
	sum, out := 0.0, make([]float64, m.headDim)
	for j, s := range scores {
		p := math.Exp(s - most)
		sum += p
		for d := range out {
			out[d] += p * values[j][kvHead*m.headDim+d]
		}
	}
	for d := range out {
		out[d] /= sum
	}
	return out
}

// floats is the file's form of float32 values.
func floats(x ...float32) []byte {
	var data []byte
	for _, v := range x {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
	}
	return data
}
