package config

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Model is a model's own settings, from the TOML file beside it.
type Model struct {
	Ctx         int    // tokens; 0: as the daemon's
	Parallel    int    // sequences; 0: as the daemon's
	KVType      string // "": as the daemon's
	Speculation string // "": as the daemon's
	// PrefixSharing is as the daemon's where it is nil.
	PrefixSharing *bool
	Draft         string // name of a smaller model with the same vocabulary that guesses ahead; "": none
	Template      string // chat template: Jinja text, or the name of one that the program has; "": the model's own
	Aliases       []string
	IdleUnload    time.Duration      // 0: as the daemon's; negative: never
	Pinned        bool               // never unloaded unasked
	Sampling      map[string]float64 // defaults by the name of the request's field
	// DefaultAdapters are applied where a request names none: "NAME" or "NAME@SCALE", in order.
	DefaultAdapters []string
}

// Adapter is an adapter's own settings, from the TOML file beside it or in its folder.
type Adapter struct {
	Base    string // the model that it is for; "": as its own files say
	Aliases []string
}

// adapterKeys are the keys of an adapter's file.
var adapterKeys = []string{"version", "base", "aliases"}

// ParseAdapter reads the text of an adapter's settings file.
func ParseAdapter(data []byte) (Adapter, error) {
	values, err := parseTOML(data)
	if err != nil {
		return Adapter{}, err
	}
	if err := migrate(values, nil); err != nil {
		return Adapter{}, err
	}
	var a Adapter
	base := setting{key: "base", to: &a.Base}
	for _, k := range sortedKeys(values) {
		switch v := values[k]; k {
		case "base":
			err = base.assign(v)
		case "aliases":
			a.Aliases, err = aliases(v)
		default:
			err = unknown("key", k, adapterKeys)
		}
		if err != nil {
			return Adapter{}, err
		}
	}
	return a, nil
}

// modelKeys are the keys of a model's file, the ones of later versions included.
var modelKeys = []string{"version", "ctx", "parallel", "kv_type", "speculation", "prefix_sharing", "draft", "template", "idle_unload", "pinned", "aliases", "sampling", "tokenizer", "retriever", "default_adapters"}

// laterModelKeys are keys of the contract that this version does not have yet.
var laterModelKeys = []string{"tokenizer", "retriever"}

// samplingLimits are the fields of [sampling] with their limits, both inclusive.
var samplingLimits = map[string][2]float64{
	"temperature":        {0, 100},
	"top_p":              {0, 1},
	"top_k":              {-1, math.MaxInt32},
	"min_p":              {0, 1},
	"typical_p":          {1e-6, 1},
	"repetition_penalty": {1e-3, 100},
	"repeat_last_n":      {-1, math.MaxInt32},
	"frequency_penalty":  {-2, 2},
	"presence_penalty":   {-2, 2},
	"max_tokens":         {1, math.MaxInt32},
	"seed":               {0, 1 << 53},
}

// wholeSampling are the fields of [sampling] that are whole numbers.
var wholeSampling = []string{"top_k", "repeat_last_n", "max_tokens", "seed"}

// ParseModel reads the text of a model's settings file.
func ParseModel(data []byte) (Model, error) {
	values, err := parseTOML(data)
	if err != nil {
		return Model{}, err
	}
	if err := migrate(values, nil); err != nil {
		return Model{}, err
	}
	var m Model
	table := map[string]setting{
		"ctx":         {key: "ctx", to: &m.Ctx, min: 1, max: math.MaxInt32},
		"parallel":    {key: "parallel", to: &m.Parallel, min: 1, max: 1024},
		"kv_type":     {key: "kv_type", to: &m.KVType, choices: kvTypes},
		"speculation": {key: "speculation", to: &m.Speculation, choices: speculations},
		"draft":       {key: "draft", to: &m.Draft},
		"template":    {key: "template", to: &m.Template},
		"idle_unload": {key: "idle_unload", to: &m.IdleUnload, min: 0, max: mostIdle},
		"pinned":      {key: "pinned", to: &m.Pinned},
	}
	for _, k := range sortedKeys(values) {
		v := values[k]
		switch s, simple := table[k]; {
		case simple:
			err = s.assign(v)
			if k == "idle_unload" && m.IdleUnload == 0 {
				m.IdleUnload = -1 // said, and so not the daemon's
			}
		case k == "prefix_sharing":
			m.PrefixSharing = new(bool)
			err = setting{key: k, to: m.PrefixSharing}.assign(v)
		case k == "aliases":
			m.Aliases, err = aliases(v)
		case k == "default_adapters":
			m.DefaultAdapters, err = names(k, v)
		case k == "sampling":
			m.Sampling, err = sampling(v)
		case slices.Contains(laterModelKeys, k):
			err = fmt.Errorf("key %q is %w; take it out to serve the model without it", k, ErrUnavailable)
		default:
			err = unknown("key", k, modelKeys)
		}
		if err != nil {
			return Model{}, err
		}
	}
	return m, nil
}

// aliases reads the other names of a model or an adapter.
func aliases(v any) ([]string, error) { return names("aliases", v) }

// names reads a list of names, each there once.
func names(key string, v any) ([]string, error) {
	list, ok := v.([]any)
	if !ok {
		return nil, fmt.Errorf("%s: %w", key, wrongType("a list of strings", v))
	}
	var names []string
	for _, e := range list {
		name, ok := e.(string)
		if !ok {
			return nil, fmt.Errorf("%s: %w", key, wrongType("a list of strings", v))
		}
		if name == "" || strings.ContainsFunc(name, func(r rune) bool { return r < 0x20 || r == 0x7f }) {
			return nil, fmt.Errorf("%s: %w: %q is not a name", key, ErrValue, name)
		}
		if slices.Contains(names, name) {
			return nil, fmt.Errorf("%s: %w: %q is listed twice", key, ErrValue, name)
		}
		names = append(names, name)
	}
	return names, nil
}

// sampling reads the table of sampling defaults.
func sampling(v any) (map[string]float64, error) {
	fields, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("sampling: %w", wrongType("a table", v))
	}
	defaults := map[string]float64{}
	for _, k := range sortedKeys(fields) {
		limits, ok := samplingLimits[k]
		if !ok {
			known := make([]string, 0, len(samplingLimits))
			for name := range samplingLimits {
				known = append(known, name)
			}
			return nil, fmt.Errorf("sampling: %w", unknown("key", k, known))
		}
		var x float64
		switch n := fields[k].(type) {
		case int64:
			x = float64(n)
		case float64:
			x = n
		default:
			return nil, fmt.Errorf("sampling.%s: %w", k, wrongType("a number", n))
		}
		if slices.Contains(wholeSampling, k) && x != math.Trunc(x) {
			return nil, fmt.Errorf("sampling.%s: %w", k, wrongType("a whole number", x))
		}
		if !(x >= limits[0] && x <= limits[1]) {
			return nil, fmt.Errorf("sampling.%s: %w: %v is outside %v to %v", k, ErrValue, x, limits[0], limits[1])
		}
		defaults[k] = x
	}
	return defaults, nil
}
