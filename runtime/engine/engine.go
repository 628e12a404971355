// Package engine owns one loaded model at work: the step loop that turns queued requests into streams of tokens. Token ids go
// in and come out; text, stop strings and clients belong to daemon/server, files and names to runtime/repository.
//
// Concurrency: New starts one goroutine, the only one to touch the scheduler, the accounting of pages, the samplers, the
// Backend and its memory; Close, or a failure of the model, stops it. Submit and the methods of Stream may be called from
// any goroutine. The loop never waits for a reader: a stream whose buffer is full is paused, and cancelled when its reader
// has taken nothing for ReadTimeout. Without work the loop sleeps.
//
// Units: lengths and counts are tokens unless they say pages; positions count from 0 at the first prompt token.
package engine

import (
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/runtime/kvcache"
	"github.com/weft-run/weft/runtime/models"
	"github.com/weft-run/weft/runtime/scheduler"
)

// Config says what an engine works with and how much of it. Zero values of the sizes have the defaults named here.
type Config struct {
	Backend kernels.Backend // for this engine alone; the engine closes it
	Model   models.Model
	EOG     []int32 // tokens that end a sequence

	ContextLen int // of one sequence, prompt and completion together; default: the model's own
	MaxBatch   int // sequences in one step; default 8
	MaxQueue   int // requests that may wait beside MaxBatch at work; default 64
	StepTokens int // rows in one step; default 512
	PageTokens int // of a cache page, a power of two from 16 to 64; default 32
	Pages      int // of the pool, which must hold one context; default: MaxBatch contexts
	CacheType  kernels.CacheType
	NoSharing  bool // each request computes all of its prompt
	Spill      Spill
	// NoSpeculation computes one row for each token, never guesses at what follows. Answers are the same.
	NoSpeculation bool
	StreamTokens  int           // that wait for a reader before its stream is paused; default 256
	ReadTimeout   time.Duration // after which a paused stream whose reader takes nothing is cancelled; default 30 s

	// Guard is asked after each step, before its tokens are released: an error says that the weights are not to be trusted.
	Guard func() error
	// OnNonFinite is called on the loop's goroutine when a request ended with a NonFiniteError; the model goes on. It must not wait.
	OnNonFinite func(*NonFiniteError)
	// OnFail is called once when the model is lost, after every stream has ended. It may call Close.
	OnFail   func(error)
	Observer Observer
	Log      *slog.Logger

	// guesses, in tests, takes the place of what guesses are made of: it says what may follow the tokens that a stream has just got.
	guesses func(s *Stream, got []scheduler.Sampled) []int32
	keepAll bool // for tests: pages that a window has left are kept
}

// logitRows is the least number of rows in a step whose logits are wanted. It exceeds the batch for prompts' logprobs: products
// of some rows with the vocabulary cost little more than one, and the memory is rows * vocabulary.
const logitRows = 32

// DefaultStepTokens is Config.StepTokens where it is zero.
const DefaultStepTokens = 512

// withDefaults fills what is zero.
func (c Config) withDefaults() Config {
	set := func(field *int, def int) {
		if *field == 0 {
			*field = def
		}
	}
	set(&c.ContextLen, c.Model.Config().ContextLen)
	set(&c.MaxBatch, 8)
	set(&c.MaxQueue, 64)
	set(&c.StepTokens, DefaultStepTokens)
	set(&c.PageTokens, 32)
	set(&c.Pages, c.MaxBatch*c.sequencePages())
	set(&c.StreamTokens, 256)
	if c.ReadTimeout == 0 {
		c.ReadTimeout = 30 * time.Second
	}
	if c.Guard == nil {
		c.Guard = func() error { return nil }
	}
	if c.OnNonFinite == nil {
		c.OnNonFinite = func(*NonFiniteError) {}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// sequencePages is the largest number of pages that a sequence holds at once.
func (c Config) sequencePages() int {
	m := c.Model.Config()
	if c.keepAll {
		m.Window = 0
	}
	return m.CachePages(c.ContextLen, c.StepTokens, c.PageTokens)
}

func (c Config) logitRows() int { return max(c.MaxBatch, min(logitRows, c.StepTokens)) }

func (c Config) layout() kernels.CacheLayout {
	return c.Model.Config().CacheLayout(c.Pages, c.PageTokens, c.CacheType)
}

// Memory is what an engine of this configuration takes beside the model's file: the cache with all pages in use, and scratch.
func (c Config) Memory() (cacheBytes, scratchBytes int64) {
	c = c.withDefaults()
	m := c.Model.Config()
	logits := 4 * int64(c.logitRows()) * int64(m.Vocab)
	return c.layout().Bytes(), models.WorkspaceBytes(m, c.StepTokens, c.logitRows()) + logits
}

// Engine is one model at work.
type Engine struct {
	cfg   Config
	model models.Config
	wake  chan struct{} // holds one signal that inbox or stop has news
	done  chan struct{} // closed when the loop is over

	mu      sync.Mutex // guards what follows
	inbox   []event
	stop    bool           // Close was called
	ended   error          // why no request is taken any more
	live    int            // streams the loop has not dropped, those in the inbox included
	callers map[string]int // of live, by caller; none is 0
	lastID  scheduler.SeqID
	service time.Duration // moving average of a request's time at work
	stats   Stats

	spiller *spiller // nil: pages end with the engine
	loop    loop     // of the engine's goroutine alone
}

// event is news for the loop.
type event struct {
	kind   eventKind
	stream *Stream
	call   func() // of called alone
}

type eventKind uint8

const (
	submitted eventKind = iota
	cancelled
	resumed // the reader has made room
	fetched // the pages that could be had from the disk are in the cache
	called  // somebody wants a function run on the loop's goroutine
)

// New makes an engine and starts its goroutine. When it fails, the Backend is still the caller's to close.
func New(cfg Config) (*Engine, error) {
	e, err := newEngine(cfg)
	if err != nil {
		return nil, err
	}
	go e.run()
	return e, nil
}

// newEngine makes an engine whose loop nobody runs yet.
func newEngine(cfg Config) (*Engine, error) {
	cfg = cfg.withDefaults()
	model := cfg.Model.Config()
	if cfg.MaxQueue < 0 || cfg.StreamTokens < 1 {
		return nil, fmt.Errorf("engine: queue of %d, %d tokens in a stream: %w", cfg.MaxQueue, cfg.StreamTokens, scheduler.ErrConfig)
	}
	if cfg.keepAll {
		model.Window = 0
	}
	if cfg.ContextLen > model.ContextLen {
		return nil, fmt.Errorf("engine: a context of %d tokens; the model was made for %d: %w", cfg.ContextLen, model.ContextLen, scheduler.ErrConfig)
	}
	manager, err := kvcache.New(cfg.Pages, cfg.PageTokens)
	if err != nil {
		return nil, fmt.Errorf("engine: %w", err)
	}
	sched, err := scheduler.New(scheduler.Config{
		MaxBatch: cfg.MaxBatch, StepTokens: cfg.StepTokens, LogitRows: cfg.logitRows(), ContextLen: cfg.ContextLen, Window: model.Window, EOG: cfg.EOG,
	}, manager)
	if err != nil {
		return nil, fmt.Errorf("engine: %w", err)
	}
	pages, err := kvcache.NewPages(cfg.Backend, cfg.layout())
	if err != nil {
		return nil, fmt.Errorf("engine: %w", err)
	}
	e := &Engine{
		cfg: cfg, model: model, wake: make(chan struct{}, 1), done: make(chan struct{}),
		stats: Stats{PagesTotal: cfg.Pages},
	}
	e.loop = newLoop(cfg, sched, manager, pages)
	if cfg.Spill.Store != nil && !cfg.NoSharing {
		e.spiller = newSpiller(e)
	}
	return e, nil
}

// Submit queues a request. The error is ErrClosed, a *LostError, a *QueueFullError, a *TooLongError, a *sampler.FieldError, or
// Is ErrRequest.
func (e *Engine) Submit(req Request) (*Stream, error) {
	if err := e.check(&req); err != nil {
		return nil, err
	}
	stages, err := models.Stages(e.cfg.Model, req.Prompt, req.Adapters)
	if err != nil {
		return nil, fmt.Errorf("engine: %w: %w", ErrRequest, err)
	}
	s := newStream(e, req)
	s.stages = stages
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ended != nil {
		return nil, e.ended
	}
	if err := e.enter(req.Caller); err != nil {
		return nil, err
	}
	e.lastID++
	s.id = e.lastID
	e.stats.Queue = e.live - e.stats.Running
	e.post(event{kind: submitted, stream: s})
	if e.spills(&req) {
		e.spiller.asked.Store(true)
	}
	return s, nil
}

// check refuses what cannot be computed.
func (e *Engine) check(req *Request) error {
	if len(req.Prompt) == 0 || req.MaxTokens < 0 {
		return fmt.Errorf("engine: a prompt of %d tokens with up to %d to follow: %w", len(req.Prompt), req.MaxTokens, ErrRequest)
	}
	room := e.cfg.ContextLen - len(req.Prompt)
	if room < 0 || room == 0 && !req.PromptOnly {
		return &TooLongError{Prompt: len(req.Prompt), Context: e.cfg.ContextLen}
	}
	for i, id := range req.Prompt {
		if id < 0 || int(id) >= e.model.Vocab {
			return fmt.Errorf("engine: prompt token %d is id %d, the vocabulary has %d: %w", i, id, e.model.Vocab, ErrRequest)
		}
	}
	if b := req.Behind; b != nil && (b.engine != e || b.request.Domain != req.Domain || !slices.Equal(b.request.Prompt, req.Prompt) ||
		!slices.Equal(b.request.Adapters, req.Adapters)) {
		return fmt.Errorf("engine: behind a request of another prompt, list of adapters, domain or engine: %w", ErrRequest)
	}
	return req.Sampling.Validate(e.model.Vocab)
}

// post hands an event to the loop. The caller holds mu.
func (e *Engine) post(ev event) {
	e.inbox = append(e.inbox, ev)
	e.signal()
}

func (e *Engine) signal() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// tell hands an event of a stream to the loop, if that still runs.
func (e *Engine) tell(ev event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ended == nil {
		e.post(ev)
	}
}

// Close ends every stream with ErrClosed, frees the cache, closes the Backend, and waits until that is done. It may be called
// more than once.
func (e *Engine) Close() {
	e.mu.Lock()
	e.stop = true
	e.mu.Unlock()
	e.signal()
	<-e.done
}

// Context is the length of the context in tokens.
func (e *Engine) Context() int { return e.cfg.ContextLen }
