package speculation

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// A world in which a step of n rows takes what it takes, and guesses are right with one chance: what the Pace chooses is held
// against steps without guesses. Durations are data, so nothing here depends on a clock.
type world struct {
	took   func(rows int) float64
	chance float64
	noise  float64 // one step in twenty takes so many times longer
	mood   float64 // a hundred steps in turn, all take so many times longer: a core goes to another process
}

// run gives tokens to sequences and returns the time for each beside that without guesses.
func (w world) run(sequences int) float64 {
	r := rand.New(rand.NewPCG(5, 0))
	var p Pace
	var time1, tokens float64
	const steps = 4000
	rows := sequences
	for step := range steps {
		took := w.took(rows)
		if r.IntN(20) == 0 {
			took *= 1 + w.noise
		}
		time1 += took
		if step/100%2 == 1 {
			took *= 1 + w.mood
		}
		p.Observe(rows, rows-sequences, time.Duration(took*1e6))
		p.Plan(sequences)
		rows = sequences
		for range sequences {
			n := p.Guesses(func(int) float64 { return w.chance }, MaxGuesses)
			rows += n
			tokens++
			for range n {
				if r.Float64() >= w.chance {
					break
				}
				tokens++
			}
		}
	}
	return time1 / tokens / (w.took(sequences) * (1 + w.noise/20) / float64(sequences))
}

func TestPace(t *testing.T) {
	linear := func(slope float64) func(int) float64 {
		return func(rows int) float64 { return 10 * (1 + slope*float64(rows-1)) }
	}
	// The 135 M model on two cores at level avx2: few rows are dear, and sixteen cost little more than eight.
	panels := func(rows int) float64 {
		if rows < 8 {
			return 18 + 14*float64(rows-1)
		}
		return 98 + 0.6*float64(rows-8)
	}
	for name, c := range map[string]struct {
		world
		sequences int
		low, high float64 // time for each token beside that without guesses
	}{
		"copies":                          {world{linear(0.1), 0.98, 0, 0}, 1, 0, 0.35},
		"copies, rows are dear":           {world{linear(0.5), 0.98, 0, 0}, 1, 0, 0.85},
		"copies, rows cost as much as":    {world{linear(1), 0.98, 0, 0}, 1, 0.98, 1.03},
		"right half the time":             {world{linear(0.15), 0.5, 0, 0}, 1, 0, 0.9},
		"seldom right":                    {world{linear(0.15), 0.1, 0, 0}, 1, 1, 1.01},
		"seldom right, on a busy machine": {world{linear(0.3), 0.2, 3, 0}, 1, 0.97, 1.03},
		"copies, on a busy machine":       {world{linear(0.1), 0.98, 3, 0}, 1, 0, 0.4},
		"copies, in moods":                {world{linear(0.1), 0.98, 0, 3}, 1, 0, 0.35},
		"half right, in moods":            {world{linear(0.4), 0.5, 0, 3}, 1, 0.95, 1.02},
		"rows of panels":                  {world{panels, 0.95, 1, 1}, 1, 0, 0.92},
		"rows of panels, seldom right":    {world{panels, 0.4, 1, 1}, 1, 0.9, 1.03},
		"a cliff behind eight rows":       {world{func(n int) float64 { return 10 + 100*float64(n/9) }, 0.98, 0, 0}, 1, 0, 0.2},
		"four that copy":                  {world{linear(0.1), 0.98, 0, 0}, 4, 0.5, 1},
	} {
		if got := c.run(c.sequences); !(got >= c.low-1e-9 && got <= c.high+1e-9) {
			t.Errorf("%s: %.3f of the time, want %v to %v", name, got, c.low, c.high)
		}
	}
}

// Nobody's step is made much longer for another's guesses.
func TestPaceMindsOthers(t *testing.T) {
	var p Pace
	for rows := 2; rows < 32; rows++ {
		for range samples {
			p.Observe(1, 0, 104*time.Millisecond)
			p.Observe(rows, rows-1, time.Duration(100+4*rows)*time.Millisecond)
		}
	}
	p.Observe(1, 0, 104*time.Millisecond)
	p.Plan(3)
	for range 3 {
		p.Guesses(func(int) float64 { return 0.99 }, MaxGuesses)
	}
	if took, plain := p.cost(p.rows), p.cost(3); p.rows == 3 || took > plain*patience {
		t.Errorf("a step of %d rows takes %v, without guesses %v", p.rows, took, plain)
	}
	p.Plan(1)
	if n := p.Guesses(func(int) float64 { return 0.99 }, 3); n != 3 {
		t.Errorf("%d guesses where 3 have room", n)
	}
}

// What cannot be remembered is left alone.
func TestPaceWithoutMeasurements(t *testing.T) {
	var p Pace
	for _, rows := range []int{0, maxRows + 1, maxRows, 1, 0, 2, 1 << 30} {
		p.Observe(rows, rows%2, math.MaxInt64)
		p.Observe(rows, 1, 0)
	}
	for _, sequences := range []int{0, 1, maxRows, maxRows + 1} {
		p.Plan(sequences)
		for range sequences {
			p.Guesses(func(int) float64 { return 0.99 }, MaxGuesses)
		}
		if p.rows > max(sequences, maxRows) {
			t.Errorf("%d rows for %d sequences", p.rows, sequences)
		}
	}
}
