package repository

import (
	"errors"
	"fmt"
	"math"
	"strings"
)

var (
	// ErrClosed says that the repository is closed.
	ErrClosed = errors.New("repository: closed")
	// ErrMemory says that a model does not fit the memory budget.
	ErrMemory = errors.New("repository: not enough memory")
)

// NotFoundError says that nothing has the name. Near are names that look like it, the nearest first.
type NotFoundError struct {
	Name string
	Near []string
}

func (e *NotFoundError) Error() string {
	if len(e.Near) == 0 {
		return fmt.Sprintf("repository: no model %q", e.Name)
	}
	return fmt.Sprintf("repository: no model %q; there is %s", e.Name, strings.Join(e.Near, ", "))
}

// RefusedError says that a file has the name, and why it is not in service. Waiting is set where it is about to be, and Loading too where it was
// unloaded and comes back: that takes as long as reading it does.
type RefusedError struct {
	Name             string
	Reason           string
	Waiting, Loading bool
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("repository: model %q is not in service: %s", e.Name, e.Reason)
}

// MemoryError says what a model needs and what there is, in bytes.
type MemoryError struct {
	Weights, Cache, Workspace int64
	// Context is the number of tokens that Cache is for.
	Context int
	// Have is what is left of Budget.
	Have, Budget int64
	// Fits says that it would fit if nothing else were loaded.
	Fits bool
}

// Need is all that the model needs.
func (e *MemoryError) Need() int64 {
	rest := e.Weights + e.Workspace
	return rest + min(e.Cache, math.MaxInt64-rest) // of a cache whose size fits no int64, Bytes is the largest
}

func (e *MemoryError) Error() string {
	return fmt.Sprintf("repository: needs %s (weights %s, cache of %d tokens %s, workspace %s), have %s of the budget of %s",
		size(e.Need()), size(e.Weights), e.Context, size(e.Cache), size(e.Workspace), size(e.Have), size(e.Budget))
}

// Unwrap makes the error one that is ErrMemory.
func (e *MemoryError) Unwrap() error { return ErrMemory }

// size writes bytes for people.
func size(n int64) string {
	const unit = 1024
	if n < unit && n > -unit {
		return fmt.Sprintf("%d B", n)
	}
	x, i := float64(n)/unit, 0
	for x >= unit && i < 4 {
		x /= unit
		i++
	}
	return fmt.Sprintf("%.1f %ciB", x, "KMGTP"[i])
}
