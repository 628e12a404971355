package speculation

import (
	"slices"
	"time"
)

const (
	// maxRows is the most rows of a step whose duration is remembered.
	maxRows = 64
	// samples is how many durations of steps of equal rows are remembered; the middle one counts. Machines are shared: a step that
	// lost its core says nothing of the next.
	samples = 5
	// slope is what each row more is supposed to add, as a part of what fewer rows took, until it was measured.
	slope = 0.15
	// stale is after how many steps a duration is forgotten, so that a judgement by chance is not for ever.
	stale = 512
	// leastGain is what guesses must promise: less is lost in what is not measured.
	leastGain = 1.06
	// patience is how much longer a step with guesses may take than without where others share it, who gain nothing by them.
	patience = 1.1
)

// Pace decides how many guesses are worth their rows. Tokens that a step is expected to give over the time that it takes is what
// counts: guesses that are often right pay until the rows cost more than they bring.
type Pace struct {
	took  [maxRows + 1]durations // by rows of the step
	steps uint64

	// Of the step that is planned.
	base, rows int     // sequences in it, and rows so far
	tokens     float64 // that it is expected to give so far
}

// durations are the last durations of steps of equal rows.
type durations struct {
	last   [samples]time.Duration
	count  int // of all
	middle time.Duration
	step   uint64 // when the latest came
}

// Observe learns how long a step took that had nothing but so many rows of sequences that decode, guesses among them.
func (p *Pace) Observe(rows int, took time.Duration) {
	p.steps++
	if rows < 1 || rows > maxRows {
		return
	}
	d := &p.took[rows]
	if p.steps-d.step > stale {
		d.count = 0
	}
	d.last[d.count%samples] = took
	d.count++
	d.step = p.steps
	sorted := d.last
	n := min(d.count, samples)
	slices.Sort(sorted[:n])
	d.middle = sorted[n/2]
}

// cost is the supposed duration of a step, in any unit that is the same for all rows; 0 where nothing is known. What was measured
// less than three times does not count against a step: one that lost its core would keep it from being tried again.
func (p *Pace) cost(rows int) float64 {
	low := rows
	for ; low > 0; low-- {
		if d := &p.took[low]; d.count > 0 && p.steps-d.step <= stale {
			break
		}
	}
	if low == 0 {
		return 0
	}
	d := &p.took[low]
	known := float64(d.middle)
	if low > 1 && d.count < 3 {
		known = min(known, p.cost(low-1)*(1+slope))
	}
	return known * (1 + slope*float64(rows-low))
}

// Plan begins the next step, in which so many sequences decode.
func (p *Pace) Plan(sequences int) {
	p.base, p.rows, p.tokens = sequences, sequences, float64(sequences)
}

// Guesses is how many guesses, up to most, the next sequence of the planned step should carry; trust is Lookup.Trust.
func (p *Pace) Guesses(trust func(ahead int) float64, most int) int {
	most = min(most, MaxGuesses, maxRows-p.rows)
	plain := p.cost(p.base)
	if plain == 0 {
		return 0
	}
	best, bestTokens := 0, p.tokens
	bestRate := p.tokens / p.cost(p.rows) * leastGain
	chance, tokens := 1.0, p.tokens
	for n := 1; n <= most; n++ {
		chance *= trust(n - 1)
		tokens += chance
		cost := p.cost(p.rows + n)
		if p.base > 1 && cost > plain*patience {
			break
		}
		if rate := tokens / cost; rate > bestRate {
			best, bestTokens, bestRate = n, tokens, rate
		}
	}
	p.rows += best
	p.tokens = bestTokens
	return best
}
