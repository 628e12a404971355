package speculation

import (
	"slices"
	"time"
)

const (
	// trials are how often a model is asked before it is judged, for so many guesses each.
	trials, trialGuesses = 6, 3
	// shortRest and longRest bound how many steps pass before a model that did not pay is tried again: twice as many each time, as what it is
	// worth depends on the text, and each trial costs some steps.
	shortRest, longRest = 512, 1 << 14
)

// Drafts keeps account of the guesses of another model, the draft, at the tokens of one sequence at a time: how often they are right, what
// making each takes beside a step of the model that it guesses for, and whether it pays to ask.
type Drafts struct {
	right, tried float64 // guesses behind right ones
	costs        [samples]float64
	made         int // costs so far
	asked        int // trials since the last rest
	rest         int // steps until it is tried again
	pause        int // how long the next rest will be
}

// Ask is how many guesses, up to most, the draft is to be asked for: those that the sequence of the step that p has planned should carry.
func (d *Drafts) Ask(p *Pace, most int) int {
	if d.rest > 0 {
		d.rest--
		return 0
	}
	if d.asked < trials || d.made == 0 {
		if p.guessesBefore > 0 { // two in a row tell nothing of what they cost
			return 0
		}
		return max(0, min(most, trialGuesses))
	}
	chance := d.chance()
	n, later := p.choose(func(int) float64 { return chance }, d.cost(), most)
	switch {
	case n > 0:
		d.pause = shortRest
	case !later && most >= trialGuesses:
		d.pause = min(max(2*d.pause, shortRest), longRest)
		d.rest, d.asked = d.pause, 0
	}
	return n
}

// Made learns how long the draft took for n guesses beside the step that p has observed last.
func (d *Drafts) Made(p *Pace, n int, took time.Duration) {
	if n < 1 || p.before == 0 {
		return
	}
	step := float64(p.tookBefore) / p.cost(p.before)
	d.costs[d.made%samples] = float64(took) / float64(n) / step
	d.made++
}

// Tried learns that of n guesses which a step computed the first right ones were right.
func (d *Drafts) Tried(n, right int) {
	d.asked++
	d.right += float64(right)
	d.tried += float64(min(right+1, n))
	if d.tried >= 4*forgetAfter {
		d.right, d.tried = d.right/2, d.tried/2
	}
}

// chance is that of a guess to be right where those before it are; one guess counts as wrong that was not.
func (d *Drafts) chance() float64 { return d.right / (d.tried + 1) }

// cost is what a guess takes to make, in steps of one row: the middle of the last few.
func (d *Drafts) cost() float64 {
	sorted, n := d.costs, min(d.made, samples)
	slices.Sort(sorted[:n])
	return sorted[n/2]
}
