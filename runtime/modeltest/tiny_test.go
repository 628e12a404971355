package modeltest_test

import (
	"bytes"
	"errors"
	"hash/fnv"
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/runtime/gguf"
	"github.com/weft-run/weft/runtime/models"
	"github.com/weft-run/weft/runtime/modeltest"
	"github.com/weft-run/weft/runtime/tokenizer"
)

// load opens a model and checks that models and tokenizer take it.
func load(t *testing.T, path string) (models.Model, *tokenizer.Tokenizer) {
	t.Helper()
	f, err := gguf.Open(path, gguf.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	m, err := models.Load(f)
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.New(f.Meta())
	if err != nil {
		t.Fatal(err)
	}
	return m, tok
}

func TestTinyLoads(t *testing.T) {
	cases := map[string]modeltest.Spec{
		"zero":    {},
		"bpe":     {Vocab: modeltest.BPE, Untied: true, Biases: true, VocabSize: 512},
		"shape":   {Layers: 1, Width: 96, Heads: 6, KVHeads: 3, HeadDim: 32, FFN: 160, Context: 4096},
		"llama3":  {Set: []gguf.KV{{Key: "llama.rope.scaling.type", Value: "llama3"}, {Key: "llama.rope.scaling.factor", Value: float32(8)}, {Key: "llama.rope.scaling.original_context_length", Value: uint32(64)}}},
		"factors": {RopeFactors: []float32{1, 1, 1, 2, 2, 4, 4, 4}},
		"mixed":   {Type: quant.Q4_1, EmbedType: quant.F32, HasEmbedType: true},
	}
	for id := range uint32(64) {
		if info, ok := quant.Lookup(id); ok && info.Computable {
			cases[info.Name] = modeltest.Spec{Type: info.Type, Biases: id%2 == 0}
		}
	}
	for name, spec := range cases {
		t.Run(name, func(t *testing.T) {
			m, _ := load(t, modeltest.WriteTiny(t, spec))
			if want := spec.VocabSize; want != 0 && m.Config().Vocab != want {
				t.Errorf("the vocabulary has %d tokens, want %d", m.Config().Vocab, want)
			}
		})
	}
}

// TestTinyBytes holds that a Spec gives the same bytes on every machine.
func TestTinyBytes(t *testing.T) {
	for _, c := range []struct {
		spec modeltest.Spec
		want uint64
	}{
		{modeltest.Spec{Seed: 1}, 0x434e8a796c82b9d3},
		{modeltest.Spec{Seed: 2, Vocab: modeltest.BPE, Type: quant.Q6_K, Untied: true, Biases: true}, 0xa0e4b00dfa403286},
	} {
		h := fnv.New64a()
		h.Write(modeltest.Tiny(c.spec))
		if got := h.Sum64(); got != c.want {
			t.Errorf("seed %d: digest %#x, want %#x", c.spec.Seed, got, c.want)
		}
	}
	if bytes.Equal(modeltest.Tiny(modeltest.Spec{Seed: 1}), modeltest.Tiny(modeltest.Spec{Seed: 2})) {
		t.Error("the seed changes nothing")
	}
}

func TestVocabularies(t *testing.T) {
	for name, spec := range map[string]modeltest.Spec{"spm": {}, "bpe": {Vocab: modeltest.BPE}} {
		t.Run(name, func(t *testing.T) {
			_, tok := load(t, modeltest.WriteTiny(t, spec))
			for _, text := range []string{"Once upon a time", "the cat and the dog", "größer 你好 \U0001f642 \n\t  x", "a<b>&\x00"} {
				ids := tok.Encode(text, tokenizer.EncodeOptions{})
				if got := string(tok.Decode(ids)); got != text {
					t.Errorf("%q came back as %q (ids %v)", text, got, ids)
				}
			}
			// Words are one token each, so prompts stay short.
			if ids := tok.Encode(" the cat", tokenizer.EncodeOptions{}); len(ids) > 3 {
				t.Errorf("two words took %d tokens: %v", len(ids), ids)
			}
			ids := tok.Encode(modeltest.Start+"user"+modeltest.End, tokenizer.EncodeOptions{ParseSpecial: true})
			if last := ids[len(ids)-1]; !tok.IsSpecial(ids[0]) || !tok.IsEOG(last) {
				t.Errorf("control tokens were not parsed: %v", ids)
			}
		})
	}
}

func TestWriteTinySplit(t *testing.T) {
	paths := modeltest.WriteTinySplit(t, modeltest.Spec{Name: "parts"}, 3)
	load(t, paths[0])
	if len(paths) != 3 || filepath.Base(paths[1]) != "parts-00002-of-00003.gguf" {
		t.Errorf("paths are %v", paths)
	}
}

func TestToFloat(t *testing.T) {
	to := filepath.Join(t.TempDir(), "f32.gguf")
	from := modeltest.WriteTinySplit(t, modeltest.Spec{Type: quant.Q4_1}, 2)
	if err := modeltest.ToFloat(to, from[0]); err != nil {
		t.Fatal(err)
	}
	load(t, to)
	f, err := gguf.Open(to, gguf.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	spec := modeltest.Spec{Type: quant.Q4_1}
	_, tensors := modeltest.Parts(spec)
	for _, want := range tensors {
		info, _ := f.Tensor(want.Name)
		if info.Type != quant.F32 {
			t.Fatalf("tensor %s is %s", want.Name, info.Type)
		}
		weights := make([]float32, info.Elements())
		quant.Decode(want.Type, weights, want.Data)
		raw := make([]byte, len(f.Data(info)))
		quant.Encode(quant.F32, raw, weights)
		if !bytes.Equal(raw, f.Data(info)) {
			t.Errorf("tensor %s has other weights", want.Name)
		}
	}
	if err := modeltest.ToFloat(to, filepath.Join(t.TempDir(), "absent.gguf")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an absent file: %v", err)
	}
}
