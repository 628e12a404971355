package engine

import (
	"errors"
	"slices"
	"time"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/runtime/kvcache"
	"github.com/weft-run/weft/runtime/models"
	"github.com/weft-run/weft/runtime/sampler"
	"github.com/weft-run/weft/runtime/scheduler"
	"github.com/weft-run/weft/runtime/speculation"
)

// loop is what the engine's goroutine owns. Its slices keep their memory from step to step.
type loop struct {
	scheduler *scheduler.Scheduler
	manager   *kvcache.Manager
	pages     *kvcache.Pages
	workspace *models.Workspace

	streams map[scheduler.SeqID]*Stream
	paused  []*Stream // whose readers are waited for
	events  []event   // taken from the inbox
	timer   *time.Timer
	began   time.Time // deadlines are told to the scheduler as the time since then

	batch   models.Batch
	logits  []float32 // [logit rows, Vocab] as read from the device
	sampled []scheduler.Sampled
	tokens  []sampler.Token // for sampled, the same index

	accepted int // guesses of the step that were right
	pace     speculation.Pace
	guesses  []int32 // for one sequence
	draft    *Draft  // nil: there is none
	drafts   speculation.Drafts
	alone    bool // the step before had one sequence alone
	byDraft  int  // guesses of the step that are the draft's
	right    int  // of these, those that were right
}

func newLoop(cfg Config, s *scheduler.Scheduler, m *kvcache.Manager, pages *kvcache.Pages) loop {
	model := cfg.Model.Config()
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	return loop{
		scheduler: s, manager: m, pages: pages,
		workspace: models.NewWorkspace(cfg.Backend, model, cfg.StepTokens, cfg.logitRows()),
		streams:   map[scheduler.SeqID]*Stream{},
		timer:     timer,
		began:     time.Now(),
		batch:     newBatch(cfg),
		logits:    make([]float32, cfg.logitRows()*model.Vocab),
		sampled:   make([]scheduler.Sampled, 0, cfg.logitRows()),
		tokens:    make([]sampler.Token, 0, cfg.logitRows()),
		guesses:   make([]int32, 0, speculation.MaxGuesses),
	}
}

// run is the engine's goroutine. Close, or the loss of the model, ends it.
func (e *Engine) run() {
	err := e.work()
	e.shut(err)
	close(e.done)
	if !errors.Is(err, ErrClosed) && e.cfg.OnFail != nil {
		// After done, so that OnFail may wait for locks whose holders call Close.
		e.cfg.OnFail(err)
	}
}

// work steps until the engine is closed or the model is lost, and returns why.
func (e *Engine) work() error {
	for {
		e.loop.manager.At(time.Since(e.loop.began))
		if e.listen() {
			return ErrClosed
		}
		now := time.Now()
		e.loseSlowReaders(now)
		e.expire(now)
		stepped, err := e.step()
		if err != nil {
			return err
		}
		if !stepped {
			e.sleep()
		}
	}
}

// sleep waits for news, or for the moment at which a reader has been slow for too long or a deadline passes.
func (e *Engine) sleep() {
	l := &e.loop
	var until time.Time
	for _, s := range l.paused {
		if at := s.pausedAt.Add(e.cfg.ReadTimeout); until.IsZero() || at.Before(until) {
			until = at
		}
	}
	if d := l.scheduler.Deadline(); d > 0 {
		if at := l.began.Add(d); until.IsZero() || at.Before(until) {
			until = at
		}
	}
	if !until.IsZero() {
		l.timer.Reset(time.Until(until))
		defer l.timer.Stop()
	}
	select {
	case <-e.wake:
	case <-l.timer.C:
	case m := <-e.moves():
		e.move(m)
	}
}

// listen takes the news in. It returns true when the engine is to stop.
func (e *Engine) listen() (stop bool) {
	l := &e.loop
	select { // one between two steps: it is bounded, and the streams at work wait for it
	case m := <-e.moves():
		e.move(m)
	default:
	}
	e.mu.Lock()
	e.inbox, l.events = l.events[:0], e.inbox
	stop = e.stop
	e.mu.Unlock()
	for i, ev := range l.events {
		l.events[i] = event{}
		s := ev.stream
		switch ev.kind {
		case submitted:
			e.admit(s)
		case cancelled:
			if l.streams[s.id] == s {
				e.cancel(s)
				e.drop(s)
			}
		case fetched:
			e.fetched(s)
		case called:
			ev.call()
		case resumed:
			l.scheduler.Pause(s.id, false)
			l.forgetPaused(s)
		}
	}
	if len(l.events) > 0 && !stop {
		e.note(scheduler.Step{})
	}
	return stop
}

func (e *Engine) admit(s *Stream) {
	e.loop.streams[s.id] = s
	if !e.fetches(s) {
		e.add(s)
	}
}

// add hands a stream to the scheduler.
func (e *Engine) add(s *Stream) {
	l := &e.loop
	r := &s.request
	root, turns := e.root(r, s.stages)
	err := l.scheduler.Add(&scheduler.Sequence{
		ID: s.id, Prompt: r.Prompt, MaxTokens: r.MaxTokens, NoTokens: r.PromptOnly, IgnoreEOG: r.IgnoreEOS, PromptLogits: r.PromptLogprobs,
		Root: root, Turns: turns, Behind: e.behind(r), Lasting: r.Session != "", Domain: r.Domain,
		Caller: r.Caller, Class: r.Class, Priority: r.Priority, Deadline: l.deadline(r),
	})
	if err != nil { // Submit has checked all that could be wrong
		e.finish(s, FinishError, err)
	}
}

// cancel ends the sequence of a stream; what was computed of it may be of use.
func (e *Engine) cancel(s *Stream) {
	e.keep(s, e.loop.scheduler.Computed(s.id))
	e.loop.scheduler.Cancel(s.id)
}

// finish ends a stream whose sequence the scheduler has let go.
func (e *Engine) finish(s *Stream, reason string, err error) {
	s.end(reason, err)
	e.drop(s)
}

// drop forgets a stream and makes room for another request.
func (e *Engine) drop(s *Stream) {
	l := &e.loop
	delete(l.streams, s.id)
	l.forgetPaused(s)
	r := s.Result()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.leave(s.request.Caller)
	if r.Queued > 0 {
		e.service += (r.Total - r.Queued - e.service) / 8
	}
}

// pause stops a stream whose buffer is full; its reader's time begins.
func (e *Engine) pause(s *Stream, now time.Time) {
	s.pausedAt, s.patience = now, s.read()
	e.loop.scheduler.Pause(s.id, true)
	e.loop.paused = append(e.loop.paused, s)
}

func (l *loop) forgetPaused(s *Stream) {
	if i := slices.Index(l.paused, s); i >= 0 {
		l.paused = slices.Delete(l.paused, i, i+1)
	}
}

// loseSlowReaders cancels the paused streams whose readers have taken nothing for too long. One that takes a little keeps its
// stream: it is slow, not gone.
func (e *Engine) loseSlowReaders(now time.Time) {
	l := &e.loop
	for i := len(l.paused) - 1; i >= 0; i-- {
		s := l.paused[i]
		if now.Sub(s.pausedAt) < e.cfg.ReadTimeout {
			continue
		}
		if taken := s.read(); taken != s.patience {
			s.pausedAt, s.patience = now, taken
			continue
		}
		e.cfg.Log.Info("engine: a reader took nothing and is given up", "waited", e.cfg.ReadTimeout)
		e.cancel(s)
		e.finish(s, FinishCancel, ErrSlowReader)
		e.note(scheduler.Step{})
	}
}

// shut ends all streams with err and frees what the engine holds.
func (e *Engine) shut(err error) {
	l := &e.loop
	e.mu.Lock()
	e.ended = err
	inbox := e.inbox
	e.inbox = nil
	e.live, e.callers = 0, nil
	e.stats = Stats{
		PagesTotal: e.stats.PagesTotal, Steps: e.stats.Steps, Preempted: e.stats.Preempted, Drafted: e.stats.Drafted, Accepted: e.stats.Accepted,
		DraftedByModel: e.stats.DraftedByModel, AcceptedByModel: e.stats.AcceptedByModel,
	}
	e.mu.Unlock()
	for _, s := range l.streams {
		e.keep(s, l.scheduler.Computed(s.id))
		s.end(FinishError, err)
	}
	for _, ev := range inbox {
		if ev.kind == submitted {
			ev.stream.end(FinishError, err)
		}
	}
	e.settle(errors.Is(err, ErrClosed))
	l.pages.Free()
	e.cfg.Backend.Close()
	if !errors.Is(err, ErrClosed) {
		e.cfg.Log.Error("engine: stopped", "error", err, "streams", len(l.streams)+len(inbox))
	}
	*l = loop{}
}

// note publishes how the engine stands, after a step or after news.
func (e *Engine) note(step scheduler.Step) {
	l := &e.loop
	if kernels.Invariants {
		if err := l.scheduler.Check(); err != nil {
			panic("BUG: engine: the accounting of pages contradicts itself: " + err.Error())
		}
	}
	c := l.scheduler.Counts()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stats.Queue, e.stats.Running, e.stats.Paused = c.Waiting, c.Running, c.Paused
	e.stats.PagesUsed, e.stats.PagesKept = l.manager.Used(), l.manager.Kept()
	if step.Rows > 0 {
		e.stats.Steps++
	}
	e.stats.Preempted += uint64(step.Preempted)
	e.stats.Drafted += uint64(step.DraftRows)
	if step.DraftRows > 0 {
		e.stats.Accepted += uint64(l.accepted)
		e.stats.DraftedByModel += uint64(l.byDraft)
		e.stats.AcceptedByModel += uint64(l.right)
	}
}
