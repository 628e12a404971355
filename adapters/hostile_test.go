package adapters

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/runtime/gguf/safetensors"
)

const (
	q0a = inLayer + "0.self_attn.q_proj.lora_A.weight"
	q0b = inLayer + "0.self_attn.q_proj.lora_B.weight"
)

// TestHostileFolders: each damaged, malicious or unsupported PEFT folder (H20 to H25) is refused by its class, with words of its own that
// name the tensor or the key.
func TestHostileFolders(t *testing.T) {
	all := func(f *folder) []safetensors.TensorData { return f.tensors }
	for name, c := range map[string]struct {
		change func(f *folder)
		class  error
		want   string
	}{
		// H20: pairs, ranks, alphas.
		"H20 A without B":          {func(f *folder) { f.drop(q0b) }, ErrFormat, `tensor "` + q0a + `" has no lora_B`},
		"H20 B without A":          {func(f *folder) { f.drop(q0a) }, ErrFormat, `tensor "` + q0b + `" has no lora_A`},
		"H20 ranks differ":         {func(f *folder) { f.reshape(q0a, 3, 8) }, ErrFormat, "has the rank 3, and"},
		"H20 rank of a pattern":    {func(f *folder) { f.set("rank_pattern", map[string]int{"q_proj": 4}) }, ErrFormat, `the rank 4, but tensor "` + q0a + `" has 2`},
		"H20 rank 0":               {func(f *folder) { f.set("r", 0) }, ErrFormat, "a rank is 0, want a whole number from 1 to 1024"},
		"H20 rank 10^6":            {func(f *folder) { f.set("r", 1_000_000) }, ErrFormat, "a rank is 1e+06"},
		"H20 rank 10^6 in tensors": {func(f *folder) { f.reshape(q0a, 1_000_000, 1); f.reshape(q0b, 1, 1_000_000) }, ErrFormat, "has the rank 1000000, the limit is 1024"},
		"H20 rank negative":        {func(f *folder) { f.set("r", -1) }, ErrFormat, "a rank is -1"},
		"H20 rank 1.5":             {func(f *folder) { f.set("r", 1.5) }, ErrFormat, "a rank is 1.5"},
		"H20 rank text":            {func(f *folder) { f.set("r", "2") }, ErrFormat, `r: it is "2", want a number`},
		"H20 alpha 0":              {func(f *folder) { f.set("lora_alpha", 0) }, ErrFormat, "an alpha is 0, want a positive number"},
		"H20 alpha negative":       {func(f *folder) { f.set("lora_alpha", -4) }, ErrFormat, "an alpha is -4"},
		"H20 alpha NaN":            {func(f *folder) { f.raw = `{"peft_type":"LORA","lora_alpha":NaN}` }, ErrFormat, "invalid character 'N'"},
		"H20 alpha 1e300":          {func(f *folder) { f.set("lora_alpha", 1e300) }, ErrFormat, "an alpha is 1e+300"},
		"H20 alpha 1e999":          {func(f *folder) { f.raw = `{"peft_type":"LORA","lora_alpha":1e999}` }, ErrFormat, "lora_alpha: it is 1e999"},
		"H20 alpha of a pattern 0": {func(f *folder) { f.set("alpha_pattern", map[string]int{"q_proj": 0}) }, ErrFormat, "an alpha is 0"},
		"H20 A of one dimension":   {func(f *folder) { f.reshape(q0a, 16) }, ErrFormat, "are not two matrices"},
		"H20 A of three":           {func(f *folder) { f.reshape(q0a, 2, 8, 1) }, ErrFormat, "are not two matrices"},
		"H20 A infinite":           {func(f *folder) { f.tensors[0].Values[3] = float32(math.Inf(1)) }, ErrFormat, "infinite or not a number"},
		"H20 B no number":          {func(f *folder) { f.tensors[1].Values[3] = float32(math.NaN()) }, ErrFormat, "infinite or not a number"},

		// H21, H22: another base.
		"H21 one layer too deep": {func(f *folder) {
			f.rename(q0a, inLayer+"2.self_attn.q_proj.lora_A.weight")
			f.rename(q0b, inLayer+"2.self_attn.q_proj.lora_B.weight")
		}, ErrUnfit, `1 of its 4 modules are none of the base: "` + inLayer + `2.self_attn.q_proj.lora_A.weight"; made for another base?`},
		"H21 other widths": {func(f *folder) { f.reshape(q0a, 2, 16); f.reshape(q0b, 16, 2) }, ErrUnfit, `"` + q0a + `" is [2 16], want [2 8], "` + q0b + `" is [16 2], want [8 2]; made for another base?`},
		"H21 other architecture": {func(f *folder) {
			for i := range f.tensors {
				f.tensors[i].Name = strings.Replace(f.tensors[i].Name, "model.layers.", "transformer.h.", 1)
			}
		}, ErrUnfit, "none of its 4 modules is one of the base"},
		"H21 no such module": {func(f *folder) {
			f.set("target_modules", []string{"q_proj", "down_proj", "rotary"})
			f.tensor(inLayer+"0.self_attn.rotary.lora_A.weight", 2, 8)
			f.tensor(inLayer+"0.self_attn.rotary.lora_B.weight", 8, 2)
		}, ErrUnfit, "1 of its 5 modules are none of the base"},
		"H21 token outside":  {func(f *folder) { f.set("alora_invocation_tokens", []int{3, 11}) }, ErrUnfit, "invocation token 11 is not one of the base's vocabulary of 11"},
		"H22 nothing in it":  {func(f *folder) { f.tensors = []safetensors.TensorData{} }, ErrFormat, WeightsFile + " has no tensors"},
		"H22 nothing aimed":  {func(f *folder) { f.set("target_modules", []string{"k_proj"}) }, ErrFormat, "4 modules have factors and are not among those that adapter_config.json targets"},
		"H22 excluded":       {func(f *folder) { f.set("exclude_modules", "model\\.layers\\.1\\..*") }, ErrFormat, "2 modules have factors and are not among those"},
		"H22 other layers":   {func(f *folder) { f.set("layers_to_transform", 0) }, ErrFormat, "2 modules have factors and are not among those"},
		"H22 layers and all": {func(f *folder) { f.set("layers_to_transform", 0); f.set("target_modules", "all-linear") }, ErrFormat, "layers_to_transform needs target_modules to be a list"},

		// H23: names and expressions.
		"H23 layer 2^32-1": {func(f *folder) {
			f.rename(q0a, inLayer+"4294967295.self_attn.q_proj.lora_A.weight")
			f.rename(q0b, inLayer+"4294967295.self_attn.q_proj.lora_B.weight")
		}, ErrUnfit, "4294967295.self_attn"},
		"H23 layer with a sign": {func(f *folder) {
			f.rename(q0a, inLayer+"+0.self_attn.q_proj.lora_A.weight")
			f.rename(q0b, inLayer+"+0.self_attn.q_proj.lora_B.weight")
		}, ErrUnfit, "are none of the base"},
		"H23 expression bomb":   {func(f *folder) { f.set("target_modules", "((((((a{0,100}){0,100}){0,100}){0,100}){0,100}){0,100})") }, ErrUnsupported, "target_modules: the expression"},
		"H23 repetitions":       {func(f *folder) { f.set("target_modules", strings.Repeat("a{1000}", 500)) }, ErrFormat, "are programs of 500"},
		"H23 long expression":   {func(f *folder) { f.set("target_modules", strings.Repeat("a|", 3000)) }, ErrFormat, "target_modules: an expression has 6000 bytes, the limit is 4096"},
		"H23 looks behind":      {func(f *folder) { f.set("rank_pattern", map[string]int{"(?<=a)q_proj": 2}) }, ErrUnsupported, "rank_pattern: the expression"},
		"H23 closes a bracket":  {func(f *folder) { f.set("alpha_pattern", map[string]int{"a)|(b": 2}) }, ErrUnsupported, "alpha_pattern: the expression"},
		"H23 too many patterns": {func(f *folder) { f.set("rank_pattern", manyPatterns(4097)) }, ErrFormat, "rank_pattern: 4097 patterns, the limit is 4096"},
		"H23 too many names":    {func(f *folder) { f.set("target_modules", strings.Split(strings.Repeat("a,", 4097), ",")) }, ErrFormat, "target_modules: 4098 names"},

		// H24: the configuration.
		"H24 no JSON":         {func(f *folder) { f.raw = "r: 8" }, ErrFormat, "adapter_config.json: not acceptable as JSON"},
		"H24 a list":          {func(f *folder) { f.raw = "[]" }, ErrFormat, "want an object"},
		"H24 a key twice":     {func(f *folder) { f.raw = `{"peft_type":"LORA","r":2,"r":8}` }, ErrFormat, `key "r" is there twice`},
		"H24 a pattern twice": {func(f *folder) { f.raw = `{"peft_type":"LORA","rank_pattern":{"q":2,"q":4}}` }, ErrFormat, `key "q" is there twice`},
		"H24 deep":            {func(f *folder) { f.raw = `{"a":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + "}" }, ErrFormat, "depth"},
		"H24 rather deep":     {func(f *folder) { f.raw = `{"a":` + strings.Repeat("[", 20) + strings.Repeat("]", 20) + "}" }, ErrFormat, "nested more than 8 deep"},
		"H24 1 MB and more":   {func(f *folder) { f.raw = `{"a":"` + strings.Repeat("x", 1<<20) + `"}` }, ErrFormat, "adapter_config.json has 1048584 bytes, the limit is 1048576"},
		"H24 many values":     {func(f *folder) { f.raw = `{"a":[` + strings.Repeat("0,", 1<<16) + `0]}` }, ErrFormat, "more than 65536 values"},
		"H24 pattern a list":  {func(f *folder) { f.set("rank_pattern", []int{1}) }, ErrFormat, "rank_pattern: it is [1], want an object of numbers"},
		"H24 pattern null":    {func(f *folder) { f.raw = `{"peft_type":"LORA","rank_pattern":{"q_proj":null}}` }, ErrFormat, "rank_pattern: it is"},
		"H24 targets numbers": {func(f *folder) { f.set("target_modules", []int{1}) }, ErrFormat, "target_modules: it is [1]"},
		"H24 layers text":     {func(f *folder) { f.set("layers_to_transform", "all") }, ErrFormat, `layers_to_transform: it is ["all"]`},
		"H24 bias unknown":    {func(f *folder) { f.set("bias", "some") }, ErrFormat, `bias is "some", want none, all or lora_only`},
		"H24 rslora text":     {func(f *folder) { f.set("use_rslora", "yes") }, ErrFormat, `use_rslora: it is "yes", want true or false`},
		"H24 tokens negative": {func(f *folder) { f.set("alora_invocation_tokens", []int{-1}) }, ErrFormat, "alora_invocation_tokens: want at most"},
		"H24 dora, no norms":  {func(f *folder) { f.set("use_dora", true) }, ErrFormat, "has no lora_magnitude_vector beside it"},
		"H24 norms, no dora":  {func(f *folder) { f.tensor(inLayer+"0.self_attn.q_proj.lora_magnitude_vector", 8) }, ErrFormat, "is of DoRA, but use_dora is false"},
		"H24 norms alone": {func(f *folder) {
			f.tensors = nil
			f.tensor(inLayer+"0.self_attn.q_proj.lora_magnitude_vector", 8)
		}, ErrFormat, "has no factors beside it"},
		"H24 norms twice": {func(f *folder) {
			f.tensor(inLayer+"0.self_attn.q_proj.lora_magnitude_vector", 8)
			f.tensor(inLayer+"0.self_attn.q_proj.lora_magnitude_vector.weight", 8)
		}, ErrFormat, "are the same of one module"},
		"H24 bias, and none":      {func(f *folder) { f.tensor(inLayer+"0.self_attn.q_proj.bias", 8) }, ErrFormat, `is a bias, but bias is "none"`},
		"H24 bias, and lora_only": {func(f *folder) { f.set("bias", "lora_only"); f.tensor(inLayer+"0.self_attn.v_proj.bias", 4) }, ErrFormat, `has no factors beside it, and bias is "lora_only"`},
		"H24 bias, base has none": {func(f *folder) { f.set("bias", "all"); f.tensor(inLayer+"0.self_attn.q_proj.bias", 8) }, ErrUnfit, "1 biases belong to weights to which the base adds none"},

		// H25: what is not computed, by name, with the tensors that show it.
		"H25 modules_to_save": {func(f *folder) {
			f.set("modules_to_save", []string{"lm_head"})
			f.tensor("base_model.model.lm_head.weight", 11, 8)
		}, ErrUnsupported, `modules_to_save: modules trained whole (["lm_head"]); it shows in the tensors "base_model.model.lm_head.weight"`},
		"H25 whole embedding": {func(f *folder) { f.tensor("base_model.model.model.embed_tokens.weight", 11, 8) }, ErrUnsupported, `1 weights were trained or saved whole`},
		"H25 saved along":     {func(f *folder) { f.tensor("base_model.model.lm_head.base_layer.weight", 11, 8) }, ErrUnsupported, "save_embedding_layers=False"},
		"H25 IA3": {func(f *folder) {
			f.set("peft_type", "IA3")
			f.tensor(inLayer+"0.mlp.down_proj.ia3_l", 1, 12)
		}, ErrUnsupported, `peft_type is "IA3", and only LORA is computed; it shows in the tensors "` + inLayer + `0.mlp.down_proj.ia3_l"`},
		"H25 LoHa":                 {func(f *folder) { f.set("peft_type", "LOHA"); f.tensor(inLayer+"0.mlp.down_proj.hada_w1_a", 8, 2) }, ErrUnsupported, `peft_type is "LOHA"`},
		"H25 prompt tuning":        {func(f *folder) { f.set("peft_type", "PROMPT_TUNING"); f.tensor("prompt_embeddings", 4, 8) }, ErrUnsupported, `it shows in the tensors "prompt_embeddings"`},
		"H25 IA3 in tensors alone": {func(f *folder) { f.tensor(inLayer+"0.mlp.down_proj.ia3_l", 1, 12) }, ErrUnsupported, `1 tensors are no factors of LoRA: "` + inLayer + `0.mlp.down_proj.ia3_l"`},
		"H25 no peft_type":         {func(f *folder) { delete(f.config, "peft_type") }, ErrUnsupported, `peft_type is ""`},
		"H25 lora_bias": {func(f *folder) {
			f.set("lora_bias", true)
			f.tensor(inLayer+"0.self_attn.q_proj.lora_B.bias", 8)
		}, ErrUnsupported, `lora_bias: a bias of B (true); it shows in the tensors`},
		"H25 layer_replication":  {func(f *folder) { f.set("layer_replication", [][]int{{0, 1}, {0, 2}}) }, ErrUnsupported, "layer_replication: layers repeated"},
		"H25 trainable tokens":   {func(f *folder) { f.set("trainable_token_indices", []int{3}) }, ErrUnsupported, "trainable_token_indices: tokens trained whole"},
		"H25 target_parameters":  {func(f *folder) { f.set("target_parameters", []string{"experts.up"}) }, ErrUnsupported, "target_parameters"},
		"H25 weight tying":       {func(f *folder) { f.set("ensure_weight_tying", true) }, ErrUnsupported, "ensure_weight_tying"},
		"H25 QALoRA":             {func(f *folder) { f.set("use_qalora", true) }, ErrUnsupported, "use_qalora"},
		"H25 a key of tomorrow":  {func(f *folder) { f.set("use_quantum", map[string]int{"n": 1}) }, ErrUnsupported, `use_quantum: it is not known, set to {"n":1}, and may change what is computed`},
		"H25 PiSSA":              {func(f *folder) { f.set("init_lora_weights", "pissa_niter_4") }, ErrUnsupported, "pissa_niter_4 changes the base's own weights"},
		"H25 initialization":     {func(f *folder) { f.set("init_lora_weights", "newest") }, ErrUnsupported, `init_lora_weights: "newest" is not known`},
		"H25 initialization a 1": {func(f *folder) { f.set("init_lora_weights", 1) }, ErrFormat, "init_lora_weights: it is 1"},
		"H25 DoRA of embeddings": {func(f *folder) {
			f.set("use_dora", true)
			f.set("target_modules", []string{"embed_tokens"})
			f.tensors = nil
			f.tensor("base_model.model.model.embed_tokens.lora_embedding_A", 2, 11)
			f.tensor("base_model.model.model.embed_tokens.lora_embedding_B", 8, 2)
			f.tensor("base_model.model.model.embed_tokens.lora_magnitude_vector", 8)
		}, ErrUnsupported, "DoRA of an embedding"},
		"H25 integers":         {func(f *folder) { f.weights = integers() }, ErrUnsupported, `1 tensors have a type other than F32, F16 and BF16: "` + q0a + `" is I8`},
		"H25 other prefix":     {func(f *folder) { f.rename(q0a, "transformer.q_proj.lora_A.weight") }, ErrUnsupported, `"transformer.q_proj.lora_A.weight"`},
		"H25 an adapter named": {func(f *folder) { f.rename(q0a, inLayer+"0.self_attn.q_proj.lora_A.default.weight") }, ErrUnsupported, "trained or saved whole"},
		"cut weights":          {func(f *folder) { f.weights = []byte{1, 2, 3} }, ErrTruncated, WeightsFile + ": the file has 3 bytes"},
		"malformed weights":    {func(f *folder) { f.weights = []byte("\x02\x00\x00\x00\x00\x00\x00\x00{}xx") }, ErrFormat, WeightsFile + ": 2 bytes behind the last tensor"},
	} {
		f := healthy()
		c.change(f)
		if len(all(f)) == 0 && f.weights == nil {
			f.weights = []byte("\x02\x00\x00\x00\x00\x00\x00\x00{}")
		}
		_, err := read(f.write(t))
		if !errors.Is(err, c.class) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %v: %q", name, err, c.class, c.want)
		}
	}
}

func manyPatterns(n int) map[string]int {
	list := map[string]int{}
	for i := range n {
		list[fmt.Sprint(i)] = 2
	}
	return list
}

// integers is a file whose A is one of int8.
func integers() []byte {
	header, _ := json.Marshal(map[string]any{q0a: map[string]any{"dtype": "I8", "shape": []int{2, 8}, "data_offsets": []int{0, 16}}})
	return append(append([]byte{byte(len(header)), 0, 0, 0, 0, 0, 0, 0}, header...), make([]byte, 16)...)
}

// TestHostileGGUFAdapters: the same for GGUF adapters (H20 to H25); what every GGUF file must hold is runtime/gguf's.
func TestHostileGGUFAdapters(t *testing.T) {
	for name, c := range map[string]struct {
		change func(f *ggufFile)
		class  error
		want   string
	}{
		"H20 A without B": {func(f *ggufFile) { f.tensors = f.tensors[:3] }, ErrFormat, `tensor "token_embd.weight.lora_a" has no lora_B`},
		"H20 B without A": {func(f *ggufFile) { f.tensors = f.tensors[1:] }, ErrFormat, `tensor "blk.0.attn_q.weight.lora_b" has no lora_A`},
		"H20 ranks differ": {func(f *ggufFile) {
			f.tensors = nil
			f.tensor("blk.0.attn_q.weight.lora_a", 8, 3)
			f.tensor("blk.0.attn_q.weight.lora_b", 2, 8)
		}, ErrFormat, "has the rank 3"},
		"H20 embedding turned": {func(f *ggufFile) {
			f.tensors = nil
			f.tensor("token_embd.weight.lora_a", 11, 2)
			f.tensor("token_embd.weight.lora_b", 2, 8)
		}, ErrFormat, "has the rank 11"},
		"H20 alpha NaN":       {func(f *ggufFile) { f.meta[keyAlpha] = float32(math.NaN()) }, ErrFormat, `key "adapter.lora.alpha" is NaN`},
		"H20 alpha 0":         {func(f *ggufFile) { f.meta[keyAlpha] = float32(0) }, ErrFormat, `key "adapter.lora.alpha" is 0`},
		"H20 alpha infinite":  {func(f *ggufFile) { f.meta[keyAlpha] = float32(math.Inf(1)) }, ErrFormat, `is +Inf, want a positive number`},
		"H20 alpha text":      {func(f *ggufFile) { f.meta[keyAlpha] = "4" }, ErrFormat, `key "adapter.lora.alpha" is string`},
		"H21 architecture":    {func(f *ggufFile) { f.meta[keyArch] = "qwen2" }, ErrUnfit, `made for the architecture "qwen2", and the base is "llama"`},
		"H21 no architecture": {func(f *ggufFile) { delete(f.meta, keyArch) }, ErrFormat, `key "general.architecture" is missing`},
		"H21 other widths": {func(f *ggufFile) {
			f.tensors = nil
			f.tensor("blk.0.attn_q.weight.lora_a", 16, 2)
			f.tensor("blk.0.attn_q.weight.lora_b", 2, 16)
		}, ErrUnfit, `"blk.0.attn_q.weight.lora_a" is [2 16], want [2 8]`},
		"H22 no tensors": {func(f *ggufFile) { f.tensors = nil }, ErrFormat, "the file has no tensors"},
		"H22 none matched": {func(f *ggufFile) {
			f.tensors = nil
			f.tensor("blk.7.attn_q.weight.lora_a", 8, 2)
			f.tensor("blk.7.attn_q.weight.lora_b", 2, 8)
		}, ErrUnfit, "none of its 1 modules is one of the base"},
		"H23 blk.4294967295.": {func(f *ggufFile) {
			f.tensor("blk.4294967295.attn_q.weight.lora_a", 8, 2)
			f.tensor("blk.4294967295.attn_q.weight.lora_b", 2, 8)
		}, ErrUnfit, `1 of its 3 modules are none of the base: "blk.4294967295.attn_q.weight.lora_a"`},
		"H25 a norm":           {func(f *ggufFile) { f.tensor("blk.0.attn_norm.weight", 8) }, ErrUnsupported, `1 tensors are no factors of LoRA: "blk.0.attn_norm.weight"`},
		"H25 a control vector": {func(f *ggufFile) { f.meta[keyKind] = "control_vector" }, ErrUnsupported, `key "adapter.type" is "control_vector"`},
		"H25 a model":          {func(f *ggufFile) { f.meta[keyType] = "model" }, ErrFormat, `key "general.type" is "model", want "adapter"`},
		"H25 no type":          {func(f *ggufFile) { delete(f.meta, keyType) }, ErrFormat, `key "general.type" is ""`},
		"H25 split":            {func(f *ggufFile) { f.meta["split.count"] = uint16(2); f.meta["split.no"] = uint16(0) }, ErrUnsupported, "an adapter in 2 files"},
		"H25 no tokens":        {func(f *ggufFile) { f.meta[keyInvocation] = []uint32{} }, ErrFormat, "has 0 tokens"},
		"H25 token 2^32-1":     {func(f *ggufFile) { f.meta[keyInvocation] = []uint32{math.MaxUint32} }, ErrFormat, keyInvocation},
		"H25 tokens floats":    {func(f *ggufFile) { f.meta[keyInvocation] = []float32{1} }, ErrFormat, keyInvocation},
		"H25 token outside":    {func(f *ggufFile) { f.meta[keyInvocation] = []uint32{11} }, ErrUnfit, "invocation token 11"},
		"integers": {func(f *ggufFile) {
			f.tensors[0].Type, f.tensors[0].Data = quant.Type(24), make([]byte, 16)
		}, ErrUnsupported, `1 tensors have a type that is not decoded: "blk.0.attn_q.weight.lora_a"`},
		"H20 infinite": {func(f *ggufFile) { quant.Encode(quant.F32, f.tensors[0].Data[:4], []float32{float32(math.Inf(-1))}) }, ErrFormat, "infinite or not a number"},
	} {
		f := healthyGGUF()
		c.change(f)
		_, err := read(f.write(t))
		if !errors.Is(err, c.class) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %v: %q", name, err, c.class, c.want)
		}
	}
	// A file that is cut is waited for.
	whole := healthyGGUF().bytes(t)
	for _, n := range []int{0, 3, 100, len(whole) - 1} {
		path := filepath.Join(t.TempDir(), "cut.gguf")
		must(t, os.WriteFile(path, whole[:n], 0o600))
		if _, err := read(path); !errors.Is(err, ErrTruncated) {
			t.Errorf("cut at %d: %v", n, err)
		}
	}
}

// TestH29OnlyRegularFiles: what is no regular file is refused without waiting; symlinks that the operator put there are followed.
func TestH29OnlyRegularFiles(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	file := healthyGGUF().write(t)
	folder := healthy().write(t)
	must(t, os.Symlink(file, path("link.gguf")))
	must(t, os.Symlink(folder, path("folder")))
	must(t, os.Mkdir(path("links"), 0o700))
	for _, name := range []string{ConfigFile, WeightsFile} {
		must(t, os.Symlink(filepath.Join(folder, name), path("links/"+name)))
	}
	must(t, os.Link(file, path("hard.gguf")))
	for _, name := range []string{"link.gguf", "folder", "links", "hard.gguf"} {
		if _, err := read(path(name)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	must(t, syscall.Mkfifo(path("fifo.gguf"), 0o600))
	must(t, os.Symlink("/dev/null", path("device.gguf")))
	must(t, os.Symlink("/dev/zero", path("zero.gguf")))
	must(t, os.Symlink(path("fifo.gguf"), path("to-fifo.gguf")))
	must(t, os.Mkdir(path("fifos"), 0o700))
	must(t, syscall.Mkfifo(path("fifos/"+ConfigFile), 0o600))
	must(t, os.Mkdir(path("folders"), 0o700))
	must(t, os.MkdirAll(path("folders/"+ConfigFile), 0o700))
	for _, name := range []string{"fifo.gguf", "device.gguf", "zero.gguf", "to-fifo.gguf", "fifos", "folders"} {
		if _, err := read(path(name)); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "is not a regular file") {
			t.Errorf("%s: %v", name, err)
		}
	}
	must(t, os.Symlink(path("loop.gguf"), path("loop.gguf")))
	must(t, os.Symlink(path("nowhere"), path("dangling.gguf")))
	for _, name := range []string{"loop.gguf", "dangling.gguf", "absent"} {
		if _, err := read(path(name)); err == nil {
			t.Errorf("%s is read", name)
		}
	}
	for _, name := range []string{"..", ".", ".hidden.gguf", `a\b.gguf`, "a\x00b.gguf", "a\nb.gguf", "\xff.gguf"} {
		if _, err := read(dir + "/" + name); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "the name") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// TestFolderIsOneGeneration: a folder that lacks a file is not complete; one whose weights are written while they are read gives no spec; one whose
// files are replaced after it was opened gives what was opened.
func TestFolderIsOneGeneration(t *testing.T) {
	for _, name := range []string{ConfigFile, WeightsFile} {
		dir := healthy().write(t)
		must(t, os.Remove(filepath.Join(dir, name)))
		if _, err := read(dir); !errors.Is(err, ErrTruncated) {
			t.Errorf("without %s: %v", name, err)
		}
	}
	dir := healthy().write(t)
	s, err := Open(dir, DefaultLimits())
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	want, err := specOf(s, "llama", tinyTargets())
	must(t, err)
	other := healthy()
	other.tensors[0].Values[0] = 99
	for _, name := range []string{ConfigFile, WeightsFile} {
		must(t, os.Rename(filepath.Join(other.write(t), name), filepath.Join(dir, name)))
	}
	if got, err := specOf(s, "llama", tinyTargets()); err != nil || got.Digest != want.Digest {
		t.Errorf("after a rename: %q, %v, want %q", got.Digest, err, want.Digest)
	}
	s2, err := Open(dir, DefaultLimits())
	must(t, err)
	t.Cleanup(func() { must(t, s2.Close()) })
	write := func(what ...byte) func(path string) error {
		return func(path string) error {
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteAt(what, 700)
			return errors.Join(err, f.Close())
		}
	}
	for _, damage := range []func(path string) error{
		write(1),
		write(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), // no number, and yet not what the file is refused for
		func(path string) error { return os.Truncate(path, 900) },
	} {
		must(t, damage(filepath.Join(dir, WeightsFile)))
		if _, err := specOf(s2, "llama", tinyTargets()); !errors.Is(err, ErrChanged) {
			t.Errorf("written in place: %v", err)
		}
		if _, err := s2.Digest(); !errors.Is(err, ErrChanged) {
			t.Errorf("written in place: %v", err)
		}
	}
}
