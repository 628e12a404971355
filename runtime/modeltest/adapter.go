package modeltest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strings"

	"github.com/weft-run/weft/runtime/gguf"
	"github.com/weft-run/weft/runtime/gguf/safetensors"
	"github.com/weft-run/weft/runtime/modeltest/synthetic"
)

// AdapterSpec describes a tiny LoRA adapter for the model of a Spec: the queries and the downward projection of every layer. Equal ones
// give equal bytes.
type AdapterSpec struct {
	Base Spec
	Seed uint64
	Rank int     // default 4
	Size float32 // spread of the factors B; default 0.3. 0 cannot be had: see Zero
	Zero bool    // B is zero, as before any training
	// DoRA gives TinyPEFT's adapter magnitudes; GGUF adapters have no place for them.
	DoRA bool
	// Invocation makes it an activated one.
	Invocation []int32
}

// lowRank is one target's factors.
type lowRank struct {
	target     string // its tensor's name without ".weight"
	rows, cols int
	a, b       []float32 // [rank, cols], [rows, rank]
}

// filled returns s with its defaults.
func (s AdapterSpec) filled() AdapterSpec {
	s.Base = s.Base.filled()
	if s.Rank == 0 {
		s.Rank = 4
	}
	if s.Size == 0 {
		s.Size = 0.3
	}
	if s.Zero {
		s.Size = 0
	}
	return s
}

func (s AdapterSpec) factors() []lowRank {
	var all []lowRank
	for i := range s.Base.Layers {
		for _, t := range []lowRank{
			{target: "attn_q", rows: s.Base.Heads * s.Base.HeadDim, cols: s.Base.Width},
			{target: "ffn_down", rows: s.Base.Width, cols: s.Base.FFN},
		} {
			t.target = fmt.Sprintf("blk.%d.%s", i, t.target)
			t.a = synthetic.Normal(s.Seed, t.target+".a", s.Rank*t.cols, 0, 1/float32(math.Sqrt(float64(t.cols))))
			t.b = synthetic.Normal(s.Seed, t.target+".b", t.rows*s.Rank, 0, s.Size)
			all = append(all, t)
		}
	}
	return all
}

// TinyAdapter returns the adapter as a GGUF file.
func TinyAdapter(s AdapterSpec) []byte {
	s = s.filled()
	meta := []gguf.KV{
		{Key: "general.type", Value: "adapter"},
		{Key: "general.architecture", Value: "llama"},
		{Key: "adapter.type", Value: "lora"},
		{Key: "adapter.lora.alpha", Value: float32(2 * s.Rank)},
	}
	if s.Invocation != nil {
		ids := make([]uint32, len(s.Invocation))
		for i, id := range s.Invocation {
			ids[i] = uint32(id)
		}
		meta = append(meta, gguf.KV{Key: "adapter.alora.invocation_tokens", Value: ids})
	}
	var tensors []gguf.TensorData
	for _, f := range s.factors() {
		a, b := vector(f.target+".weight.lora_a", f.a), vector(f.target+".weight.lora_b", f.b)
		a.Dims, b.Dims = []uint64{uint64(f.cols), uint64(s.Rank)}, []uint64{uint64(s.Rank), uint64(f.rows)}
		tensors = append(tensors, a, b)
	}
	return encode(meta, tensors)
}

// TinyPEFT returns the adapter as the two files of a folder that peft has written: configuration and weights. Its queries are in the
// order of the checkpoint, not in that of the base's file, so both formats change the model alike.
func TinyPEFT(s AdapterSpec) (config, weights []byte) {
	s = s.filled()
	modules := map[string]string{"attn_q": "self_attn.q_proj", "ffn_down": "mlp.down_proj"}
	var tensors []safetensors.TensorData
	for _, f := range s.factors() {
		_, rest, _ := strings.Cut(f.target, ".")
		layer, target, _ := strings.Cut(rest, ".")
		b := f.b
		if target == "attn_q" {
			b = unpaired(b, s.Base.Heads, s.Rank)
		}
		name := fmt.Sprintf("base_model.model.model.layers.%s.%s.lora_", layer, modules[target])
		tensors = append(tensors,
			safetensors.TensorData{Name: name + "A.weight", Type: safetensors.F32, Shape: []uint64{uint64(s.Rank), uint64(f.cols)}, Values: f.a},
			safetensors.TensorData{Name: name + "B.weight", Type: safetensors.F32, Shape: []uint64{uint64(f.rows), uint64(s.Rank)}, Values: b},
		)
		if s.DoRA {
			lengths := synthetic.Normal(s.Seed, f.target+".magnitude", f.rows, 2, 0.3)
			tensors = append(tensors, safetensors.TensorData{Name: name + "magnitude_vector", Type: safetensors.F32, Shape: []uint64{uint64(f.rows)}, Values: lengths})
		}
	}
	var out bytes.Buffer
	if err := safetensors.Write(&out, map[string]string{"format": "pt"}, tensors); err != nil {
		panic("BUG: modeltest: " + err.Error())
	}
	config, err := json.Marshal(map[string]any{
		"peft_type": "LORA", "r": s.Rank, "lora_alpha": 2 * s.Rank, "target_modules": []string{"q_proj", "down_proj"},
		"use_dora": s.DoRA, "alora_invocation_tokens": s.Invocation,
	})
	if err != nil {
		panic("BUG: modeltest: " + err.Error())
	}
	return config, out.Bytes()
}

// unpaired brings rows of heads from adjacent pairs, as files of the llama architecture have them, to halves, as checkpoints do.
func unpaired(rows []float32, heads, width int) []float32 {
	out := make([]float32, 0, len(rows))
	dim := len(rows) / width / heads
	for h := range heads {
		for half := range 2 {
			for i := range dim / 2 {
				at := (h*dim + 2*i + half) * width
				out = append(out, rows[at:at+width]...)
			}
		}
	}
	return out
}
