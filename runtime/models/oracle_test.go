package models

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/runtime/gguf"
	"github.com/weft-run/weft/runtime/modeltest"
)

// tiny is a seeded model that, independently of the package under test, computes itself in float64 by plain loops and the
// math package.
type tiny struct {
	modeltest.Spec

	ropeDims  int // 0: all of a head
	stretch   func(freq float64, pair int) float64
	magnitude float64 // on cos and sin
	window    int     // positions that a row sees; 0: all

	meta    []gguf.KV
	tensors []gguf.TensorData
	values  map[string][]float64 // by tensor name, row-major

	valuesAt func(position int) map[string][]float64 // nil: values at every position
}

// build draws the weights.
func (m tiny) build(seed uint64) *tiny {
	m.Seed = seed
	if m.HeadDim == 0 {
		m.HeadDim = m.Width / m.Heads
	}
	if m.ropeDims == 0 {
		m.ropeDims = m.HeadDim
	} else {
		m.Set = append(m.Set, gguf.KV{Key: "llama.rope.dimension_count", Value: uint32(m.ropeDims)})
	}
	if m.RopeBase == 0 {
		m.RopeBase = 10000
	}
	if m.magnitude == 0 {
		m.magnitude = 1
	}
	if m.stretch == nil {
		m.stretch = func(f float64, _ int) float64 { return f }
	}
	m.meta, m.tensors = modeltest.Parts(m.Spec)
	m.values = map[string][]float64{}
	for _, t := range m.tensors {
		n := t.Dims[0]
		for _, d := range t.Dims[1:] {
			n *= d
		}
		x := make([]float32, n)
		quant.Decode(t.Type, x, t.Data)
		for _, v := range x {
			m.values[t.Name] = append(m.values[t.Name], float64(v))
		}
	}
	return &m
}

func name(layer int, suffix string) string { return fmt.Sprintf("blk.%d.%s", layer, suffix) }

// set replaces a key, or leaves it out where value is nil.
func (m *tiny) set(key string, value any) {
	m.meta = slices.DeleteFunc(slices.Clone(m.meta), func(kv gguf.KV) bool { return kv.Key == key })
	if value != nil {
		m.meta = append(m.meta, gguf.KV{Key: key, Value: value})
	}
}

// open writes the model and opens the file.
func (m *tiny) open(t testing.TB) *gguf.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tiny.gguf")
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := gguf.Write(out, m.meta, m.tensors); err != nil {
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
	keys := make([][][]float64, m.Layers) // [layer][position][KV heads * head dim]
	values := make([][][]float64, m.Layers)
	var out [][]float64
	for position, token := range tokens {
		if m.valuesAt != nil {
			m.values = m.valuesAt(position)
		}
		x := append([]float64(nil), m.values["token_embd.weight"][int(token)*m.Width:int(token+1)*m.Width]...)
		for i := range m.Layers {
			h := m.norm(x, name(i, "attn_norm.weight"))
			q := m.rotate(m.linear(h, name(i, "attn_q")), position)
			keys[i] = append(keys[i], m.rotate(m.linear(h, name(i, "attn_k")), position))
			values[i] = append(values[i], m.linear(h, name(i, "attn_v")))
			var att []float64
			for head := range m.Heads {
				att = append(att, m.attend(q[head*m.HeadDim:(head+1)*m.HeadDim], keys[i], values[i], head*m.KVHeads/m.Heads)...)
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
		if !m.Untied {
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
	for first := 0; first < len(x); first += m.HeadDim {
		for k := range m.ropeDims / 2 {
			freq := 1 / math.Pow(float64(m.RopeBase), float64(2*k)/float64(m.ropeDims))
			if m.RopeFactors != nil {
				freq /= float64(m.RopeFactors[k])
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
	if m.window > 0 {
		from := max(0, len(keys)-m.window)
		keys, values = keys[from:], values[from:]
	}
	scores, most := make([]float64, len(keys)), math.Inf(-1)
	for j := range keys {
		for d, v := range q {
			scores[j] += v * keys[j][kvHead*m.HeadDim+d]
		}
		scores[j] /= math.Sqrt(float64(m.HeadDim))
		most = max(most, scores[j])
	}
	sum, out := 0.0, make([]float64, m.HeadDim)
	for j, s := range scores {
		p := math.Exp(s - most)
		sum += p
		for d := range out {
			out[d] += p * values[j][kvHead*m.HeadDim+d]
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
