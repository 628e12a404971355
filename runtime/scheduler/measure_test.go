package scheduler_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/weft-run/weft/runtime/kvcache"
	"github.com/weft-run/weft/runtime/scheduler"
)

// TestMeasureWaiting says how long short and long prompts wait where pages are short, in a simulation whose steps take as long as 20 rows
// and their own (docs/adr/0021-a-long-prompt-is-overtaken-for-a-while.md).
func TestMeasureWaiting(t *testing.T) {
	if os.Getenv("WEFT_MEASURE") == "" {
		t.Skip("WEFT_MEASURE is not set")
	}
	for _, callers := range []int{1, 4} {
		for _, between := range []float64{825, 550, 330} {
			t.Logf("%d callers, a request in %.0f: %s", callers, between, measureWaiting(t, callers, between))
		}
	}
}

// measureWaiting runs 3000 requests, one of eight with a prompt of 400 to 655 tokens and the others of 16 to 127, at random times that are between apart
// on the average.
func measureWaiting(t *testing.T, callers int, between float64) string {
	pages, err := kvcache.New(24, 32)
	if err != nil {
		t.Fatal(err)
	}
	s, err := scheduler.New(scheduler.Config{MaxBatch: 10, StepTokens: 256, LogitRows: 10, ContextLen: 768}, pages)
	if err != nil {
		t.Fatal(err)
	}
	type request struct {
		came   float64
		long   int
		begun  bool
		seen   int // tokens computed so far
		caller int
	}
	rng := rand.New(rand.NewPCG(1, 2))
	alive := map[scheduler.SeqID]*request{}
	var waits [2][]float64 // of short and of long ones, to the first token
	now, next, all, fresh, last := 0.0, 0.0, 0, 0, scheduler.SeqID(0)
	for last < 3000 || len(alive) > 0 {
		for last < 3000 && (next <= now || len(alive) == 0) {
			last++
			if len(alive) == 0 {
				now = max(now, next)
			}
			r := &request{came: next, caller: rng.IntN(callers)}
			prompt := 16 + rng.IntN(112)
			if rng.IntN(8) == 0 {
				r.long, prompt = 1, 400+rng.IntN(256)
			}
			err := s.Add(&scheduler.Sequence{
				ID: last, Prompt: make([]int32, prompt), MaxTokens: 1 + rng.IntN(96), Caller: fmt.Sprint(r.caller),
				Root: kvcache.Key{byte(last), byte(last >> 8), 1},
			})
			if err != nil {
				t.Fatal(err)
			}
			alive[last] = r
			next += rng.ExpFloat64() * between
		}
		step := s.Schedule()
		now += 20 + float64(step.Rows)
		var sampled []scheduler.Sampled
		for _, p := range step.Parts {
			r, end := alive[p.ID], p.Pos+len(p.Tokens)
			all += len(p.Tokens)
			fresh += max(0, end-r.seen)
			r.seen = max(r.seen, end)
			if !p.Sample {
				continue
			}
			sampled = append(sampled, scheduler.Sampled{ID: p.ID, Token: 7})
			if !r.begun {
				r.begun = true
				waits[r.long] = append(waits[r.long], now-r.came)
			}
		}
		for _, f := range s.Update(step, sampled) {
			delete(alive, f.ID)
		}
	}
	text := fmt.Sprintf("%.0f in all, %d %% of the rows again", now, 100*(all-fresh)/all)
	for i, name := range []string{"short", "long"} {
		slices.Sort(waits[i])
		text += fmt.Sprintf("; %s: median %.0f, one of twenty over %.0f", name, waits[i][len(waits[i])/2], waits[i][len(waits[i])*95/100])
	}
	return text
}
