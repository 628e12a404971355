package adapters

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/runtime/gguf"
	"github.com/weft-run/weft/runtime/gguf/safetensors"
	"github.com/weft-run/weft/runtime/models"
)

// tinyTargets are those of a base of the Llama family: two layers, width 8, two heads of 4, one key head, vocabulary 11. The base adds a
// bias to v.
func tinyTargets() []models.Target {
	list := []models.Target{{Name: "token_embd", Rows: 11, Cols: 8}, {Name: "output", Layer: 2, Rows: 11, Cols: 8}}
	for i := range 2 {
		blk := fmt.Sprintf("blk.%d.", i)
		list = append(
			list,
			models.Target{Name: blk + "attn_q", Layer: i + 1, Rows: 8, Cols: 8, PairHeads: 2},
			models.Target{Name: blk + "attn_k", Layer: i, Rows: 4, Cols: 8, PairHeads: 1},
			models.Target{Name: blk + "attn_v", Layer: i, Rows: 4, Cols: 8, Bias: []float32{1, 2, 3, 4}},
			models.Target{Name: blk + "attn_output", Layer: i + 1, Rows: 8, Cols: 8},
			models.Target{Name: blk + "ffn_gate", Layer: i + 1, Rows: 12, Cols: 8},
			models.Target{Name: blk + "ffn_up", Layer: i + 1, Rows: 12, Cols: 8},
			models.Target{Name: blk + "ffn_down", Layer: i + 1, Rows: 8, Cols: 12},
		)
	}
	return list
}

// folder is a PEFT folder to be written, healthy until a test changes it.
type folder struct {
	config  map[string]any
	raw     string // written in place of config where it is not ""
	tensors []safetensors.TensorData
	weights []byte // written in place of tensors where it is not nil
}

// tensor makes a tensor of ascending numbers.
func (f *folder) tensor(name string, shape ...uint64) {
	t := safetensors.TensorData{Name: name, Type: safetensors.F32, Shape: shape}
	n := uint64(1)
	for _, d := range shape {
		n *= d
	}
	for i := range n {
		t.Values = append(t.Values, float32(i+1))
	}
	f.tensors = append(f.tensors, t)
}

const inLayer = "base_model.model.model.layers."

// healthy is q and down of two layers at rank 2.
func healthy() *folder {
	f := &folder{config: map[string]any{
		"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": []string{"q_proj", "down_proj"}, "base_model_name_or_path": "someone/tiny",
		"modules_to_save": nil, "lora_dropout": 0.1, "fan_in_fan_out": false, "init_lora_weights": true, "qalora_group_size": 16,
	}}
	for _, layer := range []string{"0", "1"} {
		f.tensor(inLayer+layer+".self_attn.q_proj.lora_A.weight", 2, 8)
		f.tensor(inLayer+layer+".self_attn.q_proj.lora_B.weight", 8, 2)
		f.tensor(inLayer+layer+".mlp.down_proj.lora_A.weight", 2, 12)
		f.tensor(inLayer+layer+".mlp.down_proj.lora_B.weight", 8, 2)
	}
	return f
}

func (f *folder) set(key string, value any) { f.config[key] = value }

func (f *folder) drop(name string) {
	for i, t := range f.tensors {
		if t.Name == name {
			f.tensors = append(f.tensors[:i:i], f.tensors[i+1:]...)
			return
		}
	}
	panic("BUG: no tensor " + name)
}

func (f *folder) reshape(name string, shape ...uint64) {
	f.drop(name)
	f.tensor(name, shape...)
}

func (f *folder) rename(from, to string) {
	for i := range f.tensors {
		if f.tensors[i].Name == from {
			f.tensors[i].Name = to
		}
	}
}

// write writes the folder and returns its path.
func (f *folder) write(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "adapter")
	must(t, os.Mkdir(dir, 0o700))
	text := []byte(f.raw)
	if f.raw == "" {
		var err error
		text, err = json.Marshal(maps.Clone(f.config))
		must(t, err)
	}
	must(t, os.WriteFile(filepath.Join(dir, ConfigFile), text, 0o600))
	weights := f.weights
	if weights == nil {
		var out bytes.Buffer
		must(t, safetensors.Write(&out, map[string]string{"format": "pt"}, f.tensors))
		weights = out.Bytes()
	}
	must(t, os.WriteFile(filepath.Join(dir, WeightsFile), weights, 0o600))
	return dir
}

// ggufFile is a GGUF adapter to be written, healthy until a test changes it.
type ggufFile struct {
	meta    map[string]any
	tensors []gguf.TensorData
}

// tensor makes a float32 tensor of ascending numbers; dims are ggml's, the row length first.
func (f *ggufFile) tensor(name string, dims ...uint64) {
	n := uint64(1)
	for _, d := range dims {
		n *= d
	}
	values := make([]float32, n)
	for i := range values {
		values[i] = float32(i + 1)
	}
	data := make([]byte, 4*n)
	quant.Encode(quant.F32, data, values)
	f.tensors = append(f.tensors, gguf.TensorData{TensorSpec: gguf.TensorSpec{Name: name, Type: quant.F32, Dims: dims}, Data: data})
}

func healthyGGUF() *ggufFile {
	f := &ggufFile{meta: map[string]any{keyType: "adapter", keyKind: "lora", keyArch: "llama", keyAlpha: float32(4), "general.base_model.0.name": "Tiny"}}
	f.tensor("blk.0.attn_q.weight.lora_a", 8, 2)
	f.tensor("blk.0.attn_q.weight.lora_b", 2, 8)
	f.tensor("token_embd.weight.lora_a", 2, 11)
	f.tensor("token_embd.weight.lora_b", 2, 8)
	return f
}

func (f *ggufFile) bytes(t testing.TB) []byte {
	t.Helper()
	var meta []gguf.KV
	for key, value := range f.meta {
		meta = append(meta, gguf.KV{Key: key, Value: value})
	}
	var out bytes.Buffer
	must(t, gguf.Write(&out, meta, f.tensors))
	return out.Bytes()
}

func (f *ggufFile) write(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "adapter.gguf")
	must(t, os.WriteFile(path, f.bytes(t), 0o600))
	return path
}

// read opens what lies at path and reads it for the tiny base.
func read(path string) (models.AdapterSpec, error) {
	s, err := Open(path, DefaultLimits())
	if err != nil {
		return models.AdapterSpec{}, err
	}
	defer func() { _ = s.Close() }()
	fits := s.Fits("llama", tinyTargets())
	spec, err := specOf(s, "llama", tinyTargets())
	if (fits == nil) != (err == nil) && fits != nil {
		err = fmt.Errorf("Read gave %w, and Fits %w", err, fits)
	}
	return spec, err
}

// taken keeps what is read.
type taken struct {
	mu   sync.Mutex
	spec models.AdapterSpec
}

func (t *taken) Decode(typ quant.Type, dst []float32, src []byte) { quant.Decode(typ, dst, src) }

func (t *taken) Add(d *models.Delta) error {
	kept := *d
	for _, values := range [][]float32{d.A, d.B, d.Magnitude, d.Bias} {
		if slices.ContainsFunc(values, func(x float32) bool { return x-x != 0 }) {
			return errors.New("not a number")
		}
	}
	for _, values := range []*[]float32{&kept.A, &kept.B, &kept.Magnitude, &kept.Bias} {
		*values = slices.Clone(*values)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.spec.Deltas = append(t.spec.Deltas, kept)
	return nil
}

// specOf reads all that a source changes of a base, sorted by target.
func specOf(s *Source, arch string, targets []models.Target) (models.AdapterSpec, error) {
	t := &taken{spec: models.AdapterSpec{Invocation: s.Invocation}}
	var err error
	if t.spec.Digest, err = s.Read(arch, targets, t, nil); err != nil {
		return models.AdapterSpec{}, err
	}
	slices.SortFunc(t.spec.Deltas, func(a, b models.Delta) int { return strings.Compare(a.Target, b.Target) })
	return t.spec, nil
}
