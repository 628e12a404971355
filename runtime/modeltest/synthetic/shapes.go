package synthetic

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Shape is the shape of a model of the llama architecture.
type Shape struct {
	Name     string
	Layers   int
	Width    int // of the residual stream; a head has Width/Heads of it
	Heads    int
	KVHeads  int
	FFN      int
	Vocab    int
	RopeBase float32
	Tied     bool // the embedding is the head too
}

// contextLen is what every file says it was made for: the models that the shapes are of say 2048 and more, and measurements
// go deeper than some of them.
const contextLen = 1 << 15

// shapes are the shapes that have a name, the smallest first.
var shapes = []Shape{
	{"260k", 5, 64, 8, 4, 172, 512, 1e4, true},            // stories260K
	{"tiny", 2, 256, 8, 2, 768, 1024, 1e4, false},         // none; rows are whole blocks of every type
	{"135m", 30, 576, 9, 3, 1536, 49152, 1e5, true},       // SmolLM2 135M
	{"135m-wide", 30, 768, 12, 4, 1536, 49152, 1e5, true}, // SmolLM2 135M, widened so that rows are whole blocks of every type
	{"360m", 32, 960, 15, 5, 2560, 49152, 1e5, true},      // SmolLM2 360M
	{"1b", 16, 2048, 32, 8, 8192, 128256, 5e5, true},      // Llama 3.2 1B
	{"1.1b", 22, 2048, 32, 4, 5632, 32000, 1e4, false},    // TinyLlama 1.1B
	{"1.7b", 24, 2048, 32, 32, 8192, 49152, 1.3e5, true},  // SmolLM2 1.7B
	{"3b", 28, 3072, 24, 8, 8192, 128256, 5e5, true},      // Llama 3.2 3B
	{"7b", 32, 4096, 32, 32, 11008, 32000, 1e4, false},    // Llama 2 7B
	{"8b", 32, 4096, 32, 8, 14336, 128256, 5e5, false},    // Llama 3.1 8B
	{"13b", 40, 5120, 40, 40, 13824, 32000, 1e4, false},   // Llama 2 13B
	{"70b", 80, 8192, 64, 8, 28672, 128256, 5e5, false},   // Llama 3.1 70B
}

// Shapes returns the names of the shapes, the smallest first.
func Shapes() []string {
	names := make([]string, len(shapes))
	for i, s := range shapes {
		names[i] = s.Name
	}
	return names
}

// limits of what may be asked for, far above every model in use. Products of two of them are within an int.
const (
	maxLayers = 1 << 10
	maxWidth  = 1 << 17
	maxVocab  = 1 << 22
)

// ParseShape reads the name of a shape, or one with changes, "1.1b,layers=2,vocab=512". What can be changed is layers, width,
// heads, kv, ffn and vocab.
func ParseShape(text string) (Shape, error) {
	words := strings.Split(text, ",")
	i := slices.IndexFunc(shapes, func(s Shape) bool { return s.Name == strings.ToLower(words[0]) })
	if i < 0 {
		return Shape{}, fmt.Errorf("synthetic: unknown shape %q; known are %s", words[0], strings.Join(Shapes(), ", "))
	}
	s := shapes[i]
	fields := map[string]*int{"layers": &s.Layers, "width": &s.Width, "heads": &s.Heads, "kv": &s.KVHeads, "ffn": &s.FFN, "vocab": &s.Vocab}
	for _, word := range words[1:] {
		key, value, _ := strings.Cut(word, "=")
		field, ok := fields[key]
		if !ok {
			return Shape{}, fmt.Errorf("synthetic: shape %q: %q is not one of layers=, width=, heads=, kv=, ffn=, vocab=", text, word)
		}
		n, err := strconv.Atoi(value)
		if err != nil {
			return Shape{}, fmt.Errorf("synthetic: shape %q: %q is not a number", text, value)
		}
		*field = n
		s.Name += "," + word
	}
	return s, s.check()
}

// Parse reads a shape and a mix, "1.1b:q4_k_m".
func Parse(text string) (Model, error) {
	shape, mix, ok := strings.Cut(text, ":")
	if !ok {
		return Model{}, fmt.Errorf("synthetic: %q is not a shape and a type with a colon between them, as 1.1b:q4_k_m is", text)
	}
	s, err := ParseShape(shape)
	if err != nil {
		return Model{}, err
	}
	return New(s, mix)
}

// New returns a model of a shape in a mix.
func New(s Shape, mix string) (Model, error) {
	m := Model{Shape: s, Mix: strings.ToLower(mix), Seed: 1}
	if _, ok := mixes[m.Mix]; !ok {
		return Model{}, unknownMix(mix)
	}
	return m, s.check()
}

// check refuses shapes that no model can have.
func (s Shape) check() error {
	for _, f := range []struct {
		name      string
		n         int
		low, high int
	}{
		{"layers", s.Layers, 1, maxLayers},
		{"width", s.Width, 2, maxWidth},
		{"heads", s.Heads, 1, maxWidth},
		{"kv", s.KVHeads, 1, maxWidth},
		{"ffn", s.FFN, 1, maxWidth},
		{"vocab", s.Vocab, vocabMin, maxVocab},
	} {
		if f.n < f.low || f.n > f.high {
			return fmt.Errorf("synthetic: shape %s: %s=%d, want %d to %d", s.Name, f.name, f.n, f.low, f.high)
		}
	}
	if s.Width%(2*s.Heads) != 0 || s.Heads%s.KVHeads != 0 {
		return fmt.Errorf("synthetic: shape %s: %d heads, %d of keys: heads must divide the width %d into even parts, heads of keys the heads",
			s.Name, s.Heads, s.KVHeads, s.Width)
	}
	return nil
}
