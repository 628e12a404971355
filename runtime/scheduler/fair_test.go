package scheduler_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/weft-run/weft/runtime/kvcache"
	"github.com/weft-run/weft/runtime/scheduler"
)

// crowd is some callers who always want more than there is, each with sequences of its own kind of the same mean length.
type crowd struct {
	t     *rapid.T
	s     *scheduler.Scheduler
	last  scheduler.SeqID
	of    map[scheduler.SeqID]int // whose sequence it is
	queue []int                   // of each caller, sequences alive
	rows  []int                   // of each caller, tokens computed that never were before
	seen  map[scheduler.SeqID]int // tokens computed so far
}

func (c *crowd) add(caller int) {
	c.last++
	c.of[c.last] = caller
	c.queue[caller]++
	prompt := rapid.IntRange(1, 40).Draw(c.t, "prompt")
	err := c.s.Add(&scheduler.Sequence{
		ID: c.last, Prompt: make([]int32, prompt), MaxTokens: rapid.IntRange(1, 60).Draw(c.t, "max"), Caller: fmt.Sprint(caller),
		Root: kvcache.Key{byte(c.last), byte(c.last >> 8), byte(c.last >> 16)},
	})
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *crowd) step() {
	step := c.s.Schedule()
	var sampled []scheduler.Sampled
	for _, p := range step.Parts {
		if p.Sample {
			sampled = append(sampled, scheduler.Sampled{ID: p.ID, Token: 7})
		}
		if end := p.Pos + len(p.Tokens); end > c.seen[p.ID] {
			c.rows[c.of[p.ID]] += end - c.seen[p.ID]
			c.seen[p.ID] = end
		}
	}
	for _, f := range c.s.Update(step, sampled) {
		c.queue[c.of[f.ID]]--
		delete(c.of, f.ID)
		delete(c.seen, f.ID)
	}
}

// Callers who always want something get the same number of rows, but for a bound that does not grow, whatever each of them has
// in the queue and however few pages there are. Nothing waits for ever.
func TestCallersShareAlike(t *testing.T) {
	const contextLen, quantum = 100, 256
	rapid.Check(t, func(t *rapid.T) {
		callers := rapid.IntRange(2, 5).Draw(t, "callers")
		pages, err := kvcache.New(rapid.IntRange(7, 60).Draw(t, "pages"), 16)
		if err != nil {
			t.Fatal(err)
		}
		batch := rapid.IntRange(1, 8).Draw(t, "batch")
		s, err := scheduler.New(scheduler.Config{MaxBatch: batch, StepTokens: 8 + batch, LogitRows: batch, ContextLen: contextLen}, pages)
		if err != nil {
			t.Fatal(err)
		}
		c := crowd{
			t: t, s: s, of: map[scheduler.SeqID]int{}, seen: map[scheduler.SeqID]int{}, queue: make([]int, callers), rows: make([]int, callers),
		}
		oldest, since := scheduler.SeqID(0), 0
		for range rapid.IntRange(500, 3000).Draw(t, "steps") {
			for caller := range callers {
				want := batch + 1
				if caller == 0 {
					want *= 4 // the greedy one
				}
				for c.queue[caller] < want {
					c.add(caller)
				}
			}
			c.step()
			least, most := c.rows[0], c.rows[0]
			for _, rows := range c.rows {
				least, most = min(least, rows), max(most, rows)
			}
			if bound := quantum + 3*contextLen; most-least > bound {
				t.Fatalf("rows of the callers: %v; they are further apart than %d", c.rows, bound)
			}
			first := c.last
			for id := range c.of {
				first = min(first, id)
			}
			if since++; first != oldest {
				oldest, since = first, 0
			}
			if bound := callers * (quantum + contextLen) * (4*batch + 8); since > bound {
				t.Fatalf("sequence %d has been waiting for %d steps", oldest, since)
			}
		}
	})
}
