package scheduler_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/weft-run/weft/runtime/kvcache"
	"github.com/weft-run/weft/runtime/scheduler"
)

// Each preemption stands for a sequence that came, or for rows that never were computed before: sequences that lack pages do not take them from each other
// and lose them again, whatever the size of a step, whether rows see a window, and whoever shares pages with whom.
func TestPreemptionsStandForRows(t *testing.T) {
	const contextLen, size, quantum = 320, 16, 256
	rapid.Check(t, func(t *rapid.T) {
		// Small, so that a failure shrinks to little.
		some := func(least, most int, what string) int { return rapid.IntRange(least, most).Draw(t, what) }
		cfg := scheduler.Config{MaxBatch: some(2, 6, "batch"), StepTokens: 1 << some(0, 7, "step"), ContextLen: contextLen}
		cfg.LogitRows = cfg.MaxBatch
		least := contextLen / size
		if rapid.Bool().Draw(t, "windowed") {
			cfg.Window = some(20, 160, "window")
			least = min(least, kvcache.WindowPages(cfg.Window, cfg.StepTokens, size))
		}
		pages, err := kvcache.New(least+some(0, 10, "spare"), size)
		if err != nil {
			t.Fatal(err)
		}
		s, err := scheduler.New(cfg, pages)
		if err != nil {
			t.Fatal(err)
		}
		c := newCrowd(t, s, 3, nil)
		var all []scheduler.Sequence
		for range some(2, 6, "sequences") {
			seq := scheduler.Sequence{
				Prompt: make([]int32, some(1, 280, "prompt")), Class: scheduler.Class(some(0, 1, "class")), Priority: some(0, 1, "priority"),
			}
			caller := some(0, 2, "caller")
			if rapid.Bool().Draw(t, "keyed") {
				seq.Root = kvcache.Key{byte(len(all) + 1)}
			}
			if rapid.Bool().Draw(t, "behind") && len(all) > 0 {
				first := all[some(0, len(all)-1, "first")]
				seq.Prompt, seq.Root, seq.Behind = first.Prompt, first.Root, first.ID
				caller = int(first.Caller[0] - '0')
			}
			if seq.Root == (kvcache.Key{}) {
				seq.Behind = 0
			}
			seq.MaxTokens = min(some(1, 160, "tokens"), contextLen-len(seq.Prompt))
			c.put(caller, &seq)
			all = append(all, seq)
			for range some(0, 3, "gap") * some(0, 40, "steps") {
				c.step()
			}
		}
		for len(c.of) > 0 {
			c.step()
		}
		fresh := 0
		for _, rows := range c.rows {
			fresh += rows
		}
		if bound := 3*len(all) + 4*fresh/quantum; c.preempted > bound {
			t.Fatalf("%d preemptions of %d sequences, %d rows of which %d were new; no more than %d are to be", c.preempted, len(all), c.all, fresh, bound)
		}
	})
}
