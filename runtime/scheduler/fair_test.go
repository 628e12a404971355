package scheduler_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"github.com/weft-run/weft/runtime/kvcache"
	"github.com/weft-run/weft/runtime/scheduler"
)

// crowd is some callers who always want more than there is, each with sequences of its own kind of the same mean length.
type crowd struct {
	t     rapid.TB
	s     *scheduler.Scheduler
	draw  func(most int) int // a length, from 1 on
	last  scheduler.SeqID
	of    map[scheduler.SeqID]int // whose sequence it is
	queue []int                   // of each caller, sequences alive
	rows  []int                   // of each caller, tokens computed that never were before
	seen  map[scheduler.SeqID]int // tokens computed so far
	all   int                     // tokens computed, those that were before included

	preempted int
}

func newCrowd(t rapid.TB, s *scheduler.Scheduler, callers int, draw func(most int) int) *crowd {
	return &crowd{
		t: t, s: s, draw: draw, of: map[scheduler.SeqID]int{}, seen: map[scheduler.SeqID]int{}, queue: make([]int, callers), rows: make([]int, callers),
	}
}

func (c *crowd) add(caller, prompt, tokens int) {
	id := c.last + 1
	c.put(caller, &scheduler.Sequence{
		Prompt: make([]int32, c.draw(prompt)), MaxTokens: c.draw(tokens), Root: kvcache.Key{byte(id), byte(id >> 8), byte(id >> 16)},
	})
}

// put adds a sequence of a caller, under the next ID.
func (c *crowd) put(caller int, seq *scheduler.Sequence) {
	c.last++
	c.of[c.last] = caller
	c.queue[caller]++
	seq.ID, seq.Caller = c.last, fmt.Sprint(caller)
	if err := c.s.Add(seq); err != nil {
		c.t.Fatal(err)
	}
}

func (c *crowd) step() {
	step := c.s.Schedule()
	c.preempted += step.Preempted
	var sampled []scheduler.Sampled
	for _, p := range step.Parts {
		if p.Sample {
			sampled = append(sampled, scheduler.Sampled{ID: p.ID, Token: 7})
		}
		c.all += len(p.Tokens)
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
		c := newCrowd(t, s, callers, func(most int) int { return rapid.IntRange(1, most).Draw(t, "length") })
		oldest, since := scheduler.SeqID(0), 0
		for range rapid.IntRange(500, 3000).Draw(t, "steps") {
			for caller := range callers {
				want := batch + 1
				if caller == 0 {
					want *= 4 // the greedy one
				}
				for c.queue[caller] < want {
					c.add(caller, 40, 60)
				}
			}
			c.step()
			least, most := c.rows[0], c.rows[0]
			for _, rows := range c.rows {
				least, most = min(least, rows), max(most, rows)
			}
			// Beside the sequences under way: a turn waits for what would be computed again, of each whose pages it takes.
			if bound := quantum + 6*contextLen; most-least > bound {
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

// Where callers take pages from each other, a turn is worth what it costs: most of the rows are not computed again.
func TestTurnsAreWorthTheirCost(t *testing.T) {
	const callers = 4
	pages, err := kvcache.New(24, 32)
	if err != nil {
		t.Fatal(err)
	}
	s, err := scheduler.New(scheduler.Config{MaxBatch: 10, StepTokens: 256, LogitRows: 10, ContextLen: 768}, pages)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	c := newCrowd(t, s, callers, func(most int) int { return 1 + rng.IntN(most) })
	for range 8000 {
		for caller := range callers {
			for c.queue[caller] < 5 {
				prompt := 128
				if c.last%4 == 0 {
					prompt = 656
				}
				c.add(caller, prompt, 96)
			}
		}
		c.step()
	}
	fresh := 0
	for _, rows := range c.rows {
		fresh += rows
	}
	if 4*fresh < 3*c.all {
		t.Errorf("%d of %d rows were computed for the first time, want three of four", fresh, c.all)
	}
}
