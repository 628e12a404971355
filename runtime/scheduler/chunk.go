package scheduler

import "time"

const (
	// stretch is how many times longer than without a chunk a step may be: a reader sees a gap as long as the step that its next token
	// comes in. The promise is two and a half times; the rest is for what is not foreseen, as others' use of the machine.
	stretch = 1.75
	// firstRows is the length of a chunk of which nothing is known, and mostRows bounds what is remembered.
	firstRows, mostRows = 8, 1 << 20
	// A comparison changes a length by half at first, by half of that when it says other than the one before, and at last by leastChange.
	firstChange, leastChange = 0.5, 0.125
	// At first every other step goes without a chunk, behind each two comparisons of a length one less often, and at last one in measureEvery.
	measureEvery = 16
	// rowsAtOnce is how many rows a kernel takes side by side: one more takes as long as so many.
	rowsAtOnce = 4
	// besideRows is how many rows a step has where others wait for it, prompts included; those that decode leave prompts at least half of it. So many
	// take less than twice the time of one row, and prompts no longer make steps that many times as long as those of the others.
	besideRows = 8
)

// chunk is how many rows of prompts a step takes beside those that decode. It knows the time from what it is told, and compares a
// step with a chunk only with one without that is next to it: machines are shared, and how long a step took a while ago says
// little. However much the two differ, a comparison moves the length by a little: it settles where as many say too long as too short.
// Steps that lost their core for a moment, some of either kind, move it back and forth but not away. Nothing of that reaches a result.
type chunk struct {
	told    bool // a duration is known; before, nothing is limited
	lengths []length
	before  plain // the step before

	// Of the step that is planned.
	asked     int  // decoding rows that its chunk was asked for
	limited   bool // it was
	measuring bool // it has no chunk, although there are prompts
}

// length is that of a chunk beside a number of decoding rows.
type length struct {
	rows     float64 // 0: not known
	change   float64 // part of rows that the next comparison changes it by
	grew     bool    // what the last one did
	compared int
	since    int // steps with a chunk since the last without
}

// plain is what is compared of a step. Where decode is 0 it is of another kind.
type plain struct {
	decode, rows int // rows are those that do not decode
	took         time.Duration
}

func newChunk(maxBatch int) chunk { return chunk{lengths: make([]length, maxBatch+1)} }

// rows returns how many rows of prompts the next step may have beside decode others: 0 where it is to be measured without.
func (c *chunk) rows(decode int) int {
	if !c.told {
		return 1<<31 - 1
	}
	c.asked, c.limited = min(decode, len(c.lengths)-1), true
	l := &c.lengths[c.asked]
	if l.rows == 0 {
		*l = c.first()
	}
	if l.since > min(measureEvery-1, l.compared/2) {
		c.measuring = true
		return 0
	}
	return l.whole(decode)
}

// first is the length to begin with. More decoding rows take longer, and leave time for chunks that are no shorter: what is known of fewer
// is half believed, so that streams that begin one after the other do not begin to measure with each.
func (c *chunk) first() length {
	for i := c.asked - 1; i > 0; i-- {
		if l := &c.lengths[i]; l.compared > 0 {
			return length{rows: l.rows, change: min(2*l.change, firstChange), grew: l.grew, compared: l.compared / 2}
		}
	}
	for i := c.asked + 1; i < len(c.lengths); i++ {
		if l := &c.lengths[i]; l.compared > 0 {
			return length{rows: max(1, l.rows/2), change: firstChange, grew: true}
		}
	}
	return length{rows: firstRows, change: firstChange, grew: true}
}

// whole is the length in rows, of which the last ones beside decode others leave no kernel half idle.
func (l *length) whole(decode int) int {
	rows := int(l.rows)
	if over := (decode + rows) % rowsAtOnce; over < rows {
		rows -= over
	}
	return rows
}

// took takes in how long a step was.
func (c *chunk) took(step *Step, d time.Duration) {
	now := plain{min(step.DecodeRows, len(c.lengths)-1), step.Rows - step.DecodeRows, d}
	switch {
	case now.rows > 0 && (!c.limited || now.rows == step.DraftRows):
		now.decode = 0
	case c.limited:
		now.decode = c.asked
	}
	before := c.before
	c.told, c.limited, c.measuring, c.before = true, false, false, now
	if now.decode == 0 {
		return
	}
	l := &c.lengths[now.decode]
	if l.since++; now.rows == 0 {
		l.since = 0
	}
	if now.decode != before.decode {
		return
	}
	switch {
	case now.rows > 0 && before.rows == 0:
		l.compare(now, before)
	case now.rows == 0 && before.rows > 0:
		l.compare(before, now)
	}
}

// compare changes the length by how long a step with a chunk took beside one without.
func (l *length) compare(with, without plain) {
	l.compared++
	grow := float64(with.took) < stretch*float64(without.took)
	// A shorter chunk, as at the end of a prompt, may say that this length is too much, a longer one that it is not enough.
	if rows := l.whole(with.decode); grow && with.rows < rows || !grow && (with.rows > rows || 2*with.rows < rows) {
		return
	}
	if grow != l.grew {
		l.change = max(l.change/2, leastChange)
	}
	l.grew = grow
	change := max(l.rows*l.change, 0.5)
	if !grow {
		change = -change
	}
	l.rows = min(max(l.rows+change, 1), mostRows)
}

// Beside tells whether streams of others, which are on another generation of the model, wait for the next step: its prompts' rows are few then,
// although none of its own streams may wait for them.
func (s *Scheduler) Beside(others bool) { s.beside = others }

// Took tells how long a step took, from Schedule to the release of its tokens. Without it chunks are not limited.
func (s *Scheduler) Took(step Step, d time.Duration) { s.chunk.took(&step, max(d, 1)) }
