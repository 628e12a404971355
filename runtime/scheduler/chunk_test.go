package scheduler_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/weft-run/weft/runtime/kvcache"
	"github.com/weft-run/weft/runtime/scheduler"
)

// pacer is a machine on which a step takes what it takes; its model always samples 7.
type pacer struct {
	t                 *testing.T
	s                 *scheduler.Scheduler
	r                 *rand.Rand
	alone, first, row time.Duration // of a step of one decoding row; what a chunk adds, and each row of it
	busy              bool          // others use the processor, for forty steps in a hundred and now and then
	steps, streams    int
	prompts           scheduler.SeqID
}

func newPacer(t *testing.T, alone, first, row time.Duration, busy bool) *pacer {
	pages, err := kvcache.New(900, 32)
	if err != nil {
		t.Fatal(err)
	}
	s, err := scheduler.New(scheduler.Config{MaxBatch: 3, StepTokens: 512, LogitRows: 3, ContextLen: 9000}, pages)
	if err != nil {
		t.Fatal(err)
	}
	p := &pacer{t: t, s: s, r: rand.New(rand.NewPCG(5, 0)), alone: alone, first: first, row: row, busy: busy, streams: 1, prompts: 1}
	p.add(1, 1, 8000)
	return p
}

func (p *pacer) add(id scheduler.SeqID, prompt, most int) {
	if err := p.s.Add(&scheduler.Sequence{ID: id, Prompt: make([]int32, prompt), MaxTokens: most}); err != nil {
		p.t.Fatal(err)
	}
}

// took is how long a step of one decoding row with a chunk takes.
func (p *pacer) took(chunk int) time.Duration {
	d := p.alone + time.Duration(chunk)*p.row
	if chunk > 0 {
		d += p.first
	}
	scale := 0.9 + 0.2*p.r.Float64()
	if p.r.IntN(40) == 0 {
		scale *= 1.8
	}
	if p.busy && p.steps%100 < 40 {
		scale *= 2.5
	}
	if p.busy && p.r.IntN(4) == 0 {
		scale *= 1 + 2*p.r.Float64()
	}
	p.steps++
	return time.Duration(float64(d) * scale)
}

// run makes steps, always with a prompt where there are to be some, and returns how long they took in ascending order, and the rows of prompts in them.
func (p *pacer) run(steps int, prompts bool) (gaps []time.Duration, rows int) {
	for range steps {
		if c := p.s.Counts(); prompts && c.Waiting+c.Running < p.streams+1 {
			p.prompts++
			p.add(p.prompts, 8900, 1)
		}
		step := p.s.Schedule()
		d := p.took(step.Rows - step.DecodeRows)
		rows += step.Rows - step.DecodeRows
		var sampled []scheduler.Sampled
		for _, part := range step.Parts {
			if part.Sample {
				sampled = append(sampled, scheduler.Sampled{ID: part.ID, Token: 7})
			}
		}
		p.s.Update(step, sampled)
		p.s.Took(step, d)
		gaps = append(gaps, d)
	}
	slices.Sort(gaps)
	return gaps, rows
}

// plain makes steps beside prompts, and returns how many of them had no chunk of one.
func (p *pacer) plain(steps int) (plain int) {
	for range steps {
		if _, rows := p.run(1, true); rows == 0 {
			plain++
		}
	}
	return plain
}

// Beside long prompts the time between a stream's tokens stays within two and a half times what it is alone, at the 99th of 100, on machines
// of which rows cost more or less, the first of a chunk most, and something else takes the processor now and then or much of the time.
// And chunks are not much smaller than that asks for.
func TestChunksKeepGapsShort(t *testing.T) {
	const ms = time.Millisecond
	for name, m := range map[string]struct {
		alone, first, row time.Duration
		busy              bool
		steps             int // beside a prompt
	}{
		"rows are cheap":                        {40 * ms, 2 * ms, ms / 2, false, 100},
		"rows are dear":                         {40 * ms, 5 * ms, 8 * ms, false, 100},
		"the first one most":                    {40 * ms, 20 * ms, 2 * ms, false, 100},
		"for long":                              {40 * ms, 2 * ms, ms / 2, false, 2000},
		"rows are cheap, on a busy machine":     {40 * ms, 2 * ms, ms / 2, true, 2000},
		"rows are dear, on a busy machine":      {40 * ms, 5 * ms, 8 * ms, true, 2000},
		"the first one most, on a busy machine": {40 * ms, 20 * ms, 2 * ms, true, 2000},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPacer(t, m.alone, m.first, m.row, m.busy)
			alone, _ := p.run(2000, false)
			beside, rows := p.run(m.steps, true)
			if was, is := alone[len(alone)*99/100], beside[len(beside)*99/100]; is > was*5/2 {
				t.Errorf("99 of 100 gaps are within %v alone and within %v beside a prompt", was, is)
			}
			if want := m.steps * int((m.alone*3/4-m.first)/m.row) / 2; rows < want {
				t.Errorf("%d rows of the prompt in %d steps, %d would be half of what there was time for", rows, m.steps, want)
			}
		})
	}
}

// A busy time that begins between two measurements does not make chunks shrink: the prompt would wait for as long as it lasts.
func TestChunksLastThroughBusyTimes(t *testing.T) {
	p := newPacer(t, 40*time.Millisecond, 0, 4*time.Millisecond, false)
	p.run(200, true)
	_, quiet := p.run(500, true)
	p.alone, p.row = 3*p.alone, 3*p.row
	if _, busy := p.run(500, true); busy < quiet*3/4 {
		t.Errorf("%d rows of a prompt in 500 steps, and %d while all steps take three times longer", quiet, busy)
	}
}

// Streams that begin one after the other, as where many requests come at once, do not each begin to measure: every other step without a chunk
// made half of their beginning.
func TestBeginningStreamsAreComparedSeldom(t *testing.T) {
	p := newPacer(t, 40*time.Millisecond, 0, 2*time.Millisecond, false)
	p.add(2, 1, 8000)
	p.streams, p.prompts = 2, 2
	p.run(2, false)
	p.s.Pause(2, true)
	p.run(200, true) // beside one that decodes
	p.s.Pause(2, false)
	if plain := p.plain(12); plain > 2 {
		t.Errorf("of 12 steps beside one stream more %d went without a chunk", plain)
	}
}

// When a length has settled, one step goes without a chunk behind sixteen that have one.
func TestSettledChunksAreComparedSeldom(t *testing.T) {
	p := newPacer(t, 40*time.Millisecond, 0, 2*time.Millisecond, false)
	p.run(400, true)
	if plain := p.plain(170); plain != 10 {
		t.Errorf("%d of 170 steps went without a chunk, want 10", plain)
	}
}
