package chat

import (
	"fmt"
	"strings"

	"github.com/nikolalohinski/gonja/v2/exec"
)

// Budgets of one rendering, far above what a long conversation needs and far below what would hurt.
const (
	maxSteps     = 5_000_000 // operations, elements visited, and one for each 16 bytes handled; a few seconds at most
	maxTextBytes = 128 << 20 // of all texts made on the way
	maxDepth     = 50        // macros within macros
)

// budget is what a rendering has left. The operations find it in the context, under a name no template can spell.
type budget struct {
	stepsLeft int
	textLeft  int
	depth     int
	spent     error // the first refusal; the library sometimes loses an error
}

const budgetKey = "weft budget"

func newBudget() *budget { return &budget{stepsLeft: maxSteps, textLeft: maxTextBytes} }

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
		return b.refuse("steps", maxSteps)
	}
	return nil
}

// made accounts for n bytes of new text, before they are made.
func (b *budget) made(n int) error {
	if n > b.textLeft {
		return b.refuse("bytes of text", maxTextBytes)
	}
	b.textLeft -= n
	return b.steps(n / 16)
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
