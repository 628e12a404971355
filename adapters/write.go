package adapters

import (
	"cmp"
	"encoding/json"
	"io"
	"slices"

	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/runtime/gguf"
	"github.com/weft-run/weft/runtime/gguf/safetensors"
	"github.com/weft-run/weft/runtime/models"
)

// WritePEFT writes the two files of a PEFT folder for an adapter of a base of an architecture with these targets. Factors are kept as
// float32: Open gives the same spec again, but for its digest.
func WritePEFT(config, weights io.Writer, spec *models.AdapterSpec, arch string, targets []models.Target, baseName string) error {
	names, ok := namings[arch]
	if !ok {
		return refuse(ErrUnsupported, "adapters of PEFT for the architecture %q are not written", arch)
	}
	c := savedConfig{Type: "LORA", BaseName: baseName, Bias: "none", Ranks: map[string]int{}, Alphas: map[string]float64{}, Invocation: spec.Invocation}
	var tensors []safetensors.TensorData
	for i := range spec.Deltas {
		d := &spec.Deltas[i]
		at := slices.IndexFunc(targets, func(t models.Target) bool { return t.Name == d.Target })
		module := names.module(d.Target)
		if at < 0 || module == "" {
			return refuse(ErrUnfit, "%q is not a target of the base that PEFT has a name for", d.Target)
		}
		c.add(module, d)
		tensors = append(tensors, peftTensors(peftPrefix+module, d, &targets[at])...)
	}
	text, err := json.MarshalIndent(&c, "", "  ")
	if err != nil {
		return refuse(ErrFormat, "%s: %v", ConfigFile, err)
	}
	if _, err := config.Write(append(text, '\n')); err != nil {
		return err
	}
	return safetensors.Write(weights, map[string]string{"format": "pt"}, tensors)
}

// savedConfig is adapter_config.json as it is written: every module by its whole name.
type savedConfig struct {
	Type       string             `json:"peft_type"`
	Task       string             `json:"task_type"`
	BaseName   string             `json:"base_model_name_or_path"`
	Bias       string             `json:"bias"`
	Rank       int                `json:"r"`
	Alpha      float64            `json:"lora_alpha"`
	Ranks      map[string]int     `json:"rank_pattern"`
	Alphas     map[string]float64 `json:"alpha_pattern"`
	Modules    []string           `json:"target_modules"`
	DoRA       bool               `json:"use_dora"`
	Invocation []int32            `json:"alora_invocation_tokens"`
}

// add tells of one module. The first sets the rank and alpha of all, which the patterns of others replace.
func (c *savedConfig) add(module string, d *models.Delta) {
	if d.Bias != nil {
		c.Bias = "all"
	}
	if d.Rank == 0 {
		return
	}
	c.Task = "CAUSAL_LM"
	c.DoRA = c.DoRA || d.Magnitude != nil
	c.Modules = append(c.Modules, module)
	// The product has fewer bits than a float64 holds: divided by the rank it is the scale again.
	alpha := float64(d.Scale) * float64(d.Rank)
	if c.Rank == 0 {
		c.Rank, c.Alpha = d.Rank, alpha
	}
	whole := "^" + module
	if d.Rank != c.Rank {
		c.Ranks[whole] = d.Rank
	}
	if alpha != c.Alpha {
		c.Alphas[whole] = alpha
	}
}

// peftTensors are the tensors of one module, their rows in the checkpoint's order.
func peftTensors(module string, d *models.Delta, t *models.Target) (list []safetensors.TensorData) {
	inputs, outputs := t.Cols, t.Rows
	a, b := ".lora_A.weight", ".lora_B.weight"
	if t.Name == "token_embd" {
		inputs, outputs = outputs, inputs
		a, b = ".lora_embedding_A", ".lora_embedding_B"
	}
	rows := func(x []float32, cols int) []float32 {
		if t.PairHeads == 0 {
			return x
		}
		return halveRows(x, t.PairHeads, cols)
	}
	add := func(name string, values []float32, shape ...int) {
		dims := make([]uint64, len(shape))
		for i, n := range shape {
			dims[i] = uint64(n)
		}
		list = append(list, safetensors.TensorData{Name: module + name, Type: safetensors.F32, Shape: dims, Values: values})
	}
	if d.Rank > 0 {
		add(a, d.A, d.Rank, inputs)
		add(b, rows(d.B, d.Rank), outputs, d.Rank)
	}
	if d.Magnitude != nil {
		add(".lora_magnitude_vector", rows(d.Magnitude, 1), outputs)
	}
	if d.Bias != nil {
		whole := slices.Clone(d.Bias)
		for i, own := range t.Bias {
			whole[i] += own
		}
		add(".base_layer.bias", rows(whole, 1), outputs)
	}
	return list
}

// halveRows is the reverse of pairRows.
func halveRows(x []float32, heads, cols int) []float32 {
	out := make([]float32, len(x))
	half := len(x) / cols / heads / 2
	for head := range heads {
		from, to := x[head*2*half*cols:], out[head*2*half*cols:]
		for j := range half {
			copy(to[j*cols:(j+1)*cols], from[2*j*cols:])
			copy(to[(half+j)*cols:(half+j+1)*cols], from[(2*j+1)*cols:])
		}
	}
	return out
}

// WriteGGUF writes a GGUF adapter, with factors as float32. The format has one alpha for all: where scales do not come of one, B takes the
// difference. It has no place for DoRA and biases, which are refused.
func WriteGGUF(w io.Writer, spec *models.AdapterSpec, arch string, targets []models.Target) error {
	meta := []gguf.KV{{Key: keyType, Value: "adapter"}, {Key: keyKind, Value: "lora"}, {Key: keyArch, Value: arch}}
	var tensors []gguf.TensorData
	alpha := float32(0)
	deltas := slices.SortedFunc(slices.Values(spec.Deltas), func(a, b models.Delta) int { return cmp.Compare(a.Target, b.Target) })
	for i := range deltas {
		d := &deltas[i]
		at := slices.IndexFunc(targets, func(t models.Target) bool { return t.Name == d.Target })
		switch {
		case at < 0:
			return refuse(ErrUnfit, "%q is not a target of the base", d.Target)
		case d.Magnitude != nil || d.Bias != nil:
			return refuse(ErrUnsupported, "GGUF adapters have no place for DoRA and biases, which the change of %q has; write a PEFT folder", d.Target)
		}
		if alpha == 0 {
			alpha = d.Scale * float32(d.Rank)
		}
		a, b := d.A, slices.Clone(d.B)
		for k := range b {
			b[k] *= d.Scale / (alpha / float32(d.Rank))
		}
		rank, inputs, outputs := uint64(d.Rank), uint64(targets[at].Cols), uint64(targets[at].Rows)
		dims := []uint64{inputs, rank}
		if d.Target == "token_embd" {
			inputs, outputs = outputs, inputs
			a, dims = transpose(a, int(inputs)), []uint64{rank, inputs}
		}
		tensors = append(tensors, ggufTensor(d.Target+".weight.lora_a", a, dims), ggufTensor(d.Target+".weight.lora_b", b, []uint64{rank, outputs}))
	}
	meta = append(meta, gguf.KV{Key: keyAlpha, Value: alpha})
	if spec.Invocation != nil {
		ids := make([]uint32, len(spec.Invocation))
		for i, id := range spec.Invocation {
			ids[i] = uint32(id)
		}
		meta = append(meta, gguf.KV{Key: keyInvocation, Value: ids})
	}
	return gguf.Write(w, meta, tensors)
}

func ggufTensor(name string, values []float32, dims []uint64) gguf.TensorData {
	data := make([]byte, quant.F32.RowBytes(len(values)))
	quant.Encode(quant.F32, data, values)
	return gguf.TensorData{TensorSpec: gguf.TensorSpec{Name: name, Type: quant.F32, Dims: dims}, Data: data}
}
