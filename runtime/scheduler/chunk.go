package scheduler

import "time"

// A reader sees a gap as long as the step that its next token comes in. So beside streams that somebody reads, prompts get as many rows as make
// the step stretch times as long as it would be without: the promise is two and a half times, and the rest is for what is not
// foreseen.
const stretch = 2

// measureEvery is how many steps with chunks may follow each other before one goes without, to see how long it takes now.
const measureEvery = 64

// chunk is how many rows of prompts a step takes beside those that decode. It knows the time from what it is told: a step of so many
// decoding rows alone took so long, a step with a chunk took so much longer for each row of it. Nothing of that reaches a result.
type chunk struct {
	told      bool            // a duration is known; before, nothing is limited
	idle      []time.Duration // by decoding rows, how long a step without a chunk takes; 0: not known
	since     []int           // by decoding rows, steps with a chunk since then
	row       time.Duration   // what a row of a chunk, or a guess, adds
	last      int             // rows of the last chunk
	measuring bool            // the step has no chunk, although there are prompts
	asked     int             // decoding rows that rows was asked for last
}

func newChunk(maxBatch int) chunk {
	return chunk{idle: make([]time.Duration, maxBatch+1), since: make([]int, maxBatch+1), last: 8}
}

// rows returns how many rows of prompts the next step may have beside decode others: 0 where it is to be measured without.
func (c *chunk) rows(decode int) int {
	c.asked = min(decode, len(c.idle)-1)
	idle := c.idle[c.asked]
	if !c.told {
		return 1<<31 - 1
	}
	if idle == 0 || c.since[c.asked] >= measureEvery {
		c.measuring = true
		return 0
	}
	row := c.row
	if row == 0 {
		row = max(idle/4, 1)
	}
	// What a row adds is known for chunks of about the last one's size: larger ones are approached.
	return max(1, min(int((stretch-1)*idle/row), c.last+c.last/4+1))
}

// took takes in how long a step was.
func (c *chunk) took(step *Step, d time.Duration) {
	measured := c.measuring
	c.told, c.measuring = true, false
	decode := min(step.DecodeRows, len(c.idle)-1)
	if measured {
		decode = c.asked
	}
	rows := step.Rows - step.DecodeRows
	if decode == 0 {
		return
	}
	idle := &c.idle[decode]
	switch {
	case rows == 0:
		*idle = follow(*idle, d, 2, 8)
		c.since[decode] = 0
	case *idle > 0:
		c.since[decode]++
		c.last = rows
		c.row = follow(c.row, max((d-*idle)/time.Duration(rows), *idle/1024, 1), 3, 2)
	}
}

// follow moves an average towards what was measured, by one part in down or in up. Something else may have had the processor for a
// while: one measurement is not believed to be more than twice the average.
func follow(average, measured time.Duration, down, up time.Duration) time.Duration {
	switch {
	case average == 0:
		return measured
	case measured < average:
		return average - (average-measured)/down
	default:
		return average + (min(measured, 2*average)-average)/up
	}
}

// Took tells how long a step took, from Schedule to the release of its tokens. Without it chunks are not limited.
func (s *Scheduler) Took(step Step, d time.Duration) { s.chunk.took(&step, max(d, 1)) }
