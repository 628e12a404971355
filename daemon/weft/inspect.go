package main

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weft-run/weft/runtime/gguf"
	"github.com/weft-run/weft/runtime/models"
	"github.com/weft-run/weft/runtime/tokenizer"
)

func (a *app) inspectCommand() *cobra.Command {
	var o inspection
	cmd := &cobra.Command{
		Use:   "inspect FILE",
		Short: "say what is in a GGUF file, how much memory it takes, and what would refuse it",
		Long: "inspect reads the header of a GGUF file, or of the whole split set whose first file it is given, and says what is in it, how much\n" +
			"memory it takes, and for which reasons this version would refuse to serve it. It works without a daemon.",
		Args: arguments(1, 1, "one GGUF file"),
		RunE: func(_ *cobra.Command, args []string) error {
			r, err := inspect(args[0], o)
			if err != nil {
				return err
			}
			if a.json {
				err = a.printJSON(r)
			} else {
				err = a.printReport(r)
			}
			if err == nil && o.check && len(r.Refusals) > 0 {
				return fmt.Errorf("%s would be refused: %s", args[0], strings.Join(r.Refusals, "; "))
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&o.check, "check", false, "exit with 1 when the file would be refused")
	cmd.Flags().BoolVar(&o.keys, "keys", false, "list the metadata too")
	cmd.Flags().BoolVar(&o.tensors, "tensors", false, "list the tensors too")
	return cmd
}

// inspection is what the flags of `weft inspect` ask for.
type inspection struct {
	check, keys, tensors bool
}

// report is what `weft inspect` finds, and its --json.
type report struct {
	Files        []string    `json:"files"`
	Bytes        int64       `json:"bytes"`
	Version      uint32      `json:"gguf_version"`
	HeaderDigest string      `json:"header_digest"`
	Kind         string      `json:"kind"` // "model", "vocabulary", or general.type: "adapter", ...
	Name         string      `json:"name,omitempty"`
	Architecture string      `json:"architecture"`
	Quantization string      `json:"quantization,omitempty"` // the type that most bytes have
	Types        []typeTotal `json:"types"`
	Parameters   uint64      `json:"parameters"`
	Shape        *shape      `json:"shape,omitempty"` // where the metadata is that of a model Weft computes
	Vocabulary   *vocabulary `json:"vocabulary,omitempty"`
	ChatTemplate bool        `json:"chat_template"`
	Memory       *memory     `json:"memory,omitempty"`
	Refusals     []string    `json:"refusals"` // why this version would not serve it
	Keys         []key       `json:"keys,omitempty"`
	Tensors      []tensor    `json:"tensors,omitempty"`
}

type typeTotal struct {
	Type       string `json:"type"`
	Tensors    int    `json:"tensors"`
	Bytes      uint64 `json:"bytes"`
	Computable bool   `json:"computable"`
}

type shape struct {
	Context int `json:"context_tokens"`
	Layers  int `json:"layers"`
	Width   int `json:"width"`
	Heads   int `json:"heads"`
	KVHeads int `json:"kv_heads"`
	HeadDim int `json:"head_dim"`
	FFN     int `json:"feed_forward"`
	Vocab   int `json:"vocabulary_rows"`
}

type vocabulary struct {
	Model  string `json:"model"`
	Pre    string `json:"pre,omitempty"`
	Tokens int    `json:"tokens"`
}

// memory is in bytes. The cache is that of one sequence, keys and values as f16.
type memory struct {
	Weights       uint64 `json:"weights_bytes"`
	CachePerToken uint64 `json:"cache_per_token_bytes"`
	CacheFull     uint64 `json:"cache_full_context_bytes"`
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

// inspect reads a file or a split set. A set that is not whole is reported by its first file.
func inspect(path string, o inspection) (*report, error) {
	h, err := readHeader(path)
	if err != nil {
		return nil, err
	}
	r := &report{
		Files: []string{path}, Bytes: h.Size, Version: h.Version, HeaderDigest: "sha256:" + h.Digest, Refusals: []string{}, Types: []typeTotal{},
	}
	meta, tensors := h.Meta, h.Tensors
	f, err := gguf.Open(path, gguf.DefaultLimits())
	if err != nil {
		r.refuse(err)
	} else {
		defer func() { _ = f.Close() }()
		r.Files, r.Bytes = f.Files(), f.Size()
		meta, tensors = f.Meta(), f.Tensors()
	}
	r.describe(meta, tensors, o)
	if f != nil {
		r.judge(f)
	}
	return r, nil
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
	r.Name, r.Architecture = str("general.name", ""), str("general.architecture", "")
	r.Kind = str("general.type", "model")
	if len(tensors) == 0 {
		r.Kind = "vocabulary"
	}
	r.ChatTemplate = str("tokenizer.chat_template", "") != ""
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

// judge loads the model as the daemon would, without computing, and keeps the reasons that speak against it.
func (r *report) judge(f *gguf.File) {
	_, err := tokenizer.New(f.Meta())
	r.refuse(err)
	if r.Kind == "vocabulary" {
		r.refuse(errors.New("it holds a vocabulary without tensors: text can be tokenized with it, nothing computed"))
		return
	}
	m, err := models.Load(f)
	r.refuse(err)
	if m == nil {
		return
	}
	c := m.Config()
	r.Shape = &shape{
		Context: c.ContextLen, Layers: c.Layers, Width: c.Width, Heads: c.Heads, KVHeads: c.KVHeads, HeadDim: c.HeadDim, FFN: c.FFN, Vocab: c.Vocab,
	}
	const keyAndValueF16 = 2 * 2
	perToken := uint64(keyAndValueF16 * c.Layers * c.KVWidth())
	r.Memory = &memory{CachePerToken: perToken, CacheFull: perToken * uint64(c.ContextLen)}
	for _, t := range r.Types {
		r.Memory.Weights += t.Bytes
	}
}

// refuse keeps each line of an error as a reason.
func (r *report) refuse(err error) {
	if err == nil {
		return
	}
	r.Refusals = append(r.Refusals, strings.Split(err.Error(), "\n")...)
}
