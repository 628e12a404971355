package scheduler_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/weft-run/weft/runtime/kvcache"
	"github.com/weft-run/weft/runtime/scheduler"
)

// Beside long prompts the time between a stream's tokens stays within two and a half times what it is alone, at the 99th of 100, on machines
// of which rows cost more or less, the first of a chunk most, and something else takes the processor now and then. And chunks
// are not much smaller than that asks for.
func TestChunksKeepGapsShort(t *testing.T) {
	for name, m := range map[string]struct{ alone, first, row time.Duration }{
		"rows are cheap":     {40 * time.Millisecond, 2 * time.Millisecond, 500 * time.Microsecond},
		"rows are dear":      {40 * time.Millisecond, 5 * time.Millisecond, 8 * time.Millisecond},
		"the first one most": {40 * time.Millisecond, 20 * time.Millisecond, 2 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			pages, err := kvcache.New(600, 32)
			if err != nil {
				t.Fatal(err)
			}
			s, err := scheduler.New(scheduler.Config{MaxBatch: 2, StepTokens: 512, LogitRows: 2, ContextLen: 9000}, pages)
			if err != nil {
				t.Fatal(err)
			}
			r := rand.New(rand.NewPCG(5, 0))
			// took is how long a step of one decoding row with a chunk takes.
			took := func(chunk int) time.Duration {
				d := m.alone + time.Duration(chunk)*m.row
				if chunk > 0 {
					d += m.first
				}
				scale := 0.9 + 0.2*r.Float64()
				if r.IntN(40) == 0 {
					scale *= 1.8
				}
				return time.Duration(float64(d) * scale)
			}
			run := func(steps int) (gaps []time.Duration, rows int) {
				for range steps {
					step := s.Schedule()
					d := took(step.Rows - step.DecodeRows)
					rows += step.Rows - step.DecodeRows
					var sampled []scheduler.Sampled
					for _, p := range step.Parts {
						if p.Sample {
							sampled = append(sampled, scheduler.Sampled{ID: p.ID, Token: 7})
						}
					}
					s.Update(step, sampled)
					s.Took(step, d)
					gaps = append(gaps, d)
				}
				slices.Sort(gaps)
				return gaps, rows
			}
			add := func(id scheduler.SeqID, prompt, most int) {
				if err := s.Add(&scheduler.Sequence{ID: id, Prompt: make([]int32, prompt), MaxTokens: most}); err != nil {
					t.Fatal(err)
				}
			}
			add(1, 1, 5000)
			alone, _ := run(1000)
			add(2, 8900, 1)
			beside, rows := run(100)
			if was, is := alone[len(alone)*99/100], beside[len(beside)*99/100]; is > was*5/2 {
				t.Errorf("99 of 100 gaps are within %v alone and within %v beside a prompt", was, is)
			}
			if want := 100 * int((m.alone-m.first)/m.row) / 2; rows < want {
				t.Errorf("%d rows of the prompt in 100 steps, %d would be half of what there was time for", rows, want)
			}
		})
	}
}
