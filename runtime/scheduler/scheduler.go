// Package scheduler decides what one engine computes next: which sequences, how many tokens of each, and which of them give
// up their pages when there are too few. It is a pure state machine, plain data in and plain data out: it has no tensors,
// no clock and no goroutine, and leaves computing to runtime/models, choosing tokens to runtime/sampler, and readers and
// their patience to runtime/engine.
//
// There is no prefill phase and no decode phase. A sequence has tokens it wants computed and a count of those that are; a
// step hands out rows from one budget so that the second catches up with the first. A sequence that lacks exactly one token
// decodes, one that lacks more is prefilled in chunks, and one that was preempted is prefilled again, its own tokens included.
//
// Units: counts are in tokens, which are rows of a step, unless they say pages. Concurrency: none inside; one goroutine owns
// a Scheduler and its kvcache.Manager.
package scheduler

import (
	"fmt"
	"slices"
	"time"

	"github.com/weft-run/weft/runtime/kvcache"
)

// SeqID names a sequence while it lives. The caller chooses it.
type SeqID uint64

// Config bounds what one step may hold. It does not change.
type Config struct {
	MaxBatch   int     // sequences in one step, and sequences admitted that are not paused
	StepTokens int     // rows in one step
	LogitRows  int     // rows in one step whose logits are wanted; at least MaxBatch, so that decoding never waits for them
	ContextLen int     // tokens of one sequence, prompt and completion together
	EOG        []int32 // tokens that end a sequence
	// Window is how many positions a row sees, its own included; 0: all. Pages that no row to come sees are given back.
	Window int
}

// Sequence is what a caller wants computed.
type Sequence struct {
	ID     SeqID
	Prompt []int32 // not kept; 1 to ContextLen tokens, and fewer than ContextLen where a token is to follow
	// MaxTokens bounds the completion; 0 lets it run until the context is full. NoTokens asks for the prompt alone.
	MaxTokens int
	NoTokens  bool
	IgnoreEOG bool
	// PromptLogits asks for the logits of every prompt row that has a prompt token behind it, once each.
	PromptLogits bool
	// Root is where the Keys of the sequence's pages begin: it takes and leaves pages of equal Keys. The zero Key shares with nobody.
	Root kvcache.Key
	// Turns are where what decides keys and values changes inside the sequence, in ascending order. Not kept.
	Turns []Turn
	// Behind names a sequence of the same prompt, Root and Turns, which is not zero, or is 0: this one waits until that one's prompt is computed, or it is
	// gone, and then takes what it can of it.
	Behind SeqID
	// Lasting asks that the pages it leaves be kept longer than others'.
	Lasting bool
	// Domain is whose its pages are: Root is of this domain, and Behind too.
	Domain string
	// Caller is whose sequence it is: callers are treated fairly, whatever each of them adds. Class and Priority order the
	// sequences of one caller: Interactive first, then the lower Priority, then the older.
	Caller   string
	Class    Class
	Priority int
	// Deadline is when Expire ends the sequence, on the clock of the one who calls it; 0: never.
	Deadline time.Duration
}

// Reason says why a sequence finished.
type Reason uint8

// The reasons.
const (
	Stop    Reason = iota // a token that ends the sequence was sampled
	Length                // MaxTokens are there
	Full                  // the context is full
	Expired               // the deadline has passed
)

func (r Reason) String() string { return [...]string{"stop", "length", "full", "expired"}[r] }

// Finished is a sequence that is done; its pages are free again.
type Finished struct {
	ID     SeqID
	Reason Reason
	Tokens []int32 // those that were computed, prompt first; the caller's from now on
}

// Counts is how many sequences are where.
type Counts struct {
	Waiting int // hold no page
	Running int // hold pages
	Paused  int // of both, those that are not scheduled until they are resumed
}

// Scheduler holds all sequences of one engine.
//
// Invariants: waiting and running are both in order of arrival. A sequence is admitted with pages for all tokens it has, so only
// decoding can find itself without a page; where rows see a window they are promised to it, and given step by step. Of those that run and are not paused the first in
// the order of keeps can take the pages of all others, and the pool holds a whole context: so a step has rows whenever some sequence is not paused. Each sequence
// becomes the first in its time: the others' callers get richer with each new row, and its own does not.
type Scheduler struct {
	cfg      Config
	pages    *kvcache.Manager
	byID     map[SeqID]*sequence
	waiting  []*sequence
	running  []*sequence
	paused   int    // sequences that are paused
	arrivals uint64 // sequences added so far
	callers  []*caller
	virtual  uint64      // virtual time at which a caller begins who has no sequence to schedule yet
	timed    int         // sequences with a deadline
	chunk    chunk       // how much of prompts a step takes beside decoding
	beside   bool        // others wait for the step
	room     int         // rows of the step for prompts
	order    []*sequence // scratch of prefill
	giving   []*sequence // scratch of givers, and their tables
	tables   []*kvcache.Table
	turn     uint64 // arrival at which decoding starts in the next step; only a step too small for all rows moves it
	inStep   bool   // between Schedule and Update
	step     Step
	finished []Finished
}

// sequence is a Sequence at work.
type sequence struct {
	id       SeqID
	arrival  uint64
	caller   *caller
	class    Class
	priority int
	deadline time.Duration
	paid     int     // tokens that the caller was charged for, or that were found
	tokens   []int32 // prompt, then completion
	prompt   int     // tokens of the prompt
	limit    int     // length of tokens at which the sequence is done
	computed int     // tokens whose keys and values are in the cache
	scored   int     // prompt rows whose logits have been given, counted from the first
	table    kvcache.Table
	root     kvcache.Key
	turns    []Turn
	keys     []kvcache.Key // of the full pages of tokens, as far as they were needed
	behind   SeqID
	begun    bool // was in a step
	drafts   int  // guesses that stand in the memory behind tokens

	overtook *sequence // whom it was admitted before, for as long as that one waits
	passed   int       // rows computed for those that overtook it, while it waits

	sample       bool // wants tokens
	bounded      bool // its MaxTokens fit the context
	ignoreEOG    bool
	promptLogits bool
	paused       bool
	running      bool
	gives        bool // scratch of givers
}

// lacks is the number of tokens still to be computed.
func (q *sequence) lacks() int { return len(q.tokens) - q.computed }

// New returns a scheduler over a pool of pages. The pool must hold one whole context.
func New(cfg Config, pages *kvcache.Manager) (*Scheduler, error) {
	if cfg.MaxBatch < 1 || cfg.StepTokens < 1 || cfg.ContextLen < 1 || cfg.LogitRows < cfg.MaxBatch || cfg.Window < 0 {
		return nil, fmt.Errorf("scheduler: batch of %d, step of %d tokens, context of %d, %d rows with logits: %w",
			cfg.MaxBatch, cfg.StepTokens, cfg.ContextLen, cfg.LogitRows, ErrConfig)
	}
	s := &Scheduler{cfg: cfg, pages: pages, byID: map[SeqID]*sequence{}, chunk: newChunk(cfg.MaxBatch)}
	if need := s.most(cfg.ContextLen, cfg.ContextLen); need > pages.Total() {
		return nil, fmt.Errorf("scheduler: a context of %d tokens needs %d pages of %d tokens, the pool has %d: %w",
			cfg.ContextLen, need, pages.PageTokens(), pages.Total(), ErrConfig)
	}
	return s, nil
}

// Add puts a sequence at the end of the queue.
func (s *Scheduler) Add(seq *Sequence) error {
	room := s.cfg.ContextLen - len(seq.Prompt)
	if len(seq.Prompt) == 0 || room < 0 || room == 0 && !seq.NoTokens {
		return fmt.Errorf("scheduler: a prompt of %d tokens in a context of %d: %w", len(seq.Prompt), s.cfg.ContextLen, ErrLength)
	}
	if s.byID[seq.ID] != nil {
		panic(fmt.Sprintf("BUG: scheduler: sequence %d is added twice", seq.ID))
	}
	limit := s.cfg.ContextLen
	switch {
	case seq.NoTokens:
		limit = len(seq.Prompt)
	case seq.MaxTokens > 0 && seq.MaxTokens <= room:
		limit = len(seq.Prompt) + seq.MaxTokens
	}
	q := &sequence{
		id: seq.ID, arrival: s.arrivals, tokens: slices.Clone(seq.Prompt), prompt: len(seq.Prompt), limit: limit,
		sample: !seq.NoTokens, bounded: seq.MaxTokens > 0 && seq.MaxTokens <= room, ignoreEOG: seq.IgnoreEOG, promptLogits: seq.PromptLogits,
		root: seq.Root, turns: slices.Clone(seq.Turns), behind: seq.Behind, table: kvcache.Table{Lasting: seq.Lasting, Domain: seq.Domain}, class: seq.Class, priority: seq.Priority, deadline: seq.Deadline,
	}
	s.join(q, seq.Caller)
	if q.deadline > 0 {
		s.timed++
	}
	s.arrivals++
	s.byID[q.id] = q
	s.waiting = append(s.waiting, q)
	return nil
}

// Cancel forgets a sequence and frees its pages, at any moment; what a step in flight computes for it is dropped. It returns
// false when there is no such sequence: it finished before.
func (s *Scheduler) Cancel(id SeqID) bool {
	q := s.byID[id]
	if q == nil {
		return false
	}
	s.remove(q)
	return true
}

// Computed returns the tokens of a sequence whose keys and values are in the cache, prompt first, valid until the next call that takes
// the sequence further; none when there is no such sequence.
func (s *Scheduler) Computed(id SeqID) []int32 {
	q := s.byID[id]
	if q == nil {
		return nil
	}
	return q.tokens[:q.computed]
}

// Pause stops scheduling a sequence, or starts it again. It keeps its place in the queue, but others may take its pages. A
// sequence that is no more is left alone.
func (s *Scheduler) Pause(id SeqID, paused bool) {
	q := s.byID[id]
	if q == nil || q.paused == paused {
		return
	}
	q.paused = paused
	if paused {
		s.paused++
		q.caller.active--
	} else {
		s.paused--
		s.activate(q.caller)
	}
}

// Counts returns how many sequences are where.
func (s *Scheduler) Counts() Counts {
	return Counts{Waiting: len(s.waiting), Running: len(s.running), Paused: s.paused}
}

// remove forgets q and frees its pages.
func (s *Scheduler) remove(q *sequence) {
	s.pages.Release(&q.table)
	s.caughtUp(q)
	delete(s.byID, q.id)
	s.leave(q)
	if q.paused {
		s.paused--
	}
	if q.deadline > 0 {
		s.timed--
	}
	list := &s.waiting
	if q.running {
		list = &s.running
	}
	i := slices.Index(*list, q)
	*list = slices.Delete(*list, i, i+1)
}

// insert puts q into a list in order of arrival.
func insert(list []*sequence, q *sequence) []*sequence {
	i := len(list)
	for i > 0 && list[i-1].arrival > q.arrival {
		i--
	}
	return slices.Insert(list, i, q)
}
