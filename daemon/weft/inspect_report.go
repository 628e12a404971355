package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/weft-run/weft/runtime/gguf"
)

// The keys that a report is about.
const (
	keyArchitecture = "general.architecture"
	keyTemplate     = "tokenizer.chat_template"
)

// kindVocabulary is the kind of a file without tensors.
const kindVocabulary = "vocabulary"

// report is what `weft inspect` finds in one FILE, and its --json. Lists are never null.
type report struct {
	Path         string         `json:"path"`    // as it was given
	Files        []string       `json:"files"`   // that are there, in the order of the split set
	Missing      []string       `json:"missing"` // files of the split set
	Bytes        int64          `json:"bytes"`
	Version      uint32         `json:"gguf_version,omitempty"` // 0: the header cannot be read
	HeaderDigest string         `json:"header_digest,omitempty"`
	Kind         string         `json:"kind,omitempty"` // "model", "vocabulary", or general.type: "adapter", ...
	Name         string         `json:"name,omitempty"`
	Architecture string         `json:"architecture,omitempty"`
	Quantization string         `json:"quantization,omitempty"` // the type that most bytes have
	Types        []typeTotal    `json:"types"`
	Parameters   uint64         `json:"parameters"`
	Context      int            `json:"context_tokens,omitempty"` // what the model was made for
	Shape        *shape         `json:"shape,omitempty"`          // where the metadata is that of a model Weft computes
	Vocabulary   *vocabulary    `json:"vocabulary,omitempty"`
	Template     *template      `json:"template,omitempty"`
	Memory       *memory        `json:"memory,omitempty"`
	Adapter      *adapterReport `json:"adapter,omitempty"`
	Served       bool           `json:"served"`   // nothing speaks against it
	Refusals     []string       `json:"refusals"` // why this version would not serve it
	Keys         []key          `json:"keys,omitempty"`
	Tensors      []tensor       `json:"tensors,omitempty"`
}

type typeTotal struct {
	Type       string `json:"type"`
	Tensors    int    `json:"tensors"`
	Bytes      uint64 `json:"bytes"`
	Computable bool   `json:"computable"`
}

type shape struct {
	Layers  int `json:"layers"`
	Width   int `json:"width"`
	Heads   int `json:"heads"`
	KVHeads int `json:"kv_heads"`
	HeadDim int `json:"head_dim"`
	FFN     int `json:"feed_forward"`
	Vocab   int `json:"vocabulary_rows"`
	Window  int `json:"window_tokens,omitempty"` // that a row sees; 0: all
}

type vocabulary struct {
	Model  string `json:"model"`
	Pre    string `json:"pre,omitempty"`
	Tokens int    `json:"tokens"`
	Known  bool   `json:"known"` // this version knows how the model and the pre-tokenizer split text
}

type template struct {
	Bytes    int      `json:"bytes"` // of the file's own; 0: it has none
	Named    []string `json:"named"` // further ones of the file, which are not used
	Usable   bool     `json:"usable"`
	Fallback string   `json:"fallback,omitempty"` // the one of the program that stands in
	Problem  string   `json:"problem,omitempty"`
}

type key struct {
	Key   string `json:"key"`
	Type  string `json:"type"`
	Value any    `json:"value,omitempty"` // absent for long arrays
	Count int    `json:"count,omitempty"` // of an array
}

type tensor struct {
	Name  string   `json:"name"`
	Type  string   `json:"type"`
	Dims  []uint64 `json:"dims"` // row length first
	Bytes uint64   `json:"bytes"`
}

// describe fills in what metadata and tensors say.
func (r *report) describe(meta gguf.Metadata, tensors []gguf.TensorInfo, o inspection) {
	// A key of the wrong kind is shown by --keys and judged by who needs it.
	str := func(key, def string) string {
		s, err := meta.Str(key, def)
		if err != nil {
			return def
		}
		return s
	}
	r.Name, r.Architecture = str("general.name", ""), str(keyArchitecture, "")
	r.Kind = str("general.type", "model")
	if len(tensors) == 0 {
		r.Kind = kindVocabulary
	}
	if n, err := meta.Uint(r.Architecture+".context_length", 0); err == nil && n <= math.MaxInt {
		r.Context = int(n)
	}
	r.Template = &template{Bytes: len(str(keyTemplate, "")), Named: []string{}}
	for _, key := range meta.Keys() {
		if name, ok := strings.CutPrefix(key, keyTemplate+"."); ok {
			r.Template.Named = append(r.Template.Named, name)
		}
	}
	if tokens, err := meta.Strings("tokenizer.ggml.tokens"); err == nil && len(tokens) > 0 {
		r.Vocabulary = &vocabulary{Model: str("tokenizer.ggml.model", ""), Pre: str("tokenizer.ggml.pre", ""), Tokens: len(tokens)}
	}
	r.total(tensors)
	if o.keys {
		r.listKeys(meta)
	}
	if o.tensors {
		for _, t := range tensors {
			r.Tensors = append(r.Tensors, tensor{t.Name, t.Type.String(), t.Dims, t.Bytes})
		}
	}
}

// total sums the tensors by type, the largest first.
func (r *report) total(tensors []gguf.TensorInfo) {
	byType := map[string]*typeTotal{}
	for _, t := range tensors {
		info := t.Type.Info()
		sum := byType[info.Name]
		if sum == nil {
			sum = &typeTotal{Type: info.Name, Computable: info.Computable}
			byType[info.Name] = sum
		}
		sum.Tensors++
		sum.Bytes += t.Bytes
		r.Parameters += t.Elements()
	}
	for _, sum := range byType {
		r.Types = append(r.Types, *sum)
	}
	slices.SortFunc(r.Types, func(a, b typeTotal) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Type, b.Type))
	})
	if len(r.Types) > 0 {
		r.Quantization = r.Types[0].Type
	}
}

// maxShown is how many elements of an array --keys shows.
const maxShown = 8

func (r *report) listKeys(meta gguf.Metadata) {
	for _, name := range meta.Keys() {
		v, _ := meta.Get(name)
		k := key{Key: name, Type: v.TypeName()}
		if v.Kind() == gguf.KindArray {
			k.Count = v.Len()
		}
		if v.Kind() != gguf.KindArray || v.Len() <= maxShown {
			k.Value = encodable(v.Any())
		}
		r.Keys = append(r.Keys, k)
	}
}

// encodable returns a value that JSON can hold: numbers that are not finite become words, bytes become numbers.
func encodable(v any) any {
	switch v := v.(type) {
	case float32:
		return encodable(float64(v))
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Sprint(v)
		}
		return v
	case []float32:
		return each(v)
	case []float64:
		return each(v)
	case []uint8:
		return each(v)
	case []gguf.Value:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = encodable(e.Any())
		}
		return out
	}
	return v
}

func each[T any](list []T) []any {
	out := make([]any, len(list))
	for i, v := range list {
		out[i] = encodable(v)
	}
	return out
}
