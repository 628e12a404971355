package engine

import (
	"errors"
	"fmt"
	"time"
)

var (
	// ErrClosed says that the engine was closed.
	ErrClosed = errors.New("engine: closed")
	// ErrCancelled ends a stream that its reader cancelled.
	ErrCancelled = errors.New("engine: cancelled")
	// ErrSlowReader ends a stream whose buffer was full while its reader took nothing for the engine's ReadTimeout.
	ErrSlowReader = errors.New("engine: the reader did not read its tokens in time")
	// ErrDeadline ends a stream whose deadline has passed.
	ErrDeadline = errors.New("engine: the request's deadline has passed")
	// ErrRequest says that a request makes no sense: it has no prompt, or token ids outside the vocabulary.
	ErrRequest = errors.New("not a request that can be computed")
	// ErrWeights is wrapped by a Config.Guard that found weights which are no numbers.
	ErrWeights = errors.New("the model's weights are damaged")
)

// QueueFullError refuses a request because too many wait.
type QueueFullError struct {
	Queue      int           // requests that wait
	RetryAfter time.Duration // a guess at when there is a place; at least a second
	// Mine is how many requests the caller has, waiting and at work, where these are the reason: there is room, and it is for callers
	// who have less than Share. Otherwise both are 0.
	Mine, Share int
}

func (e *QueueFullError) Error() string {
	if e.Share > 0 {
		return fmt.Sprintf("engine: this caller has %d requests at work and waiting, its share of the queue is %d and what is left is for "+
			"other callers; try again in %v", e.Mine, e.Share, e.RetryAfter)
	}
	return fmt.Sprintf("engine: the queue is full: %d requests wait; try again in %v", e.Queue, e.RetryAfter)
}

// TooLongError refuses a prompt that leaves no room in the context.
type TooLongError struct {
	Prompt, Context int // tokens
	// AtLeast says that Prompt is a lower bound: so much was known without counting.
	AtLeast bool
}

// Bound is what stands before the number of tokens.
func (e *TooLongError) Bound() string {
	if e.AtLeast {
		return "at least "
	}
	return ""
}

func (e *TooLongError) Error() string {
	return fmt.Sprintf("engine: the prompt has %s%d tokens and the context holds %d, prompt and completion together", e.Bound(), e.Prompt, e.Context)
}

// LostError ends all streams of a model whose weights could not be read or have changed under it.
type LostError struct {
	Cause error // Is kernels.ErrFault for a read that failed; otherwise what Config.Guard said
}

func (e *LostError) Error() string {
	if errors.Is(e.Cause, ErrWeights) {
		return fmt.Sprintf("engine: the model went out of service under this request: %v", e.Cause)
	}
	return fmt.Sprintf("engine: the model was lost under this request: %v; a model's file must not be written to while it is "+
		"served: to replace it, write the new file beside it and rename that over the old one", e.Cause)
}

func (e *LostError) Unwrap() error { return e.Cause }

// NonFiniteError ends a stream whose logits were infinite or not a number.
type NonFiniteError struct {
	Layer    int // the first layer whose output was not finite; Layers stands for what follows the last one
	Layers   int // of the model
	Position int // of the row, counted from the first prompt token
}

func (e *NonFiniteError) Error() string {
	where := fmt.Sprintf("layer %d of %d", e.Layer, e.Layers)
	if e.Layer >= e.Layers {
		where = "the output layer"
	}
	return fmt.Sprintf("engine: %s gave an infinite value or not a number at position %d: the model's weights are damaged or "+
		"overflow on this prompt", where, e.Position)
}
