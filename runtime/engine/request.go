package engine

import (
	"time"

	"github.com/weft-run/weft/runtime/models"
	"github.com/weft-run/weft/runtime/sampler"
	"github.com/weft-run/weft/runtime/scheduler"
)

// Class says what kind of reader waits for a request.
type Class = scheduler.Class

// The classes. The zero Class is Interactive.
const (
	Interactive = scheduler.Interactive
	Batch       = scheduler.Batch
)

// Request is one sequence to be computed. It must not be changed after Submit.
type Request struct {
	Prompt []int32
	// MaxTokens bounds the completion; 0 lets it run until the context is full.
	MaxTokens int
	// Adapters change the model for this request, in this order; none, or scales of 0, is the base. They are bound to the engine's own
	// model and must stay usable until the stream has ended.
	Adapters []models.AdapterUse
	// PromptOnly asks for no completion at all: the stream ends when the prompt is computed.
	PromptOnly bool
	Sampling   sampler.Params
	IgnoreEOS  bool
	// PromptLogprobs asks for the logprobs of the prompt's own tokens, with as many of the best as Sampling.TopLogprobs says.
	PromptLogprobs bool
	// Domain is who may find what this request leaves in the cache, and whose it may find: requests of other domains take the
	// time that they would take without it.
	Domain string
	// Session names the conversation of the Caller that this request goes on with; "": none. Its pages are kept longer than others', and
	// on disk too where the engine has a place for that (Config.Spill).
	Session string
	// Caller is whose request this is: callers share the engine's steps and its queue fairly, whatever each of them has asked for.
	Caller string
	// Class and Priority order the requests of one caller: Interactive before Batch, within a class the lower Priority first, then
	// the older.
	Class    Class
	Priority int
	// Deadline, where it is not zero, ends the request with ErrDeadline once it has passed, wherever the request is.
	Deadline time.Time
	// Behind is a request of the same Prompt, Adapters and Domain that was submitted before, or nil: this one waits for its prompt and then
	// shares it.
	Behind *Stream
	// Tap, for tests, sees the logits that each token is sampled from, on the loop's goroutine; they are valid during the call. The
	// position is that of the token to be sampled.
	Tap func(position int, logits []float32)
}
