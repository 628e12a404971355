package speculation

import (
	"math/bits"
	"slices"
	"time"
)

const (
	// maxRows is the most rows of a step whose cost is learned; sizes are the classes of rows that share what was measured: 2, 3 to 4, 5 to 8,
	// and so on.
	maxRows, sizes = 64, 6
	// samples is how many costs of steps of a size are remembered; the middle one counts.
	samples = 9
	// slope is what each row more is supposed to add, in steps of one row, until a cost was measured; from there on it is as steep as
	// up to there.
	slope = 0.2
	// enough is how many costs must be known before the middle one counts against steps of a size: a step that lost its core
	// would keep its like from being tried again.
	enough = 3
	// stale is after how many steps without a new cost the middle one does not count against them either, so that a judgement by chance is
	// not for ever.
	stale = 128
	// leastGain is what guesses must promise over none, and more of them over fewer: less is lost in what is not measured.
	leastGain = 1.1
	// patience is how much longer a step with guesses may take than without where others share it, who gain nothing by them.
	patience = 1.1
)

// amounts are the numbers of guesses to choose from. They are few, so that what their steps cost is soon known.
var amounts = [...]int{1, 3, 7, MaxGuesses}

// Pace decides how many guesses are worth their rows. Tokens that a step is expected to give over what it costs is what counts:
// guesses that are often right pay until the rows cost more than they bring.
//
// Costs are in steps of one row. A step is compared only with the one before it: machines are shared and contexts grow, so a
// duration of a while ago says little, and of two steps in a row the one that lost its core says nothing of the next pair.
type Pace struct {
	costs [sizes]costs
	steps uint64

	// Of the step before: its rows, 0 where nothing is known of it, its guesses, and how long it took.
	before, guessesBefore int
	tookBefore            time.Duration

	// Of the step that is planned.
	base, rows int     // sequences in it, and rows so far
	tokens     float64 // that it is expected to give so far
}

// costs are the last costs of steps of a size, as what each row more than one added.
type costs struct {
	last   [samples]float64
	count  int // of all
	middle float64
	step   uint64 // when the latest came
}

// Observe learns how long a step took that had nothing but so many rows of sequences that decode, guesses of them guesses. Rows
// of 0 stand for a step of another kind. Of two steps in a row one must be without guesses to tell what the other costs.
func (p *Pace) Observe(rows, guesses int, took time.Duration) {
	p.steps++
	if rows > maxRows || took <= 0 {
		rows, guesses = 0, 0
	}
	before, guessesBefore, tookBefore := p.before, p.guessesBefore, p.tookBefore
	p.before, p.guessesBefore, p.tookBefore = rows, guesses, took
	switch {
	case rows == 0 || before == 0:
	case guesses > 0 && guessesBefore == 0 && rows > before:
		p.note(rows, p.cost(before)*float64(took)/float64(tookBefore))
	case guesses == 0 && guessesBefore > 0 && before > rows:
		p.note(before, p.cost(rows)*float64(tookBefore)/float64(took))
	}
}

func (p *Pace) note(rows int, cost float64) {
	c := &p.costs[size(rows)]
	c.last[c.count%samples] = max(cost-1, 0) / float64(rows-1) // more rows are never cheaper than one
	c.count++
	c.step = p.steps
	n := min(c.count, samples)
	sorted := c.last
	slices.Sort(sorted[:n])
	c.middle = sorted[n/2]
}

// size is the class of a step of so many rows, 2 to maxRows.
func size(rows int) int { return bits.Len(uint(rows-1)) - 1 }

// cost is what a step of so many rows is supposed to cost: between those that were measured it grows evenly.
func (p *Pace) cost(rows int) float64 {
	cost, from, slope := 1.0, 1, slope
	for s := range p.costs {
		if p.costs[s].count == 0 {
			continue
		}
		most := 2 << s
		measured := max(1+float64(p.costs[s].middle*float64(most-1)), cost)
		if !p.sure(s) {
			measured = min(measured, cost+float64(slope*float64(most-from)))
		}
		if rows < most {
			return cost + float64((measured-cost)*float64(rows-from))/float64(most-from)
		}
		cost, from = measured, most
		slope = (cost - 1) / float64(most-1)
	}
	return cost + float64(slope*float64(rows-from))
}

// sure says whether enough is known of steps of a size to count against them.
func (p *Pace) sure(size int) bool {
	c := &p.costs[size]
	return c.count >= enough && p.steps-c.step <= stale
}

// Plan begins the next step, in which so many sequences decode.
func (p *Pace) Plan(sequences int) {
	p.base, p.rows, p.tokens = sequences, sequences, float64(sequences)
}

// Guesses is how many guesses, up to most, the next sequence of the planned step should carry; trust is Lookup.Trust.
func (p *Pace) Guesses(trust func(ahead int) float64, most int) int {
	n, _ := p.choose(trust, 0, most)
	return n
}

// choose is Guesses where making each guess costs something too, in steps of one row. later says that there would be some, had the step
// before had none: beside such a one the next with guesses tells what it costs.
func (p *Pace) choose(trust func(ahead int) float64, each float64, most int) (n int, later bool) {
	if most < 1 || p.rows >= maxRows || trust(0) == 0 {
		return 0, false
	}
	best, bestTokens := 0, p.tokens
	bestRate := p.tokens / p.cost(p.rows) * leastGain
	longest := p.cost(p.base) * patience
	chance, tokens, counted := 1.0, p.tokens, 0
	for _, n := range amounts {
		if n > most || p.rows+n > maxRows {
			break
		}
		for ; counted < n; counted++ {
			chance *= trust(counted)
			tokens += chance
		}
		cost := p.cost(p.rows + n)
		if p.base > 1 && cost > longest {
			break
		}
		if rate := tokens / (cost + float64(each*float64(n))); rate > bestRate {
			best, bestTokens, bestRate = n, tokens, rate*leastGain
		}
	}
	if best > 0 && p.guessesBefore > 0 && !p.sure(size(p.rows+best)) {
		return 0, true
	}
	p.rows += best
	p.tokens = bestTokens
	return best, false
}
