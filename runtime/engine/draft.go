package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/runtime/kvcache"
	"github.com/weft-run/weft/runtime/models"
	"github.com/weft-run/weft/runtime/scheduler"
	"github.com/weft-run/weft/runtime/speculation"
)

// catchUp is how many tokens that a draft has not seen yet it computes between two steps: as long as a short step, for others wait.
const catchUp = 64

// DraftConfig says what a Draft works with.
type DraftConfig struct {
	Backend    kernels.Backend // for this draft alone; Close closes it
	Model      models.Model
	Vocab      int // of the model that it guesses for; their tokens are the same
	ContextLen int // tokens of a sequence, as that model has it; beyond the draft's own context nothing is guessed
	PageTokens int
	CacheType  kernels.CacheType
}

// Draft guesses for an engine by a smaller model: what that finds the most probable. It holds one sequence, the last it was asked about.
// It is no engine: who asks computes, on the engine's own goroutine and between its steps, and only while one sequence is alone at work.
// What it guesses changes no answer, so neither does damage to its weights: it then guesses nothing any more.
type Draft struct {
	cfg       DraftConfig
	pages     *kvcache.Pages
	workspace *models.Workspace
	batch     models.Batch
	table     []int32   // its pages, which are all of one sequence
	tokens    []int32   // whose keys and values are in the cache
	logits    []float32 // [1, Vocab of the draft]
	err       error     // why it guesses nothing any more
}

// NewDraft takes the memory of a draft. When it fails, the Backend is still the caller's to close.
func NewDraft(cfg DraftConfig) (*Draft, error) {
	cfg.ContextLen = min(cfg.ContextLen, cfg.Model.Config().ContextLen)
	d := &Draft{cfg: cfg}
	pages, err := kvcache.NewPages(cfg.Backend, d.layout())
	if err != nil {
		return nil, fmt.Errorf("engine: draft: %w", err)
	}
	m := cfg.Model.Config()
	d.pages, d.workspace = pages, models.NewWorkspace(cfg.Backend, m, catchUp, 1)
	d.batch = newBatch(Config{StepTokens: catchUp, MaxBatch: 1})
	d.tokens, d.logits = make([]int32, 0, cfg.ContextLen), make([]float32, m.Vocab)
	d.table = make([]int32, d.layout().Pages)
	for i := range d.table {
		d.table[i] = int32(i)
	}
	return d, nil
}

func (d *Draft) layout() kernels.CacheLayout {
	c := &d.cfg
	return c.Model.Config().CacheLayout((c.ContextLen+c.PageTokens-1)/c.PageTokens, c.PageTokens, c.CacheType)
}

// Memory is what a draft of this configuration takes beside its model's file, in bytes.
func (c DraftConfig) Memory() int64 {
	c.ContextLen = min(c.ContextLen, c.Model.Config().ContextLen)
	m := c.Model.Config()
	return (&Draft{cfg: c}).layout().Bytes() + models.WorkspaceBytes(m, catchUp, 1) + 4*int64(m.Vocab)
}

// Close gives the memory back. No engine may have the draft any more.
func (d *Draft) Close() {
	d.pages.Free()
	d.cfg.Backend.Close()
}

// Guess appends up to n guesses at what follows tokens to dst; none while it has to catch up with them.
func (d *Draft) Guess(dst, tokens []int32, n int) []int32 {
	n = min(n, d.cfg.ContextLen-len(tokens)+1)
	if d.err != nil || n < 1 || len(tokens) == 0 {
		return dst
	}
	have := 0
	for have < min(len(d.tokens), len(tokens)-1) && d.tokens[have] == tokens[have] { // the last row is computed in any case
		have++
	}
	d.tokens = d.tokens[:have]
	missing := tokens[have:]
	if len(missing) > catchUp {
		d.compute(missing[:catchUp], false)
		return dst
	}
	for range n {
		guess, ok := d.compute(missing, true)
		if !ok {
			break
		}
		dst = append(dst, guess)
		missing = dst[len(dst)-1:]
	}
	return dst
}

// compute computes rows behind those it has, and where that is wanted, what follows them.
func (d *Draft) compute(rows []int32, wanted bool) (next int32, ok bool) {
	b, pos := &d.batch, len(d.tokens)
	b.Tokens = append(b.Tokens[:0], rows...)
	b.Positions, b.LogitRows = b.Positions[:0], b.LogitRows[:0]
	for r := range rows {
		b.Positions = append(b.Positions, int32(pos+r))
	}
	b.Slots = kvcache.Slots(b.Slots[:0], d.table, d.cfg.PageTokens, pos, len(rows))
	b.Spans = append(b.Spans[:0], kernels.Span{Count: len(rows), Pos: pos, Pages: d.table})
	if wanted {
		b.LogitRows = append(b.LogitRows, int32(len(rows)-1))
	}
	logits := d.cfg.Model.Forward(d.cfg.Backend, d.workspace, b, d.pages)
	if wanted {
		d.cfg.Backend.Read(d.logits, logits)
	}
	if d.err = d.cfg.Backend.Sync(); d.err != nil {
		return 0, false
	}
	d.tokens = append(d.tokens, rows...)
	best := 0
	for id, x := range d.logits[:min(len(d.logits), d.cfg.Vocab)] {
		if x > d.logits[best] {
			best = id
		}
	}
	return int32(best), wanted
}

// SetDraft has the engine ask a draft from now on, or with nil none. When it returns without an error, the draft before is the caller's to
// close, and so it is where the error is ErrClosed or a *LostError: the engine has ended.
func (e *Engine) SetDraft(ctx context.Context, d *Draft) error {
	return e.call(ctx, func() { e.loop.draft, e.loop.drafts = d, speculation.Drafts{} })
}

// draftGuesses asks the draft what follows the tokens of the only sequence at work, where that pays.
func (e *Engine) draftGuesses(s *Stream, most int) []int32 {
	l := &e.loop
	if l.draft == nil || !l.alone {
		return nil
	}
	n := l.drafts.Ask(&l.pace, most)
	if n == 0 {
		return nil
	}
	start := time.Now()
	l.guesses = l.draft.Guess(l.guesses[:0], l.scheduler.Tokens(s.id), n)
	l.drafts.Made(&l.pace, len(l.guesses), time.Since(start))
	return l.guesses
}

// onlyOne says whether a step had one sequence, which decodes, and nobody waits: then nobody else is held up by what a draft computes.
func (l *loop) onlyOne(step scheduler.Step) bool {
	c := l.scheduler.Counts()
	return len(step.Parts) == 1 && step.Parts[0].Sample && c.Waiting == 0
}
