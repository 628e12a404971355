package engine

import (
	"fmt"
	"io"
	"time"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/runtime/kvcache"
	"github.com/weft-run/weft/runtime/models"
	"github.com/weft-run/weft/runtime/sampler"
	"github.com/weft-run/weft/runtime/scheduler"
)

// newBatch makes the arrays of the largest step.
func newBatch(cfg Config) models.Batch {
	rows := func(n int) []int32 { return make([]int32, 0, n) }
	return models.Batch{
		Tokens: rows(cfg.StepTokens), Positions: rows(cfg.StepTokens), Slots: rows(cfg.StepTokens),
		Spans: make([]kernels.Span, 0, cfg.MaxBatch), LogitRows: rows(cfg.logitRows()),
		Adapted: make([]models.Adapted, 0, cfg.MaxBatch),
	}
}

// step computes one step. It returns false when there was nothing to compute, and an error when the model is lost.
func (e *Engine) step() (stepped bool, err error) {
	l := &e.loop
	start := time.Now()
	l.scheduler.Beside(e.beside())
	step := l.scheduler.Schedule()
	if step.Rows == 0 {
		return false, nil
	}
	l.group(step.Parts)
	l.fill(step, e.cfg.PageTokens)
	for i := range step.Parts {
		l.streams[step.Parts[i].ID].begin(start, step.Parts[i].Reused)
	}
	for _, c := range step.Copies {
		e.cfg.Backend.CopyPage(l.pages.Cache, c.From, c.To)
	}
	logits := e.cfg.Model.Forward(e.cfg.Backend, l.workspace, &l.batch, l.pages)
	if step.LogitRows > 0 {
		e.cfg.Backend.Read(l.logits[:step.LogitRows*e.model.Vocab], logits)
	}
	if err := e.trust(e.cfg.Backend.Sync()); err != nil {
		return false, err
	}
	if err := e.sample(step); err != nil {
		return false, err
	}
	e.release(step)
	took := time.Since(start)
	l.scheduler.Took(step, took)
	e.speculate(step, took)
	e.observePrefill(step, took)
	e.note(step)
	e.observe(step, took)
	return true, nil
}

// sharer is what a Backend may be that computes for other engines of the same model too.
type sharer interface {
	// Beside says whether they are at work.
	Beside() bool
}

// beside says whether streams of another generation of the model wait for this engine's steps.
func (e *Engine) beside() bool {
	s, ok := e.cfg.Backend.(sharer)
	return ok && s.Beside()
}

// fill makes the batch of a step.
func (l *loop) fill(step scheduler.Step, pageTokens int) {
	b := &l.batch
	b.Tokens, b.Positions, b.Slots, b.Spans, b.LogitRows = b.Tokens[:0], b.Positions[:0], b.Slots[:0], b.Spans[:0], b.LogitRows[:0]
	b.Adapted = b.Adapted[:0]
	for i := range step.Parts {
		p := &step.Parts[i]
		first := len(b.Tokens)
		b.Tokens = append(b.Tokens, p.Tokens...)
		for r := range p.Tokens {
			b.Positions = append(b.Positions, int32(p.Pos+r))
		}
		b.Slots = kvcache.Slots(b.Slots, p.Pages, pageTokens, p.Pos, len(p.Tokens))
		b.Spans = append(b.Spans, kernels.Span{First: first, Count: len(p.Tokens), Pos: p.Pos, Pages: p.Pages})
		b.Adapted = adapted(b.Adapted, l.streams[p.ID].stages, first, p.Pos, len(p.Tokens))
		for r := p.ScoreFrom; r < p.ScoreTo; r++ {
			b.LogitRows = append(b.LogitRows, int32(first+r))
		}
		for r := len(p.Tokens) - p.SampleRows(); r < len(p.Tokens); r++ {
			b.LogitRows = append(b.LogitRows, int32(first+r))
		}
	}
}

// trust says whether what was computed may be released: no read of the weights failed, and they are still the ones that were
// loaded. A fault is asked for first: after one the results mean nothing.
func (e *Engine) trust(fault error) error {
	if fault == nil {
		fault = e.cfg.Guard()
	}
	if fault == nil {
		return nil
	}
	return &LostError{Cause: fault}
}

// sample chooses the tokens of a step and scores prompt tokens. A sequence whose logits are not finite ends here, alone.
func (e *Engine) sample(step scheduler.Step) error {
	l := &e.loop
	l.sampled, l.tokens, l.accepted, l.byDraft, l.right = l.sampled[:0], l.tokens[:0], 0, 0, 0
	vocab := e.model.Vocab
	rows := l.logits
	for i := range step.Parts {
		p := &step.Parts[i]
		s := l.streams[p.ID]
		n := p.ScoreTo - p.ScoreFrom
		scores, samples := rows[:n*vocab], rows[n*vocab:(n+p.SampleRows())*vocab]
		rows = rows[(n+p.SampleRows())*vocab:]
		bad := -1 // row whose logits are not finite
		for r := p.ScoreFrom; r < p.ScoreTo && bad < 0; r++ {
			if sampler.Finite(scores[:vocab]) {
				s.score(scores[:vocab])
				scores = scores[vocab:]
			} else {
				bad = r
			}
		}
		if bad < 0 && p.Sample {
			bad = e.choose(s, p, samples)
		}
		if bad >= 0 {
			if err := e.fail(s, p, bad); err != nil {
				return err
			}
		}
	}
	return nil
}

// choose samples the token of a part, and one more behind each guess for as long as the guesses are what is sampled; samples are
// the logits, [SampleRows, Vocab]. It returns -1, or the row whose logits are not finite. Such a row behind a guess ends the
// part like a wrong one: the next step computes it again, and without guesses it would not have been computed yet.
func (e *Engine) choose(s *Stream, p *scheduler.Part, samples []float32) (bad int) {
	l := &e.loop
	vocab, first := e.model.Vocab, len(l.sampled)
	for r := len(p.Tokens) - p.SampleRows(); r < len(p.Tokens); r++ {
		logits := samples[:vocab]
		samples = samples[vocab:]
		if !sampler.Finite(logits) {
			if len(l.sampled) == first {
				return r
			}
			break
		}
		position := p.Pos + r + 1
		if s.request.Tap != nil {
			s.request.Tap(position, logits)
		}
		token := s.sampler.Sample(logits, position)
		l.sampled = append(l.sampled, scheduler.Sampled{ID: p.ID, Token: token.ID})
		l.tokens = append(l.tokens, token)
		if r+1 < len(p.Tokens) && p.Tokens[r+1] != token.ID {
			break
		}
	}
	if p.Drafts > 0 {
		right := len(l.sampled) - first - 1
		l.accepted += right
		s.drafted(p.Drafts, right)
		if s.byDraft {
			l.byDraft += p.Drafts
			l.right += right
			l.drafts.Tried(p.Drafts, right)
		}
	}
	return -1
}

// release hands the tokens of a step to their readers and ends the streams that are done.
func (e *Engine) release(step scheduler.Step) {
	l := &e.loop
	now := time.Now()
	finished := l.scheduler.Update(step, l.sampled)
	for i, t := range l.sampled {
		if s := l.streams[t.ID]; s.push(l.tokens[i], now) {
			e.pause(s, now)
		}
	}
	for _, f := range finished {
		s, reason := l.streams[f.ID], FinishLength
		switch f.Reason {
		case scheduler.Stop:
			reason = FinishStop
		case scheduler.Full:
			s.detail(DetailContextFull)
		}
		e.keep(s, f.Tokens)
		e.finish(s, reason, io.EOF)
	}
}

func (e *Engine) observe(step scheduler.Step, took time.Duration) {
	if e.cfg.Observer == nil {
		return
	}
	e.cfg.Observer.ObserveStep(StepInfo{
		Duration: took, Rows: step.Rows, DecodeRows: step.DecodeRows, Sequences: len(step.Parts), Sampled: len(e.loop.sampled),
		Drafted: step.DraftRows, Accepted: e.loop.accepted, Preempted: step.Preempted, Queue: e.loop.scheduler.Counts().Waiting,
	})
}

// fail ends a stream because the logits of row r of its part are not finite, with an error that names the layer. The error it
// returns says that the model was lost meanwhile.
func (e *Engine) fail(s *Stream, p *scheduler.Part, r int) error {
	layer, err := e.locate(p, r)
	if err != nil {
		return e.trust(fmt.Errorf("looking for the layer that gave a non-finite value: %w", err))
	}
	lost := &NonFiniteError{Layer: layer, Layers: e.model.Layers, Position: p.Pos + r}
	e.cfg.Log.Warn("engine: a request fails", "error", lost)
	e.loop.scheduler.Cancel(s.id)
	e.finish(s, FinishError, lost)
	e.cfg.OnNonFinite(lost)
	return nil
}

// locate computes row r of a part once more, alone, and returns the first layer whose output was not finite; Layers when all
// were. The row's keys and values are stored again, with the same bits.
func (e *Engine) locate(p *scheduler.Part, r int) (layer int, err error) {
	l := &e.loop
	position := p.Pos + r
	read := make([][]float32, e.model.Layers+1)
	again := models.Batch{
		Tokens: p.Tokens[r : r+1], Positions: []int32{int32(position)}, LogitRows: []int32{0},
		Slots:   kvcache.Slots(nil, p.Pages, e.cfg.PageTokens, position, 1),
		Spans:   []kernels.Span{{Count: 1, Pos: position, Pages: p.Pages}},
		Adapted: adapted(nil, l.streams[p.ID].stages, 0, position, 1),
		Probe: func(layer int, x kernels.Matrix) {
			read[layer] = make([]float32, x.Rows*x.Cols)
			e.cfg.Backend.Read(read[layer], x)
		},
	}
	e.cfg.Model.Forward(e.cfg.Backend, l.workspace, &again, l.pages)
	if err := e.cfg.Backend.Sync(); err != nil {
		return 0, err
	}
	for layer := range read {
		if !sampler.Finite(read[layer]) {
			return layer, nil
		}
	}
	return e.model.Layers, nil
}
