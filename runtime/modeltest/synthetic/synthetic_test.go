package synthetic_test

import (
	"bytes"
	"context"
	"errors"
	"hash/fnv"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/kernels/cpu"
	"github.com/weft-run/weft/runtime/gguf"
	"github.com/weft-run/weft/runtime/kvcache"
	"github.com/weft-run/weft/runtime/models"
	"github.com/weft-run/weft/runtime/modeltest/synthetic"
	"github.com/weft-run/weft/runtime/tokenizer"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// write writes a model to a file and opens it.
func write(t *testing.T, name string) *gguf.File {
	t.Helper()
	m, err := synthetic.Parse(name)
	must(t, err)
	path := filepath.Join(t.TempDir(), "m.gguf")
	must(t, m.WriteFile(context.Background(), path))
	f, err := gguf.Open(path, gguf.DefaultLimits())
	must(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

// logits computes one token.
func logits(t *testing.T, f *gguf.File) []float32 {
	t.Helper()
	model, err := models.Load(f)
	must(t, err)
	device, err := cpu.NewDevice(cpu.Options{Threads: 1, Level: os.Getenv("WEFT_CPU")})
	must(t, err)
	defer device.Close()
	b := device.Open()
	defer b.Close()
	pages, err := kvcache.NewPages(b, model.Config().CacheLayout(1, 16, kernels.CacheF32))
	must(t, err)
	defer pages.Free()
	ws := models.NewWorkspace(b, model.Config(), 1, 1)
	out := model.Forward(b, ws, &models.Batch{
		Tokens: []int32{7}, Positions: []int32{0}, Slots: []int32{0}, LogitRows: []int32{0},
		Spans: []kernels.Span{{Count: 1, Pages: []int32{0}}},
	}, pages)
	must(t, b.Sync())
	values := make([]float32, out.Cols)
	b.Read(values, out)
	return values
}

// TestModelsCompute: each type at shapes whose rows fill its blocks, and at some whose rows do not.
func TestModelsCompute(t *testing.T) {
	var names []string
	for _, mix := range synthetic.Mixes() {
		names = append(names, "tiny:"+mix, "260k:"+mix)
	}
	names = append(names, "135m,layers=2,vocab=600:q4_k_m", "1.1b,layers=1,vocab=500:q5_k_m", "7b,layers=1,width=512,heads=8,kv=8,ffn=640,vocab=400:IQ4_XS")
	if os.Getenv("WEFT_LONG") != "" {
		names = append(names, "135m:q4_0", "1.1b:q4_k_m")
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			values := logits(t, write(t, name))
			sum := 0.0
			for i, v := range values {
				if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
					t.Fatalf("logit %d is %v", i, v)
				}
				sum += float64(v) * float64(v)
			}
			// The scale of the weights keeps the size of activations, so logits are about 1.
			if size := math.Sqrt(sum / float64(len(values))); size < 0.2 || size > 5 {
				t.Errorf("logits have the size %.2f", size)
			}
		})
	}
}

// TestMixes holds the types of some files that llama.cpp quantized: the number of matrices in each type.
func TestMixes(t *testing.T) {
	for name, want := range map[string]map[string]int{
		"1.1b,vocab=400:q4_k_m": {"F32": 45, "Q4_K": 135, "Q6_K": 21},
		"1.1b,vocab=400:q4_0":   {"F32": 45, "Q4_0": 155, "Q6_K": 1},
		"1.1b,vocab=400:q8_0":   {"F32": 45, "Q8_0": 156},
		"1.1b,vocab=400:f16":    {"F32": 45, "F16": 156},
	} {
		m, err := synthetic.Parse(name)
		must(t, err)
		specs, err := m.Tensors()
		must(t, err)
		got := map[string]int{}
		for _, spec := range specs {
			got[spec.Type.String()]++
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

func TestVocabulary(t *testing.T) {
	f := write(t, "tiny:q8_0")
	tok, err := tokenizer.New(f.Meta())
	must(t, err)
	for _, text := range []string{"Once upon a time", "größer 你好 \U0001f642 \n\t  x", "a<b>&\x00"} {
		if got := string(tok.Decode(tok.Encode(text, tokenizer.EncodeOptions{}))); got != text {
			t.Errorf("%q came back as %q", text, got)
		}
	}
}

// TestBytes holds that a model is the same on every machine, and that its parts differ.
func TestBytes(t *testing.T) {
	digest := func(m synthetic.Model) uint64 {
		h := fnv.New64a()
		must(t, m.Write(h))
		return h.Sum64()
	}
	m, err := synthetic.Parse("260k:q4_1")
	must(t, err)
	first := digest(m)
	if first != 0xffb4d5e595a272de {
		t.Errorf("digest %#x", first)
	}
	if m.Seed = 2; digest(m) == first {
		t.Error("the seed changes nothing")
	}
	f := write(t, "tiny:q4_0")
	a, _ := f.Tensor("blk.0.ffn_up.weight")
	b, _ := f.Tensor("blk.1.ffn_up.weight")
	if bytes.Equal(f.Data(a), f.Data(b)) {
		t.Error("two layers have the same weights")
	}
}

func TestParseMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"1.1b":                   "a colon between",
		"2b:q4_0":                `unknown shape "2b"; known are 260k, tiny, 135m`,
		"tiny:q9":                `unknown type "q9"; known are bf16, f16`,
		"tiny,size=2:q8_0":       `"size=2" is not one of layers=`,
		"tiny,layers=many:q8_0":  `"many" is not a number`,
		"tiny,layers:q8_0":       `"" is not a number`,
		"tiny,layers=0:q8_0":     "layers=0, want 1",
		"tiny,width=9999999:f32": "width=9999999, want 2 to",
		"tiny,vocab=2:q8_0":      "vocab=2, want 354",
		"tiny,heads=0:q8_0":      "heads=0",
		"tiny,heads=7:q8_0":      "heads must divide",
		"tiny,kv=3:q8_0":         "heads must divide",
	} {
		if _, err := synthetic.Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	for _, m := range []synthetic.Model{{}, {Mix: "f32"}} {
		if err := m.Write(io.Discard); err == nil {
			t.Errorf("%+v was written", m)
		}
	}
}

// TestWriteFile: a file of that name is not replaced, and one that could not be written whole is gone.
func TestWriteFile(t *testing.T) {
	m, err := synthetic.Parse("260k:f16")
	must(t, err)
	path := filepath.Join(t.TempDir(), "m.gguf")
	must(t, m.WriteFile(context.Background(), path))
	if err := m.WriteFile(context.Background(), path); !errors.Is(err, os.ErrExist) {
		t.Errorf("writing it again: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	broken := filepath.Join(t.TempDir(), "broken.gguf")
	if err := m.WriteFile(ctx, broken); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that has ended: %v", err)
	}
	if _, err := os.Stat(broken); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file stayed: %v", err)
	}
}
