package repository

import (
	"slices"
	"testing"

	"github.com/weft-run/weft/runtime/modeltest"
)

// A probe gives the logits of the model, the same each time, and needs no place in its engine.
func TestProbe(t *testing.T) {
	b := newBench(t, nil)
	b.put("a", modeltest.Spec{Seed: 1})
	b.sync()
	l := b.acquire("a")
	defer l.Release()
	prompt := make([]int32, MaxProbe)
	for i := range prompt {
		prompt[i] = int32(i + 3)
	}
	first, err := l.Probe(t.Context(), prompt, nil)
	must(t, err)
	again, err := l.Probe(t.Context(), prompt, nil)
	must(t, err)
	other, err := l.Probe(t.Context(), prompt[1:], nil)
	must(t, err)
	if len(first) != l.Config.Vocab || !slices.Equal(first, again) || slices.Equal(first, other) {
		t.Errorf("%d logits; the same again: %v; those of another prompt: %v", len(first), slices.Equal(first, again), slices.Equal(first, other))
	}
}
