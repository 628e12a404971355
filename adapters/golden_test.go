package adapters

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/runtime/gguf"
	"github.com/weft-run/weft/runtime/models"
	"github.com/weft-run/weft/runtime/modeltest"
)

// TestGoldenSmolLM2 holds real adapters on a real model, scales and stack included, against what PyTorch and PEFT computed with them: a folder
// of adapters with a golden.jsonl, which WEFT_TEST_ADAPTERS names. Logprobs are within 1e-3, tokens equal where the choice is not close.
func TestGoldenSmolLM2(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	folder := os.Getenv("WEFT_TEST_ADAPTERS")
	if folder == "" {
		t.Skip("REAL ADAPTERS ARE NOT TESTED: set WEFT_TEST_ADAPTERS to a folder of PEFT adapters of SmolLM2-135M-Instruct with its golden.jsonl")
	}
	f, err := gguf.Open(modeltest.File(t, "smollm2-f32.gguf"), gguf.DefaultLimits())
	must(t, err)
	t.Cleanup(func() { _ = f.Close() })
	s := newSolo(t, f, 1024, kernels.CacheF32)
	bound, worst := map[string]*models.Adapter{}, map[string]float64{}
	list := readGolden(t, filepath.Join(folder, "golden.jsonl"))
	for _, g := range list {
		for _, a := range g.Adapters {
			if bound[a.Name] == nil {
				bound[a.Name] = s.bind(filepath.Join(folder, a.Name))
			}
		}
		off := s.play(g, bound)
		if off > 1e-3 {
			t.Errorf("%v %s: a logprob is off by %g", g.Adapters, g.Name, off)
		}
		key := g.Adapters[0].Name
		worst[key] = max(worst[key], off)
	}
	t.Logf("%d lines; the worst logprobs by the first adapter: %v", len(list), worst)
}
