package adapters

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/weft-run/weft/runtime/models"
)

// scales lists what a spec changes: target, rank, scale.
func scales(spec models.AdapterSpec) string {
	var list []string
	for _, d := range spec.Deltas {
		list = append(list, fmt.Sprintf("%s r%d x%.4g", d.Target, d.Rank, d.Scale))
	}
	return strings.Join(list, "; ")
}

// TestConfiguration: which modules a configuration aims at, and what rank and scale it gives them, by PEFT's own rules.
func TestConfiguration(t *testing.T) {
	const plain = "blk.0.attn_q r2 x2; blk.0.ffn_down r2 x2; blk.1.attn_q r2 x2; blk.1.ffn_down r2 x2"
	for name, c := range map[string]struct {
		set  map[string]any
		want string
	}{
		"plain":                    {nil, plain},
		"rank-stabilized":          {map[string]any{"use_rslora": true}, strings.ReplaceAll(plain, "x2", fmt.Sprintf("x%.4g", 4/math.Sqrt(2)))},
		"alpha a fraction":         {map[string]any{"lora_alpha": 0.5}, strings.ReplaceAll(plain, "x2", "x0.25")},
		"all-linear":               {map[string]any{"target_modules": "all-linear"}, plain},
		"expression":               {map[string]any{"target_modules": `model\.layers\.\d+\.(self_attn\.q|mlp\.down)_proj`}, plain},
		"expression of the end":    {map[string]any{"target_modules": `.*(q|down)_proj`}, plain},
		"whole names":              {map[string]any{"target_modules": []string{"self_attn.q_proj", "layers.0.mlp.down_proj", "model.layers.1.mlp.down_proj"}}, plain},
		"names of nothing":         {map[string]any{"target_modules": []string{"q_proj", "down_proj", "wq"}}, plain},
		"layers":                   {map[string]any{"layers_to_transform": []int{0, 1}}, plain},
		"layers by their list":     {map[string]any{"layers_to_transform": []int{0, 1}, "layers_pattern": "layers"}, plain},
		"no layers are all":        {map[string]any{"layers_to_transform": []int{}, "layers_pattern": []string{"h"}}, plain},
		"excluded elsewhere":       {map[string]any{"exclude_modules": []string{"k_proj"}}, plain},
		"fan_in_fan_out":           {map[string]any{"fan_in_fan_out": true}, plain},
		"only begun otherwise":     {map[string]any{"init_lora_weights": "eva", "eva_config": map[string]any{"rho": 2}, "loftq_config": map[string]any{}}, plain},
		"keys of tomorrow, unset":  {map[string]any{"use_tomorrow": false, "tomorrow_config": nil, "tomorrow_list": []int{}}, plain},
		"pattern of a name":        {map[string]any{"alpha_pattern": map[string]int{"q_proj": 8}}, strings.ReplaceAll(plain, "attn_q r2 x2", "attn_q r2 x4")},
		"pattern of one layer":     {map[string]any{"alpha_pattern": map[string]int{"layers.1.self_attn.q_proj": 8}}, strings.Replace(plain, "1.attn_q r2 x2", "1.attn_q r2 x4", 1)},
		"pattern of the beginning": {map[string]any{"alpha_pattern": map[string]int{"^model.layers.0.mlp.down_proj": 8}}, strings.Replace(plain, "0.ffn_down r2 x2", "0.ffn_down r2 x4", 1)},
		"pattern of a part":        {map[string]any{"alpha_pattern": map[string]int{"proj": 8, "q_pro": 8, "self_attn": 8}}, plain},
		"pattern that chooses":     {map[string]any{"alpha_pattern": map[string]int{"(q|down)_proj": 8}}, strings.ReplaceAll(plain, "x2", "x4")},
		"rank of the pattern":      {map[string]any{"r": 64, "rank_pattern": map[string]int{".*_proj": 2}}, plain},
	} {
		f := healthy()
		for key, value := range c.set {
			f.set(key, value)
		}
		spec, err := read(f.write(t))
		if err != nil || scales(spec) != c.want {
			t.Errorf("%s: %s, %v\n want %s", name, scales(spec), err, c.want)
		}
	}
	// The first pattern of the file counts, not the first of an alphabet.
	f := healthy()
	f.raw = `{"peft_type":"LORA","r":2,"lora_alpha":4,"target_modules":["q_proj","down_proj"],"alpha_pattern":{"q_proj":8,".*q_proj":16,"(a|b)":1}}`
	if spec, err := read(f.write(t)); err != nil || scales(spec) != strings.ReplaceAll(plain, "attn_q r2 x2", "attn_q r2 x4") {
		t.Errorf("%s, %v", scales(spec), err)
	}
}

// TestSpecOfFolder: rows of q and k, magnitudes included, are put into the order of the base's; all else stays; biases are what they have more
// than the base's own; embedding and head have factors of their own.
func TestSpecOfFolder(t *testing.T) {
	f := &folder{config: map[string]any{
		"peft_type": "LORA", "r": 1, "lora_alpha": 1, "target_modules": []string{"q_proj", "v_proj"}, "use_dora": true, "bias": "all",
	}}
	f.tensor(inLayer+"1.self_attn.q_proj.lora_A.weight", 1, 8)
	f.tensor(inLayer+"1.self_attn.q_proj.lora_B.weight", 8, 1)
	f.tensor(inLayer+"1.self_attn.q_proj.lora_magnitude_vector", 8)
	f.tensor(inLayer+"1.self_attn.v_proj.base_layer.bias", 4)
	f.tensors[3].Values = []float32{2, 2, 2, 2}
	spec, err := read(f.write(t))
	must(t, err)
	if len(spec.Deltas) != 2 {
		t.Fatal(scales(spec))
	}
	q, v := spec.Deltas[0], spec.Deltas[1]
	paired := []float32{1, 3, 2, 4, 5, 7, 6, 8} // of each head of four rows: 0, 2, 1, 3
	if !slices.Equal(q.B, paired) || !slices.Equal(q.Magnitude, paired) || !slices.Equal(q.A, []float32{1, 2, 3, 4, 5, 6, 7, 8}) {
		t.Errorf("q: %+v", q)
	}
	if v.Target != "blk.1.attn_v" || v.Rank != 0 || !slices.Equal(v.Bias, []float32{1, 0, -1, -2}) {
		t.Errorf("v: %+v", v)
	}

	f = &folder{config: map[string]any{
		"peft_type": "LORA", "r": 2, "target_modules": []string{"embed_tokens", "lm_head"}, "alora_invocation_tokens": []int{3, 1},
	}}
	f.tensor("base_model.model.model.embed_tokens.lora_embedding_A", 2, 11)
	f.tensor("base_model.model.model.embed_tokens.lora_embedding_B", 8, 2)
	f.tensor("base_model.model.lm_head.lora_A.weight", 2, 8)
	f.tensor("base_model.model.lm_head.lora_B.weight", 11, 2)
	dir := f.write(t)
	spec, err = read(dir)
	must(t, err)
	if got := scales(spec); got != "output r2 x4; token_embd r2 x4" || !slices.Equal(spec.Invocation, []int32{3, 1}) {
		t.Error(got, spec.Invocation)
	}
	if e := spec.Deltas[1]; !slices.Equal(e.A, f.tensors[0].Values) || !slices.Equal(e.B, f.tensors[1].Values) {
		t.Errorf("embedding: %+v", e)
	}
	sum := sha256.New()
	for _, name := range []string{ConfigFile, WeightsFile} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		must(t, err)
		sum.Write(b)
	}
	s, err := Open(dir, DefaultLimits())
	must(t, err)
	defer func() { must(t, s.Close()) }()
	if want := hex.EncodeToString(sum.Sum(nil)); spec.Digest != want {
		t.Errorf("digest %s, want %s", spec.Digest, want)
	} else if got, err := s.Digest(); err != nil || got != want {
		t.Errorf("Digest gives %s, %v", got, err)
	}
}

// TestSpecOfGGUF: rows are in the base's order already, A of the embedding lies turned, alpha is for all ranks; a file without alpha takes the
// factors as they are, as llama.cpp does.
func TestSpecOfGGUF(t *testing.T) {
	f := healthyGGUF()
	f.meta[keyInvocation] = []uint32{3, 1}
	spec, err := read(f.write(t))
	must(t, err)
	if got := scales(spec); got != "blk.0.attn_q r2 x2; token_embd r2 x2" || !slices.Equal(spec.Invocation, []int32{3, 1}) {
		t.Error(got, spec.Invocation)
	}
	q, e := spec.Deltas[0], spec.Deltas[1]
	if q.B[0] != 1 || q.B[2] != 3 || q.B[15] != 16 || e.A[1] != 3 || e.A[11] != 2 || e.A[21] != 22 || e.B[1] != 2 {
		t.Errorf("%v %v %v", q.B, e.A, e.B)
	}
	delete(f.meta, keyAlpha)
	if spec, err = read(f.write(t)); err != nil || spec.Deltas[0].Scale != 1 {
		t.Errorf("%s, %v", scales(spec), err)
	}
}

// TestSourceSays: what is told of an adapter whose factors were not read.
func TestSourceSays(t *testing.T) {
	f := healthy()
	f.set("rank_pattern", map[string]int{"down_proj": 3})
	for _, layer := range []string{"0", "1"} {
		f.reshape(inLayer+layer+".mlp.down_proj.lora_A.weight", 3, 12)
		f.reshape(inLayer+layer+".mlp.down_proj.lora_B.weight", 8, 3)
	}
	s, err := Open(f.write(t), DefaultLimits())
	must(t, err)
	defer func() { must(t, s.Close()) }()
	if got := fmt.Sprintf("%s %s %v %d %d %v %v %v", s.Format, s.BaseName, s.Ranks, s.Targets, s.Parameters, s.DoRA, s.Bias, s.Invocation); got != "peft someone/tiny [2 3] 4 184 false false []" {
		t.Error(got)
	}
	g, err := Open(healthyGGUF().write(t), DefaultLimits())
	must(t, err)
	defer func() { must(t, g.Close()) }()
	if got := fmt.Sprintf("%s %s %s %v %d %d", g.Format, g.BaseName, g.Architecture, g.Ranks, g.Targets, g.Parameters); got != "gguf Tiny llama [2] 2 70" {
		t.Error(got)
	}
}
