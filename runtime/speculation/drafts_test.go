package speculation

import (
	"math/rand/v2"
	"testing"
	"time"
)

// A model whose guesses are right often enough for what they cost is used, and any other costs next to nothing. Durations are data.
func TestDrafts(t *testing.T) {
	linear := func(slope float64) func(int) float64 {
		return func(rows int) float64 { return 10 * (1 + slope*float64(rows-1)) }
	}
	for name, c := range map[string]struct {
		took      func(rows int) float64
		chance    float64
		each      float64 // what a guess takes to make, in steps of one row
		noise     float64 // one in twenty takes so many times longer
		low, high float64 // time for each token beside that without guesses
	}{
		"good, small":                    {linear(0.1), 0.85, 0.1, 0, 0, 0.6},
		"good, a third as large":         {linear(0.1), 0.85, 0.35, 0, 0, 0.85},
		"good, as large":                 {linear(0.1), 0.95, 1, 0, 0.99, 1.02},
		"seldom right":                   {linear(0.1), 0.2, 0.1, 0, 0.99, 1.02},
		"never right":                    {linear(0.1), 0, 0.05, 0, 0.99, 1.02},
		"good, rows are dear":            {linear(0.9), 0.9, 0.1, 0, 0.98, 1.02},
		"good, small, on a busy machine": {linear(0.1), 0.85, 0.1, 3, 0, 0.65},
		"bad, on a busy machine":         {linear(0.3), 0.3, 0.3, 3, 0.98, 1.03},
	} {
		r := rand.New(rand.NewPCG(6, 0))
		noisy := func(took float64) float64 {
			if r.IntN(20) == 0 {
				took *= 1 + c.noise
			}
			return took
		}
		var p Pace
		var d Drafts
		spent, plain, tokens, asked := 0.0, 0.0, 0, 0
		for range 20000 {
			took := noisy(c.took(1 + asked))
			right := 0
			for right < asked && r.Float64() < c.chance {
				right++
			}
			if asked > 0 {
				d.Tried(asked, right)
			}
			spent += took
			tokens += 1 + right
			p.Observe(1+asked, asked, time.Duration(took*1e6))
			p.Plan(1)
			if asked = d.Ask(&p, MaxGuesses); asked > 0 {
				making := noisy(float64(asked) * c.each * c.took(1))
				spent += making
				d.Made(&p, asked, time.Duration(making*1e6))
			}
			plain += c.took(1) * (1 + c.noise/20)
		}
		got := spent / float64(tokens) / (plain / 20000)
		if got < c.low || got > c.high {
			t.Errorf("%s: %.3f of the time without guesses, want %.2f to %.2f", name, got, c.low, c.high)
		}
		t.Logf("%s: %.3f", name, got)
	}
}

func TestDraftsAreNotAskedForMoreThanThereIsRoomFor(t *testing.T) {
	var p Pace
	var d Drafts
	for most := range 3 {
		p.Plan(1)
		if n := d.Ask(&p, most-1); n > max(0, most-1) {
			t.Errorf("%d guesses where %d fit", n, most-1)
		}
	}
}
