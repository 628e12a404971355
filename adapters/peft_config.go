package adapters

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/weft-run/weft/runtime/gguf/strictjson"
)

// peftConfig is what of adapter_config.json decides the result: peft.LoraConfig as of PEFT 0.21.
type peftConfig struct {
	baseName   string
	rank       int
	alpha      float64
	stabilized bool // use_rslora
	ranks      []pattern
	alphas     []pattern
	included   moduleList // target_modules
	excluded   moduleList // exclude_modules
	layers     []int64    // layers_to_transform; nil: all
	layerNames []*regexp.Regexp
	bias       string
	dora       bool
	invocation []int32
}

// pattern is one entry of rank_pattern or alpha_pattern.
type pattern struct {
	module *regexp.Regexp
	value  float64
}

// moduleList is target_modules or exclude_modules: names, or one expression that matches a module's whole name. The zero moduleList is one that is
// not there.
type moduleList struct {
	names []string
	whole *regexp.Regexp
	// all is the word "all-linear", which PEFT replaces by names before it saves; it leaves the head out.
	all bool
}

// configDepth and configValues bound adapter_config.json: it is flat but for its patterns and the settings of some initializations.
const (
	configDepth  = 8
	configValues = 1 << 16
)

// harmless are the keys that do not change what a trained adapter computes: how it was trained, initialized and saved. fan_in_fan_out
// is among them: it says how the base keeps its own weight, while A and B always are [rank, inputs] and [outputs, rank].
var harmless = []string{
	"arrow_config_path", "auto_mapping", "corda_config", "eva_config", "fan_in_fan_out", "inference_mode", "lora_dropout", "lora_ga_config", "loftq_config",
	"megatron_config", "megatron_core", "peft_version", "qalora_group_size", "revision", "runtime_config", "task_type", "velora_config",
}

// unsupportedKeys are the keys that change what is computed, in ways that are not computed here, when they are set.
var unsupportedKeys = map[string]string{
	"modules_to_save":         "modules trained whole",
	"trainable_token_indices": "tokens trained whole",
	"layer_replication":       "layers repeated",
	"lora_bias":               "a bias of B",
	"target_parameters":       "factors of parameters that are no module",
	"use_bdlora":              "block-diagonal factors",
	"use_qalora":              "pooled inputs",
	"arrow_config":            "routing between adapters",
	"kasa_config":             "a truncated base and a diagonal between the factors",
	"monteclora_config":       "sampling over factors",
	"ensure_weight_tying":     "one pair of factors for embedding and head",
}

// parseConfig reads adapter_config.json. What it does not know and what is not neutral (null, false, empty) is refused by name.
func parseConfig(text []byte, lim Limits) (*peftConfig, error) {
	if len(text) == 0 {
		return nil, refuse(ErrTruncated, "%s is empty", ConfigFile)
	}
	if err := strictjson.CheckObject(text, strictjson.Limits{Depth: configDepth, Values: configValues}); err != nil {
		return nil, refuse(ErrFormat, "%s: %v", ConfigFile, err)
	}
	r := &configReader{lim: lim}
	if err := json.Unmarshal(text, &r.fields); err != nil {
		return nil, refuse(ErrFormat, "%s: %v", ConfigFile, err)
	}
	c := &peftConfig{}
	// Of another method the other keys mean something else.
	var kind string
	r.text("peft_type", &kind)
	if r.err == nil && kind != "LORA" {
		return nil, refuse(ErrUnsupported, "%s: peft_type is %q, and only LORA is computed", ConfigFile, kind)
	}
	c.bias = "none"
	r.text("base_model_name_or_path", &c.baseName)
	r.text("bias", &c.bias)
	r.bool("use_rslora", &c.stabilized)
	r.bool("use_dora", &c.dora)
	rank := r.number("r", 8)
	c.alpha = r.number("lora_alpha", 8)
	c.ranks, c.alphas = r.patterns("rank_pattern"), r.patterns("alpha_pattern")
	c.included, c.excluded = r.modules("target_modules"), r.modules("exclude_modules")
	c.layers, c.layerNames = r.layers()
	c.invocation = r.tokens("alora_invocation_tokens")
	r.initialization()
	r.rest()
	switch {
	case r.err != nil:
		return nil, r.err
	case c.bias != "none" && c.bias != "all" && c.bias != "lora_only":
		return nil, refuse(ErrFormat, "%s: bias is %q, want none, all or lora_only", ConfigFile, c.bias)
	case c.layers != nil && c.included.names == nil:
		return nil, refuse(ErrFormat, "%s: layers_to_transform needs target_modules to be a list", ConfigFile)
	case c.invocation != nil && c.dora:
		return nil, refuse(ErrUnsupported, "%s: an activated adapter (alora_invocation_tokens) with use_dora", ConfigFile)
	}
	for _, p := range append([]pattern{{value: rank}}, c.ranks...) {
		if p.value != math.Trunc(p.value) || p.value < 1 || p.value > float64(lim.Rank) {
			return nil, refuse(ErrFormat, "%s: a rank is %v, want a whole number from 1 to %d", ConfigFile, p.value, lim.Rank)
		}
	}
	for _, p := range append([]pattern{{value: c.alpha}}, c.alphas...) {
		if !(p.value > 0 && p.value <= math.MaxFloat32) {
			return nil, refuse(ErrFormat, "%s: an alpha is %v, want a positive number", ConfigFile, p.value)
		}
	}
	c.rank = int(rank)
	return c, nil
}

// targets says whether PEFT gives factors to a module: its own rules, in their order.
func (c *peftConfig) targets(module string) bool {
	if c.excluded.has(module) {
		return false
	}
	if !c.included.has(module) {
		return false
	}
	if c.layers == nil || slices.Contains(c.included.names, module) {
		return true
	}
	for _, name := range c.layerNames {
		if m := name.FindStringSubmatch(module); m != nil {
			return slices.ContainsFunc(c.layers, func(n int64) bool { return fmt.Sprint(n) == m[len(m)-1] })
		}
	}
	return false
}

func (l *moduleList) has(module string) bool {
	switch {
	case l.all:
		return module != "lm_head"
	case l.whole != nil:
		return l.whole.MatchString(module)
	}
	return slices.ContainsFunc(l.names, func(name string) bool { return module == name || strings.HasSuffix(module, "."+name) })
}

// scale is the rank that the configuration gives a module, and by what its product is multiplied.
func (c *peftConfig) scale(module string) (int, float32) {
	rank, alpha := float64(c.rank), c.alpha
	first := func(list []pattern, value *float64) {
		for _, p := range list {
			if p.module.MatchString(module) {
				*value = p.value
				return
			}
		}
	}
	first(c.ranks, &rank)
	first(c.alphas, &alpha)
	if c.stabilized {
		return int(rank), float32(alpha / math.Sqrt(rank))
	}
	return int(rank), float32(alpha / rank)
}
