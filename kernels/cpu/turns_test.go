package cpu

import (
	"math/rand/v2"
	"testing"
	"time"
)

// simulated is one engine in a simulation without a clock: it takes turns of some length, and is away for some time after each.
type simulated struct {
	turn
	name       string
	model      string // what it is a generation of
	step, away func() time.Duration
	from       time.Duration // when it first wants a turn
	turns      int           // that it has; 0: without end

	had          int
	spent        time.Duration
	asked        time.Duration // since when it waits
	waited, idle time.Duration // the longest that it waited for one turn; until when it is away
}

func always(d time.Duration) func() time.Duration { return func() time.Duration { return d } }

// simulate runs engines on turns until some moment, in which each event comes at its time, and returns how long the workers had nothing to do.
func simulate(engines []*simulated, until time.Duration) (rested time.Duration) {
	q := &turns{models: map[string]*account{}}
	wants := func(e *simulated) bool { return e.turns == 0 || e.had < e.turns }
	for _, e := range engines {
		e.turn = *q.open(e.model)
		e.idle = max(e.from, 1)
	}
	now := time.Duration(1)
	var busy *simulated
	var ends time.Duration
	begin := func(e *simulated) {
		busy, ends = e, now+e.step()
		e.had++
		e.waited = max(e.waited, now-e.asked)
	}
	for now < until {
		// The next event: the end of the turn that is on, the end of patience, or somebody who comes back.
		at, what := until, (*simulated)(nil)
		if busy != nil {
			at = min(at, ends)
		}
		if q.kept != nil {
			at = min(at, q.until)
		}
		for _, e := range engines {
			if e.idle > 0 && e.idle < at {
				at, what = e.idle, e
			}
		}
		at = max(at, now)
		if busy == nil {
			rested += at - now
		} else {
			busy.spent += at - now
		}
		now = at
		switch {
		case now >= until:
			return rested
		case what != nil:
			what.idle, what.asked = 0, now
			if q.ask(&what.turn, now) {
				begin(what)
			}
			continue
		case busy != nil && now == ends:
			e := busy
			busy = nil
			q.end(&e.turn, now)
			if wants(e) {
				e.idle = now + e.away()
			}
		case q.kept != nil && now == q.until:
			q.next(now)
		}
		for _, e := range engines {
			select {
			case <-e.granted:
				begin(e)
			default:
			}
		}
	}
	return rested
}

// TestTurnsShareByTime: engines with long and with short steps have the same time, none waits for more than a turn of each other, and the
// workers rest for no longer than patience costs.
func TestTurnsShareByTime(t *testing.T) {
	const ms = time.Millisecond
	for name, c := range map[string][]*simulated{
		"prefill beside decoding": {
			{name: "prefill", step: always(200 * ms), away: always(ms / 2)}, {name: "decode", step: always(5 * ms), away: always(ms / 3)},
		},
		"three": {
			{name: "long", step: always(100 * ms), away: always(ms / 4)},
			{name: "short", step: always(3 * ms), away: always(ms / 4)},
			{name: "shorter", step: always(ms), away: always(ms / 10)},
		},
		"alike": {
			{name: "a", step: always(10 * ms), away: always(ms)}, {name: "b", step: always(10 * ms), away: always(ms)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			const length = 60 * time.Second
			rested := simulate(c, length)
			for _, e := range c {
				if share := float64(e.spent) * float64(len(c)) / float64(length-rested); share < 0.9 || share > 1.1 {
					t.Errorf("%s has %.2f of its share", e.name, share)
				}
				var others time.Duration
				for _, o := range c {
					if o != e {
						others += o.step() + 2*mostPatience
					}
				}
				// It may wait until others have had as much as it was ahead: a turn of its own.
				if most := others + e.step()*time.Duration(len(c)); e.waited > most {
					t.Errorf("%s waited for %v, want %v at most", e.name, e.waited, most)
				}
			}
			if float64(rested) > 0.25*float64(length) {
				t.Errorf("the workers rested for %v of %v", rested, length)
			}
		})
	}
}

// TestTurnsAreNotSavedUp: who comes late has its share from then on, and no more.
func TestTurnsAreNotSavedUp(t *testing.T) {
	const ms = time.Millisecond
	early := &simulated{name: "early", step: always(20 * ms), away: always(ms / 4)}
	late := &simulated{name: "late", step: always(4 * ms), away: always(ms / 4), from: 30 * time.Second}
	simulate([]*simulated{early, late}, 40*time.Second)
	if since := early.spent - 30*time.Second; late.spent < 4*time.Second || late.spent > 6*time.Second || since < 4*time.Second-ms {
		t.Errorf("of the last ten seconds who came late has %v, the other %v", late.spent, since)
	}
}

// TestTurnsOfWhoDoesNotComeBack: the others lose patience once, and nobody who is slow is waited for again and again.
func TestTurnsOfWhoDoesNotComeBack(t *testing.T) {
	const ms = time.Millisecond
	steady := &simulated{name: "steady", step: always(50 * ms), away: always(ms / 4)}
	gone := &simulated{name: "gone", step: always(ms), away: always(ms / 4), turns: 500}
	slow := &simulated{name: "slow", step: always(ms), away: always(30 * ms)}
	rested := simulate([]*simulated{steady, gone, slow}, 20*time.Second)
	if gone.had != 500 || steady.spent < 18*time.Second || rested > time.Second {
		t.Errorf("%d turns, %v of the time for the one that stayed, %v of rest", gone.had, steady.spent, rested)
	}
}

// TestTurnsNeverStarve: whatever the lengths of turns and absences, everybody goes on having turns.
func TestTurnsNeverStarve(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 1))
		draw := func(most time.Duration) func() time.Duration {
			most = 1 + time.Duration(r.Int64N(int64(most)))
			return func() time.Duration { return 1 + time.Duration(r.Int64N(int64(most))) }
		}
		var engines []*simulated
		var longest time.Duration
		for range 2 + r.IntN(5) {
			e := &simulated{step: draw(100 * time.Millisecond), away: draw(5 * time.Millisecond), from: time.Duration(r.Int64N(int64(time.Second)))}
			engines = append(engines, e)
		}
		simulate(engines, 30*time.Second)
		longest = time.Duration(2*len(engines)) * (100*time.Millisecond + mostPatience)
		for i, e := range engines {
			if e.had < 10 || e.waited > longest {
				t.Errorf("seed %d: engine %d of %d had %d turns and waited for %v once", seed, i, len(engines), e.had, e.waited)
			}
		}
	}
}

// TestTurnsOfGenerations: between two steps of one generation of a model is at most one of the other, however much shorter that is, unless it is
// nothing beside it; a step that is very long leaves the other a fifth of the time; and to another model both are one.
func TestTurnsOfGenerations(t *testing.T) {
	const ms = time.Millisecond
	const length = 60 * time.Second
	for name, c := range map[string]struct {
		old, new, other time.Duration // steps; other is another model's, or 0
		wait            time.Duration // that the old one may wait for
		least           float64       // share of the new one in the time of both
	}{
		"the new one has few streams": {100 * ms, 50 * ms, 0, 50 * ms, 0.3},
		"the new one has a prompt":    {100 * ms, 120 * ms, 0, 120 * ms, 0.5},
		"a prompt on the old one":     {4000 * ms, 50 * ms, 0, 1050 * ms, 0.18},
		"another model":               {100 * ms, 50 * ms, 10 * ms, 50*ms + 150*ms, 0.3},
	} {
		t.Run(name, func(t *testing.T) {
			before := &simulated{model: "m", step: always(c.old), away: always(ms / 2)}
			after := &simulated{model: "m", step: always(c.new), away: always(ms / 2)}
			engines := []*simulated{before, after}
			if c.other > 0 {
				engines = append(engines, &simulated{model: "n", step: always(c.other), away: always(ms / 2)})
			}
			rested := simulate(engines, length)
			if most := c.wait + mostPatience; before.waited > most {
				t.Errorf("the old generation waited for %v, want %v at most", before.waited, most)
			}
			both := before.spent + after.spent
			if share := float64(after.spent) / float64(both); share < c.least {
				t.Errorf("the new generation has %.2f of the time of both, want %.2f at least", share, c.least)
			}
			if share := 2 * float64(both) / float64(length-rested); c.other > 0 && (share < 0.9 || share > 1.1) {
				t.Errorf("the model has %.2f of its share", share)
			}
		})
	}
}

// TestTurnsOnADevice: goroutines that want turns without pause all have them, one at a time, by a real timer; one that leaves while a turn is kept
// for it holds up nobody; and nothing is allocated.
func TestTurnsOnADevice(t *testing.T) {
	q := newTurns()
	var inside int
	done := make(chan int)
	const each = 300
	for range 4 {
		go func() {
			mine, n := q.open(""), 0
			for range each {
				q.take(mine)
				inside++
				if inside == 1 {
					n++
				}
				inside--
				q.give(mine)
			}
			q.leave(mine)
			done <- n
		}()
	}
	for range 4 {
		if n := <-done; n != each {
			t.Errorf("%d of %d turns were had alone", n, each)
		}
	}
	alone := q.open("")
	if n := testing.AllocsPerRun(100, func() { q.take(alone); q.give(alone) }); n != 0 {
		t.Errorf("a turn allocates %v times", n)
	}
}

// TestTurnsBeside: who shares an account learns that others of it are at work, and that they no longer are.
func TestTurnsBeside(t *testing.T) {
	q := newTurns()
	old, other := q.open("m"), q.open("n")
	turn := func(x *turn) { q.take(x); q.give(x) }
	turn(old)
	turn(other)
	next := q.open("m")
	want := func(when string, oldBeside, nextBeside bool) {
		t.Helper()
		if o, n := q.beside(old), q.beside(next); o != oldBeside || n != nextBeside {
			t.Errorf("%s: the old one is beside others: %v, want %v; the new one: %v, want %v", when, o, oldBeside, n, nextBeside)
		}
	}
	want("before the new one's first turn", false, false)
	q.take(old)
	want("while the old one has its turn", true, true)
	q.give(old)
	want("behind it", false, true)
	turn(next)
	want("behind the new one's", true, false)
	turn(other)
	turn(old)
	turn(old)
	want("when only the old one had turns", false, true)
	turn(next)
	turn(next)
	want("when only the new one had turns", true, false)
	if q.beside(other) {
		t.Error("a model of one generation is beside others")
	}
}
