package adapters

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/runtime/gguf"
	"github.com/weft-run/weft/runtime/models"
	"github.com/weft-run/weft/runtime/modeltest"
)

// realAdapters is a folder of PEFT adapters of SmolLM2-135M-Instruct with a golden.jsonl of what PyTorch and PEFT computed with them, which
// WEFT_TEST_ADAPTERS names.
func realAdapters(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("takes a minute")
	}
	folder := os.Getenv("WEFT_TEST_ADAPTERS")
	if folder == "" {
		t.Skip("LOUD: REAL ADAPTERS ARE NOT TESTED: set WEFT_TEST_ADAPTERS to a folder of PEFT adapters of SmolLM2-135M-Instruct with its golden.jsonl")
	}
	return folder
}

// onSmolLM2 opens a file of the model and binds the adapters that the lines name.
func onSmolLM2(t *testing.T, file, folder string, cache kernels.CacheType, list []golden) (*solo, map[string]*models.Adapter) {
	t.Helper()
	f, err := gguf.Open(modeltest.File(t, file), gguf.DefaultLimits())
	must(t, err)
	t.Cleanup(func() { _ = f.Close() })
	s := newSolo(t, f, 1024, cache)
	bound := map[string]*models.Adapter{}
	for _, g := range list {
		for _, a := range g.Adapters {
			if bound[a.Name] == nil {
				bound[a.Name] = s.bind(filepath.Join(folder, a.Name))
			}
		}
	}
	return s, bound
}

// TestGoldenSmolLM2 holds real adapters on a real model, scales and stack included, against PyTorch. Logprobs are within 1e-3, tokens equal
// where the choice is not close.
func TestGoldenSmolLM2(t *testing.T) {
	folder := realAdapters(t)
	list, worst := readGolden(t, filepath.Join(folder, "golden.jsonl")), map[string]float64{}
	s, bound := onSmolLM2(t, "smollm2-f32.gguf", folder, kernels.CacheF32, list)
	for _, g := range list {
		off := s.play(g, bound)
		if off > 1e-3 {
			t.Errorf("%v %s: a logprob is off by %g", g.Adapters, g.Name, off)
		}
		key := g.Adapters[0].Name
		worst[key] = max(worst[key], off)
	}
	t.Logf("%d lines; the worst logprobs by the first adapter: %v", len(list), worst)
}

// TestQuantizedSmolLM2: on a quantized base adapters deviate from the float32 base with them by no more than a tenth above what that base
// deviates by without them on the same tokens: the mean absolute difference of the ten best logprobs behind each of the lines' prompts and
// each token after it. What the float32 base computes is held against PyTorch by the test above.
func TestQuantizedSmolLM2(t *testing.T) {
	folder := realAdapters(t)
	list := readGolden(t, filepath.Join(folder, "golden.jsonl"))
	exact, exactly := onSmolLM2(t, "smollm2-f32.gguf", folder, kernels.CacheF32, list)
	quantized, bound := onSmolLM2(t, "SmolLM2-135M-Instruct.Q4_1.gguf", folder, kernels.CacheF16, list)
	type pair struct{ base, adapted mean }
	var all, ends pair
	by, order := map[string]*pair{}, []string(nil)
	for _, g := range list {
		key := fmt.Sprint(g.Adapters)
		if by[key] == nil {
			by[key], order = new(pair), append(order, key)
		}
		tokens := append(slices.Clone(g.IDs), g.Greedy...)
		rows := 1 + len(g.Greedy)
		compare := func(want, got [][]float32, to ...*mean) {
			for i := range want {
				off := ten(want[i]).off(got[i])
				for _, m := range to[min(i, 1):] { // the first of them takes the prompt's end alone
					m.add(off)
				}
			}
		}
		compare(exact.ends(tokens, rows), quantized.ends(tokens, rows), &ends.base, &all.base, &by[key].base)
		compare(exact.ends(tokens, rows, g.uses(exactly)...), quantized.ends(tokens, rows, g.uses(bound)...), &ends.adapted, &all.adapted, &by[key].adapted)
	}
	say := func(what string, p *pair) {
		t.Logf("%s: the base %.4f, adapters %.4f, %.2f times", what, p.base.value(), p.adapted.value(), p.adapted.value()/p.base.value())
	}
	for _, key := range order {
		say(key, by[key])
	}
	say("behind the prompts alone", &ends)
	say(fmt.Sprintf("%.0f logprobs", all.base.n), &all)
	if all.adapted.value() > 1.1*all.base.value() {
		t.Errorf("adapters deviate by %.4f, above 1.1 x %.4f", all.adapted.value(), all.base.value())
	}
}

// ten is the ten best of logits as a line has them.
func ten(logits []float32) *golden {
	ids := make([]int, len(logits))
	for i := range ids {
		ids[i] = i
	}
	slices.SortFunc(ids, func(a, b int) int { return cmp.Compare(logits[b], logits[a]) })
	g := &golden{LSE: lse(logits)}
	for _, id := range ids[:10] {
		g.Top = append(g.Top, [2]float64{float64(id), float64(logits[id])})
	}
	return g
}

type mean struct{ sum, n float64 }

func (m *mean) add(list []float64) {
	for _, x := range list {
		m.sum, m.n = m.sum+x, m.n+1
	}
}

func (m *mean) value() float64 { return m.sum / m.n }
