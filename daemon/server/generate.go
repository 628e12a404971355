package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/weft-run/weft/daemon/api"
	"github.com/weft-run/weft/runtime/engine"
	"github.com/weft-run/weft/runtime/sampler"
)

// job is what one HTTP request wants generated: n choices for each prompt. Choice i is the i%n-th of prompt i/n.
type job struct {
	model   *Model
	prompts [][]int32
	n       int
	request engine.Request // of every choice, but for the prompt and the seed
	stops   []stopString
	salt    string // cache_salt
	receipt bool   // whether outcomes are kept
	reused  int    // tokens of the prompts that were found in the cache; known when all choices have ended
	detail  string // what the finish reason of a choice left open, or empty; known then too
	// Guesses at tokens to come that were computed, and those of them that were right; known when all choices have ended.
	drafted, accepted int

	outcomes []outcome // of the choices, where receipts are wanted
}

// outcome is what a choice came to.
type outcome struct {
	ids    []int32
	finish string
}

func (j *job) choices() int { return len(j.prompts) * j.n }

// usage counts the job's tokens once completion of them are generated. A prompt counts once, however many choices it has.
func (j *job) usage(completion int) *api.Usage {
	u := &api.Usage{CompletionTokens: completion}
	for _, p := range j.prompts {
		u.PromptTokens += len(p)
	}
	u.TotalTokens = u.PromptTokens + completion
	u.PromptDetails.CachedTokens = j.reused
	return u
}

// event is one thing that happened to one choice. Every choice has a first event, then one for each token, and one with a finish
// reason at its end.
type event struct {
	choice int
	first  bool                 // nothing has been generated yet
	prompt []engine.PromptToken // in the first event, where prompt log probabilities were asked for
	token  *sampler.Token       // nil but in the event of a token
	offset int                  // code points of this choice's generated text before the token
	text   string               // what may be shown now: not always the token's own text
	finish string               // in the last event of the choice
	detail string               // beside it, what it leaves open
	last   bool                 // the last event of the last choice
}

// generation runs a job. Its emit is called by one goroutine at a time.
type generation struct {
	s   *Server
	job *job
	rec *record

	mu      sync.Mutex // also held while emit runs
	emit    func(event) error
	left    int              // choices that have not ended; under mu
	firsts  []*engine.Stream // of each prompt, its first choice
	timings api.Timings
}

// generate runs all choices of a job and calls emit for what happens. It returns when all have ended, at the first error, or when
// ctx is done; by then nothing of the job is left in the engine and emit is not called any more.
func (s *Server) generate(ctx context.Context, rec *record, j *job, emit func(event) error) (api.Timings, error) {
	g := &generation{s: s, job: j, rec: rec, emit: emit, left: j.choices(), firsts: make([]*engine.Stream, len(j.prompts))}
	j.request.Caller = rec.caller.Domain()
	j.request.Domain = domainOf(j.request.Caller, j.salt)
	j.reused, j.drafted, j.accepted = 0, 0, 0
	if j.receipt {
		j.outcomes = make([]outcome, j.choices())
	}
	rec.choices = j.choices()
	rec.prompt = j.usage(0).PromptTokens
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var err error
	if g.left == 1 {
		var stream Stream
		if stream, err = g.submit(0); err == nil {
			err = g.choice(ctx, 0, stream)
		}
	} else {
		err = g.several(ctx, cancel)
	}
	g.timings.Total = milliseconds(time.Since(rec.arrived))
	return g.timings, err
}

// several runs more than one choice, each in a goroutine that ends before several returns. When the engine's queue is full and some
// of the choices are in it, the others wait for these: only a job that gets no place at all is turned away.
func (g *generation) several(ctx context.Context, cancel context.CancelFunc) error {
	ended := make(chan error)
	running := 0
	var failure error
	wait := func() {
		if err := <-ended; err != nil && failure == nil {
			failure = err
			cancel()
		}
		running--
	}
	for i := 0; i < g.job.choices() && failure == nil; i++ {
		stream, err := g.submit(i)
		var full *engine.QueueFullError
		for errors.As(err, &full) && running > 0 && failure == nil {
			wait()
			stream, err = g.submit(i)
		}
		if err != nil {
			if failure == nil {
				failure = err
				cancel()
			}
			break
		}
		running++
		go func() {
			defer func() {
				if p := recover(); p != nil { // a panic here would end the daemon: net/http guards its own goroutine only
					g.s.panicked(ctx, g.rec, p)
					ended <- errPanic
				}
			}()
			ended <- g.choice(ctx, i, stream)
		}()
	}
	for running > 0 {
		wait()
	}
	return failure
}

func (g *generation) submit(choice int) (Stream, error) {
	r := g.job.request
	r.Prompt = g.job.prompts[choice/g.job.n]
	// By position and seed alone the choices of one prompt would all be the same.
	r.Sampling.Seed += uint64(choice % g.job.n)
	r.Behind = g.firsts[choice/g.job.n]
	stream, err := g.job.model.Engine.Submit(r)
	if first, ok := stream.(*engine.Stream); ok && err == nil && choice%g.job.n == 0 {
		g.firsts[choice/g.job.n] = first
	}
	return stream, err
}

// choice turns one stream of tokens into events.
func (g *generation) choice(ctx context.Context, choice int, stream Stream) error {
	defer g.note(choice, stream)
	defer stream.Cancel()
	first := event{choice: choice, first: true}
	if g.job.request.PromptLogprobs {
		prompt, err := stream.Prompt(ctx)
		if err != nil {
			return g.because(ctx, err)
		}
		first.prompt = prompt
	}
	begun := false
	begin := func() error { // with the first token: until then an error has a status of its own
		if begun {
			return nil
		}
		begun = true
		return g.tell(first)
	}
	decoder := g.job.model.Tokenizer.NewDecoder(true)
	stops := newStopMatcher(g.job.stops)
	offset, found := 0, false
	var before time.Time
	for !found {
		token, err := stream.Next(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return g.because(ctx, err)
		}
		before = g.received(before)
		if err := begin(); err != nil {
			return err
		}
		ev := event{choice: choice, token: &token, offset: offset}
		if !g.ends(token.ID) {
			text := decoder.Next(token.ID)
			offset += utf8.RuneCountInString(text)
			ev.text, found = stops.push(text)
		}
		if err := g.tell(ev); err != nil {
			return err
		}
	}
	if err := begin(); err != nil {
		return err
	}
	ev := event{choice: choice, finish: api.FinishStop}
	if !found {
		r := stream.Result()
		ev.finish, ev.detail = r.FinishReason, r.FinishDetail
		if ev.text, found = stops.push(decoder.Flush()); found {
			ev.finish, ev.detail = api.FinishStop, ""
		} else {
			ev.text += stops.flush()
		}
	}
	return g.tell(ev)
}

// ends says whether a token ends the generation and so is no part of its text.
func (g *generation) ends(id int32) bool {
	return !g.job.request.IgnoreEOS && g.job.model.Tokenizer.IsEOG(id)
}

// tell hands an event on, one at a time.
func (g *generation) tell(ev event) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if ev.token != nil {
		g.rec.completion++
	}
	if ev.finish != "" {
		g.left--
		ev.last = g.left == 0
		g.rec.finish = ev.finish
		if ev.detail != "" {
			g.job.detail = ev.detail
		}
	}
	if g.job.receipt {
		g.job.outcomes[ev.choice].add(ev)
	}
	return g.emit(ev)
}

// received notes that a token came, the one before it at the time given.
func (g *generation) received(before time.Time) time.Time {
	now := time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	if before.IsZero() {
		if since := now.Sub(g.rec.arrived); g.rec.firstToken == 0 || since < g.rec.firstToken {
			g.rec.firstToken = since
			g.timings.FirstToken = milliseconds(since)
		}
	} else {
		g.s.o.Metrics.interToken.Observe(now.Sub(before).Seconds())
	}
	return now
}

// note keeps the times of a stream that has ended: of several, the longest.
func (g *generation) note(choice int, stream Stream) {
	r := stream.Result()
	g.mu.Lock()
	defer g.mu.Unlock()
	if choice%g.job.n == 0 { // the others share the prompt of the first, which is counted once
		g.job.reused += r.ReusedTokens
	}
	g.job.drafted, g.job.accepted = g.job.drafted+r.DraftedTokens, g.job.accepted+r.AcceptedTokens
	g.rec.queue = max(g.rec.queue, r.Queued)
	g.timings.Queue = max(g.timings.Queue, milliseconds(r.Queued))
	g.timings.Prefill = max(g.timings.Prefill, milliseconds(r.Prefill))
}

// because turns the end of a context into its reason: the client left, or another choice failed.
func (g *generation) because(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%w: %w", errClientGone, err)
	}
	return err
}

func milliseconds(d time.Duration) float64 {
	return float64(d.Round(time.Microsecond)) / float64(time.Millisecond)
}
