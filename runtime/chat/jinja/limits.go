package jinja

import (
	"context"
	"fmt"
	"strings"
)

// Limits bound one rendering. Every statement, every part of an expression and every element visited is a step, as are 64
// bytes of text handled, so that steps bound time and, with the text, memory.
type Limits struct {
	Steps       int
	TextBytes   int // of all texts that operations make, output included
	OutputBytes int
	Depth       int // of evaluation: a macro within a macro takes some ten levels
}

// DefaultLimits are far above what a conversation of ten thousand messages needs.
func DefaultLimits() Limits {
	return Limits{Steps: 5_000_000, TextBytes: 128 << 20, OutputBytes: 32 << 20, Depth: 2000}
}

const (
	textStep  = 64   // bytes of text that count as a step
	lookEvery = 1000 // steps between two looks at the context
)

// budget is what a rendering has left.
type budget struct {
	ctx    context.Context
	limits Limits
	steps  int // left
	text   int // bytes left
	output int // bytes left
	depth  int // levels of evaluation
	nested int // values around the one that is compared or printed
	look   int // steps until the next look at the context
	spent  error
}

func newBudget(ctx context.Context, l Limits) *budget {
	return &budget{ctx: ctx, limits: l, steps: l.Steps, text: l.TextBytes, output: l.OutputBytes, look: lookEvery}
}

func (b *budget) refuse(what string, limit int) error {
	if b.spent == nil {
		b.spent = fmt.Errorf("%w: more than %d %s", ErrLimit, limit, what)
	}
	return b.spent
}

// step takes n steps.
func (b *budget) step(n int) error {
	if b.spent != nil {
		return b.spent
	}
	if b.steps -= n; b.steps < 0 {
		return b.refuse("steps", b.limits.Steps)
	}
	if b.look -= n; b.look < 0 {
		b.look = lookEvery
		if b.ctx.Err() != nil {
			b.spent = fmt.Errorf("%w: %w", ErrStopped, context.Cause(b.ctx))
			return b.spent
		}
	}
	return nil
}

// enter goes a level of evaluation deeper; leave goes back.
func (b *budget) enter() error {
	if b.depth++; b.depth > b.limits.Depth {
		return b.refuse("levels of evaluation", b.limits.Depth)
	}
	return b.step(1)
}

func (b *budget) leave() { b.depth-- }

// descend goes into a value within a value; ascend goes back. A namespace may hold itself.
func (b *budget) descend() error {
	if b.nested++; b.nested > maxDepth {
		return b.refuse("values within one another", maxDepth)
	}
	return b.step(1)
}

func (b *budget) ascend() { b.nested-- }

// room holds that n bytes of text could be made: what is written piece by piece is accounted for only then.
func (b *budget) room(n int) error {
	if n > b.text {
		return b.refuse("bytes of text", b.limits.TextBytes)
	}
	return b.spent
}

// made accounts for n bytes of new text, before they are made.
func (b *budget) made(n int) error {
	if n > b.text {
		return b.refuse("bytes of text", b.limits.TextBytes)
	}
	b.text -= n
	return b.step(n / textStep)
}

func (b *budget) join(sep string, parts ...string) (string, error) {
	n := 0
	for i, p := range parts {
		if i > 0 {
			n += len(sep)
		}
		if n += len(p); n > b.text {
			break
		}
	}
	if err := b.made(n); err != nil {
		return "", err
	}
	return strings.Join(parts, sep), nil
}

func (b *budget) repeat(s string, n int) (string, error) {
	if n <= 0 || s == "" {
		return "", nil
	}
	if n > b.limits.TextBytes/len(s) {
		return "", b.refuse("bytes of text", b.limits.TextBytes)
	}
	if err := b.made(n * len(s)); err != nil {
		return "", err
	}
	return strings.Repeat(s, n), nil
}
