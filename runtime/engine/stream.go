package engine

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/weft-run/weft/runtime/models"
	"github.com/weft-run/weft/runtime/sampler"
	"github.com/weft-run/weft/runtime/scheduler"
	"github.com/weft-run/weft/runtime/speculation"
)

// Stream is one request at work and the tokens on their way to its reader. Next is for one goroutine at a time; everything
// else may be called from any.
type Stream struct {
	engine  *Engine
	id      scheduler.SeqID
	request Request
	stages  []models.Stage // what its adapters change, from where on
	created time.Time
	ready   chan struct{} // holds one signal that a token came
	scored  chan struct{} // closed when prompt is complete
	ended   chan struct{} // closed at the end

	// Of the loop.
	sampler   *sampler.Sampler
	lookup    *speculation.Lookup // nil before the first token, and where nothing is guessed
	byDraft   bool                // the guesses it carries are the draft's
	pausedAt  time.Time           // zero while the stream is not paused
	patience  int                 // taken when the reader's time began
	fetching  bool                // its pages are being read from disk: the scheduler does not know it yet
	followers []*Stream           // that stand behind it and wait for that too

	mu     sync.Mutex // guards what follows
	ring   []sampler.Token
	first  int  // oldest token in ring
	count  int  // tokens in ring
	taken  int  // tokens that Next returned
	paused bool // the ring was full and has not been half empty since
	prompt []PromptToken
	nScore int   // prompt tokens with their logprob
	err    error // why it ended; io.EOF is a regular end
	result Result
}

// PromptToken is a token of the prompt with what the model thought of it.
type PromptToken struct {
	ID int32
	// Logprob is of the model's own distribution after the tokens before it, Top lists the best tokens there. The first token has none:
	// nothing is before it.
	Logprob float64
	Top     []sampler.Logprob
}

// The finish reasons.
const (
	FinishStop   = "stop"   // a token that ends the sequence was sampled
	FinishLength = "length" // MaxTokens or the context's end was reached
	FinishCancel = "cancel" // the reader cancelled, or did not read
	FinishError  = "error"  // Next says which
)

// DetailContextFull is the FinishDetail of a stream that ended by FinishLength because its context is full: it was not MaxTokens, and
// nothing is shifted out to go on.
const DetailContextFull = "context full"

// Result is what became of a stream. Durations that have no end yet are zero.
type Result struct {
	FinishReason     string // empty before the end
	FinishDetail     string // what FinishReason leaves open, or empty
	PromptTokens     int
	CompletionTokens int           // tokens that Next has returned
	ReusedTokens     int           // of the prompt, those whose keys and values were found in the cache
	DraftedTokens    int           // guesses at tokens to come that were computed
	AcceptedTokens   int           // of these, those that were right
	Queued           time.Duration // from Submit to the first step
	Prefill          time.Duration // from there to the first token, or to the end of a prompt alone
	TTFT             time.Duration // from Submit to the first token
	Total            time.Duration // from Submit to the end
}

func newStream(e *Engine, req Request) *Stream {
	req.Prompt, req.Adapters = slices.Clone(req.Prompt), slices.Clone(req.Adapters)
	capacity := e.cfg.StreamTokens
	if req.MaxTokens > 0 {
		capacity = min(capacity, req.MaxTokens)
	}
	s := &Stream{
		engine: e, request: req, created: time.Now(),
		ready: make(chan struct{}, 1), scored: make(chan struct{}), ended: make(chan struct{}),
		sampler: sampler.New(req.Sampling, e.model.Vocab), ring: make([]sampler.Token, capacity),
		result: Result{PromptTokens: len(req.Prompt)},
	}
	s.sampler.Prime(req.Prompt)
	if req.PromptLogprobs {
		s.prompt = make([]PromptToken, len(req.Prompt))
		for i, id := range req.Prompt {
			s.prompt[i].ID = id
		}
		s.nScore = 1
		if len(s.prompt) == 1 {
			close(s.scored)
		}
	}
	return s
}

// Next returns the next token. The token that ends a sequence is the last one returned. After the last one the error is io.EOF,
// or what ended the stream: ErrCancelled, ErrSlowReader, ErrDeadline, ErrClosed, a *LostError or a *NonFiniteError.
func (s *Stream) Next(ctx context.Context) (sampler.Token, error) {
	for {
		token, ok, err := s.take()
		if ok || err != nil {
			return token, err
		}
		select {
		case <-s.ready:
		case <-s.ended:
		case <-ctx.Done():
			return sampler.Token{}, ctx.Err()
		}
	}
}

// take returns the oldest token, or why there will be none, or neither.
func (s *Stream) take() (token sampler.Token, ok bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.count == 0 {
		return sampler.Token{}, false, s.err
	}
	token = s.ring[s.first]
	s.ring[s.first] = sampler.Token{}
	s.first = (s.first + 1) % len(s.ring)
	s.count--
	s.taken++
	if s.paused && s.count <= len(s.ring)/2 {
		s.paused = false
		if s.err == nil {
			s.engine.tell(event{kind: resumed, stream: s})
		}
	}
	return token, true, nil
}

// Prompt waits for the logprobs of the prompt and returns them, where the request asked for them. The slice is the caller's.
func (s *Stream) Prompt(ctx context.Context) ([]PromptToken, error) {
	if !s.request.PromptLogprobs {
		return nil, nil
	}
	select {
	case <-s.scored:
		return s.prompt, nil
	default:
	}
	select {
	case <-s.scored:
		return s.prompt, nil
	case <-s.ended:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case <-s.scored: // both happened; the scores are whole
		return s.prompt, nil
	default:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return nil, s.err
}

// Result returns what became of the stream so far.
func (s *Stream) Result() Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.result
	r.CompletionTokens = s.taken
	return r
}

// Cancel ends the stream at once; tokens that were not taken can still be. After the end it does nothing.
func (s *Stream) Cancel() {
	if s.end(FinishCancel, ErrCancelled) {
		s.engine.tell(event{kind: cancelled, stream: s})
	}
}

// end makes the stream end, once, and says whether it did.
func (s *Stream) end(reason string, err error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return false
	}
	s.err = err
	s.result.FinishReason = reason
	s.result.Total = time.Since(s.created)
	if s.request.PromptOnly && s.result.Queued > 0 {
		s.result.Prefill = s.result.Total - s.result.Queued
	}
	close(s.ended)
	return true
}

// detail says what the finish reason will leave open.
func (s *Stream) detail(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.result.FinishDetail = text
	}
}

// begin notes the time of the first step, and how many tokens of the prompt were found in the cache.
func (s *Stream) begin(now time.Time, reused int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.result.Queued == 0 {
		s.result.Queued = max(now.Sub(s.created), 1)
		s.result.ReusedTokens = reused
	}
}

// push hands a token to the reader. It returns true when that filled the buffer: the stream is paused and must not be pushed
// to before it has resumed. It never blocks.
func (s *Stream) push(token sampler.Token, now time.Time) (full bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return false
	}
	if s.count == len(s.ring) {
		panic("BUG: engine: a token for a stream that is full")
	}
	if s.result.TTFT == 0 {
		s.result.TTFT = now.Sub(s.created)
		s.result.Prefill = s.result.TTFT - s.result.Queued
	}
	s.ring[(s.first+s.count)%len(s.ring)] = token
	s.count++
	s.paused = s.count == len(s.ring)
	select {
	case s.ready <- struct{}{}:
	default:
	}
	return s.paused
}

// drafted counts the guesses that a step computed, and of these those that were right.
func (s *Stream) drafted(computed, right int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.result.DraftedTokens += computed
	s.result.AcceptedTokens += right
}

// room is how many tokens the reader's buffer has room for, at least.
func (s *Stream) room() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.ring) - s.count
}

// limit is the length of prompt and completion together that the stream cannot pass.
func (s *Stream) limit() int {
	context := s.engine.cfg.ContextLen
	if n := s.request.MaxTokens; n > 0 && n < context-len(s.request.Prompt) {
		return len(s.request.Prompt) + n
	}
	return context
}

// score notes the logprob of the next prompt token.
func (s *Stream) score(logits []float32) {
	token := &s.prompt[s.nScore]
	token.Logprob, token.Top = sampler.Logprobs(logits, token.ID, s.request.Sampling.TopLogprobs, nil)
	s.nScore++
	if s.nScore == len(s.prompt) {
		close(s.scored)
	}
}

// read returns how many tokens the reader has taken.
func (s *Stream) read() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taken
}
