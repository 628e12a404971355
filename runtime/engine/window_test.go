package engine

import (
	"slices"
	"testing"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/kernels/cpu"
	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/runtime/gguf"
	"github.com/weft-run/weft/runtime/modeltest"
)

// windowed are models whose rows see a window: within a tile, of a tile, and across several.
func windowed() (list []subject) {
	for i, window := range []uint32{20, 64, 150} {
		s := modeltest.Spec{
			Seed: uint64(i), Type: quant.Q8_0, Context: 512, HeadDim: 32,
			Set: []gguf.KV{{Key: "llama.attention.sliding_window", Value: window}},
		}
		list = append(list, subject{"window", func(t *testing.T) string { return modeltest.WriteTiny(t, s) }, 512, 32, []int32{2}, nil})
	}
	return list
}

// Pages that a window has left are given back, and nothing shows: alone, an engine that keeps all of them gives the same bits.
func TestMetamorphicOfWindows(t *testing.T) {
	seeds := uint64(12)
	if testing.Short() {
		seeds = 3
	}
	d := newDevices(t)
	preempted, reused := uint64(0), 0
	for seed := range seeds {
		p, f := metamorphic(t, d, windowed(), seed+1, kernels.CacheTypes(), "ref")
		preempted, reused = preempted+p, reused+f
	}
	t.Logf("%d seeds, %d preemptions, %d tokens found in the cache", seeds, preempted, reused)
}

// A conversation longer than its window goes on after a restart from the pages that the window needs, and no others were written.
func TestWindowedSessionOutlastsTheEngine(t *testing.T) {
	d, of, store := newDevices(t), windowed()[0], openStore(t, t.TempDir())
	model := load(t, of.path(t))
	request := Request{Prompt: make([]int32, 300), MaxTokens: 20, IgnoreEOS: true, Session: "tea", Caller: "one", Domain: "one", Sampling: greedy()}
	for i := range request.Prompt {
		request.Prompt[i] = int32(i % model.Config().Vocab)
	}
	var answers [2][]int32
	for round := range answers {
		e := open(t, d, Config{Model: model, EOG: of.eog, PageTokens: 16, MaxBatch: 1, Spill: spillTo(store)}, cpu.Options{Threads: 1})
		s, err := e.Submit(request)
		if err != nil {
			t.Fatal(err)
		}
		answers[round] = read(t, s)
		if got, want := s.Result().ReusedTokens, []int{0, 288}[round]; got != want {
			t.Errorf("round %d: %d tokens were found, want %d", round, got, want)
		}
		e.Close()
	}
	if !slices.Equal(answers[0], answers[1]) {
		t.Errorf("tokens %v, then %v", answers[0], answers[1])
	}
	if list := store.Sessions(); len(list) != 1 || list[0].Bytes > 1<<16 {
		t.Errorf("sessions %+v", list)
	}
}
