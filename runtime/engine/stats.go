package engine

import "time"

// Observer is told about every step, on the loop's goroutine: it must be quick and must not allocate. A step's tokens go to their readers
// first, who may have read them, and the end of their streams, before it is told.
type Observer interface {
	ObserveStep(StepInfo)
}

// StepInfo is what one step was.
type StepInfo struct {
	Duration   time.Duration // computing and sampling, waiting for the device included
	Rows       int
	DecodeRows int // rows that continue a stream by one token; the others are prefill and guesses
	Sequences  int
	Sampled    int // tokens released
	Drafted    int // rows that were guesses at tokens to come
	Accepted   int // of these, those that were right: tokens released beside one for each sequence
	Preempted  int // sequences that gave up their pages
	Queue      int // requests that hold no page after the step
}

// Stats is how an engine stands between two steps.
type Stats struct {
	Queue      int // requests that hold no page: new, or preempted
	Running    int // requests that hold pages
	Paused     int // of all, those whose reader does not read
	PagesUsed  int
	PagesKept  int // that no request holds; their content may be wanted again
	PagesTotal int
	Steps      uint64
	Preempted  uint64 // times that a sequence gave up its pages
	Drafted    uint64 // rows that were guesses at tokens to come
	Accepted   uint64 // of these, those that were right
	// Of both, those of the draft.
	DraftedByModel, AcceptedByModel uint64
}

// Busy says whether there is something to compute: requests that wait, or run, and whose readers read.
func (e *Engine) Busy() bool {
	s := e.Stats()
	return s.Queue+s.Running > s.Paused
}

// Stats returns how the engine stands.
func (e *Engine) Stats() Stats {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.stats
}
