package engine

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/weft-run/weft/kernels/cpu"
	"github.com/weft-run/weft/runtime/models"
	"github.com/weft-run/weft/runtime/modeltest"
	"github.com/weft-run/weft/runtime/modeltest/synthetic"
	"github.com/weft-run/weft/runtime/sampler"
)

// bindRandom makes an adapter of the targets that the filter names. change may be nil.
func bindRandom(t *testing.T, m models.Model, seed uint64, rank int, filter func(name string) bool, change func(*models.AdapterSpec)) *models.Adapter {
	t.Helper()
	spec := &models.AdapterSpec{Digest: fmt.Sprintf("adapter-%d", seed)}
	for i, target := range m.Targets() {
		if !filter(target.Name) {
			continue
		}
		rows, cols := target.Rows, target.Cols
		if target.Name == "token_embd" {
			rows, cols = cols, rows
		}
		d := models.Delta{Target: target.Name, Rank: rank, Scale: 0.5}
		d.A, d.B = synthetic.Factors(seed<<8+uint64(i), rank, rows, cols)
		spec.Deltas = append(spec.Deltas, d)
	}
	if change != nil {
		change(spec)
	}
	a, err := models.NewAdapter(m, spec, newDevices(t).get(t, cpu.Options{Level: "ref", Threads: 1}))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func ofLayers(name string) bool { return strings.HasPrefix(name, "blk.") }

// zoo is adapters of every kind for a model: two of all layers, an activated one of everything, one of DoRA, and one of the head,
// whose sequences share the base's pages.
type zoo struct {
	layers    [2]*models.Adapter
	activated *models.Adapter
	dora      *models.Adapter
	head      *models.Adapter
}

// invocation activates the activated adapter.
var invocation = []int32{11, 12}

// zooRanks are those of a zoo, in the order of its fields.
var zooRanks = [5]int{5, 16, 3, 4, 2}

// newZoo makes adapters of these ranks, others for each seed.
func newZoo(t *testing.T, m models.Model, seed uint64, ranks [5]int) zoo {
	seed *= 8
	return zoo{
		layers: [2]*models.Adapter{bindRandom(t, m, seed+1, ranks[0], ofLayers, nil), bindRandom(t, m, seed+2, ranks[1], ofLayers, nil)},
		activated: bindRandom(t, m, seed+3, ranks[2], func(string) bool { return true }, func(s *models.AdapterSpec) {
			s.Invocation = invocation
		}),
		dora: bindRandom(t, m, seed+4, ranks[3], ofLayers, func(s *models.AdapterSpec) {
			for i := range s.Deltas {
				d := &s.Deltas[i]
				d.Magnitude = make([]float32, len(d.B)/d.Rank)
				for k := range d.Magnitude {
					d.Magnitude[k] = 1 + float32(k%5)/8
				}
			}
		}),
		head: bindRandom(t, m, seed+5, ranks[4], func(name string) bool { return name == "output" }, nil),
	}
}

// draw picks what a request uses, and writes the invocation into some prompts.
func (z *zoo) draw(r *rand.Rand, prompt []int32) []models.AdapterUse {
	if len(prompt) > 4 && r.IntN(3) == 0 {
		copy(prompt[r.IntN(len(prompt)-2):], invocation)
	}
	scale := []float32{1, 0.5, -0.25}[r.IntN(3)]
	switch r.IntN(10) {
	case 0, 1, 2:
		return nil
	case 3:
		return []models.AdapterUse{{Adapter: z.layers[0], Scale: 0}}
	case 4, 5:
		return []models.AdapterUse{{Adapter: z.layers[r.IntN(2)], Scale: scale}}
	case 6:
		return []models.AdapterUse{{Adapter: z.layers[0], Scale: 0.7}, {Adapter: z.layers[1], Scale: scale}}
	case 7:
		return []models.AdapterUse{{Adapter: z.dora, Scale: scale}}
	case 8:
		return []models.AdapterUse{{Adapter: z.head, Scale: scale}}
	default:
		list := []models.AdapterUse{{Adapter: z.activated, Scale: scale}}
		if r.IntN(2) == 0 {
			list = append(list, models.AdapterUse{Adapter: z.layers[0], Scale: 1})
		}
		return list
	}
}

// TestAdaptersShare: sequences find pages of the same adapters at the same scales alone; those of scale 0, those of the head and what
// stands before an activated adapter's invocation are the base's.
func TestAdaptersShare(t *testing.T) {
	model := load(t, modeltest.WriteTiny(t, modeltest.Spec{Seed: 5, Context: 192}))
	z := newZoo(t, model, 0, zooRanks)
	e := open(t, newDevices(t), Config{Model: model, ContextLen: 192, PageTokens: 16}, cpu.Options{Threads: 1})
	prompt := make([]int32, 100)
	for i := range prompt {
		prompt[i] = int32(20 + i)
	}
	called := slices.Clone(prompt)
	copy(called[70:], invocation)
	for _, c := range []struct {
		name   string
		prompt []int32
		uses   []models.AdapterUse
		reused int
	}{
		{"the base", prompt, nil, 0},
		{"again", prompt, nil, 96},
		{"scale 0", prompt, []models.AdapterUse{{Adapter: z.layers[0]}}, 96},
		{"the head", prompt, []models.AdapterUse{{Adapter: z.head, Scale: 1}}, 96},
		{"an adapter", prompt, []models.AdapterUse{{Adapter: z.layers[0], Scale: 1}}, 0},
		{"the adapter again", prompt, []models.AdapterUse{{Adapter: z.layers[0], Scale: 1}}, 96},
		{"at another scale", prompt, []models.AdapterUse{{Adapter: z.layers[0], Scale: 0.5}}, 0},
		{"in a stack", prompt, []models.AdapterUse{{Adapter: z.layers[0], Scale: 1}, {Adapter: z.layers[1], Scale: 1}}, 0},
		{"in another order", prompt, []models.AdapterUse{{Adapter: z.layers[1], Scale: 1}, {Adapter: z.layers[0], Scale: 1}}, 0},
		{"not invoked", prompt, []models.AdapterUse{{Adapter: z.activated, Scale: 1}}, 96},
		{"invoked at 70", called, []models.AdapterUse{{Adapter: z.activated, Scale: 1}}, 64},
		{"invoked again", called, []models.AdapterUse{{Adapter: z.activated, Scale: 1}}, 96},
		{"the base of that", called, nil, 64},
	} {
		s, err := e.Submit(Request{Prompt: c.prompt, PromptOnly: true, Sampling: sampler.Default(), Adapters: c.uses})
		if err != nil {
			t.Fatal(err)
		}
		for {
			if _, err = s.Next(testContext(t)); err != nil {
				break
			}
		}
		if got := s.Result().ReusedTokens; got != c.reused {
			t.Errorf("%s: %d tokens were found, want %d", c.name, got, c.reused)
		}
	}
}
