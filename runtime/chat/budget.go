package chat

import (
	"fmt"
	"strings"

	"github.com/nikolalohinski/gonja/v2/exec"
)

// Budgets of one rendering, far above what a conversation of ten thousand messages needs. Every operation and every
// element visited is a step, as are 256 bytes of text handled and 64 bytes of the body of a loop or a macro that runs.
const (
	maxSteps     = 2_000_000 // a few seconds
	maxTextBytes = 128 << 20 // of all texts that operations make
	maxDepth     = 50        // macros within macros
)

// budget is what a rendering has left. The operations find it in the context, under a name no template can spell.
type budget struct {
	maxSteps  int
	stepsLeft int
	textLeft  int
	depth     int   // macros around the place
	nesting   int   // values around the one that is compared or printed
	spent     error // the first refusal; the library sometimes loses an error
	failure   error // what the last operation that failed said, which the library wraps beyond recognition
}

const budgetKey = "weft budget"

func newBudget(steps int) *budget {
	return &budget{maxSteps: steps, stepsLeft: steps, textLeft: maxTextBytes}
}

func budgetOf(c *exec.Context) *budget {
	v, _ := c.Get(budgetKey)
	b, ok := v.(*budget)
	if !ok {
		panic("BUG: chat: a rendering without a budget")
	}
	return b
}

func (b *budget) refuse(what string, limit int) error {
	if b.spent == nil {
		b.spent = fmt.Errorf("%w: more than %d %s", ErrBudget, limit, what)
	}
	return b.spent
}

func (b *budget) steps(n int) error {
	if b.stepsLeft -= n; b.stepsLeft < 0 || b.spent != nil {
		return b.refuse("steps", b.maxSteps)
	}
	return nil
}

// descend goes into a value within a value, at the cost of a step. A namespace may hold itself.
func (b *budget) descend() error {
	if b.nesting++; b.nesting > maxInputDepth {
		return b.refuse("levels of nesting", maxInputDepth)
	}
	return b.steps(1)
}

func (b *budget) ascend() { b.nesting-- }

// made accounts for n bytes of new text, before they are made.
func (b *budget) made(n int) error {
	if n > b.textLeft {
		return b.refuse("bytes of text", maxTextBytes)
	}
	b.textLeft -= n
	return b.steps(n / 256)
}

func (b *budget) join(sep string, parts ...string) (string, error) {
	n := len(sep) * len(parts)
	for _, p := range parts {
		n += len(p)
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
	if n > maxTextBytes/len(s) {
		return "", b.refuse("bytes of text", maxTextBytes)
	}
	if err := b.made(n * len(s)); err != nil {
		return "", err
	}
	return strings.Repeat(s, n), nil
}
