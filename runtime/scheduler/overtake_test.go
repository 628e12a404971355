package scheduler_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/weft-run/weft/runtime/kvcache"
	"github.com/weft-run/weft/runtime/scheduler"
)

// Short prompts without end go ahead of a long one that does not fit, and it still begins: what was computed before it is what was there before it, and
// for each of those that it waited behind as much as it has patience for.
func TestLongOnesDoNotStarve(t *testing.T) {
	const contextLen, patience, short, size = 400, 1024, 60, 16
	rapid.Check(t, func(t *rapid.T) {
		pages, err := kvcache.New(rapid.IntRange(contextLen/size, 50).Draw(t, "pages"), size)
		if err != nil {
			t.Fatal(err)
		}
		batch := rapid.IntRange(2, 8).Draw(t, "batch")
		s, err := scheduler.New(scheduler.Config{
			MaxBatch: batch, StepTokens: batch + rapid.IntRange(1, 200).Draw(t, "step"), LogitRows: batch, ContextLen: contextLen,
		}, pages)
		if err != nil {
			t.Fatal(err)
		}
		c := newCrowd(t, s, 1, func(most int) int { return rapid.IntRange(1, most).Draw(t, "length") })
		for range rapid.IntRange(0, 2*batch).Draw(t, "before") {
			c.add(0, short, short)
		}
		for range rapid.IntRange(0, 3).Draw(t, "long before") {
			c.add(0, contextLen-short, short)
		}
		for range rapid.IntRange(0, 20).Draw(t, "steps") {
			c.step()
		}
		ahead := len(c.of)
		c.add(0, contextLen-short, short)
		long := c.last
		bound := (ahead + 1) * (patience + batch*2*short + contextLen)
		waits := func() bool { _, alive := c.of[long]; return alive && c.seen[long] == 0 }
		for begin := c.all; waits(); c.step() {
			for c.queue[0] < ahead+3*batch {
				c.add(0, short, short)
			}
			if c.all-begin > bound {
				t.Fatalf("%d rows were computed while sequence %d behind %d others waits, no more than %d are to", c.all-begin, long, ahead, bound)
			}
		}
	})
}
