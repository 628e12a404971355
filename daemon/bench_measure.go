package daemon

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/kernels/cpu"
	"github.com/weft-run/weft/runtime/kvcache"
	"github.com/weft-run/weft/runtime/models"
)

// benchPageTokens is the page size of measurements, the daemon's default.
const benchPageTokens = 32

// bench is one model on one backend with sequences in its cache: the engine's parts without requests around them. Token ids
// are drawn at random and nothing is sampled, so a figure is that of Forward alone.
type bench struct {
	backend kernels.Backend
	model   models.Model
	ws      *models.Workspace
	pages   *kvcache.Pages
	tables  []*kvcache.Table
	batch   models.Batch
	step    int // most rows of one Forward
	random  *rand.Rand

	adapters []*models.Stack // sequence i uses number i modulo their count; none: the base
}

// measure runs one test with each number of adapters, turn by turn, and returns the rate of each timed run.
func measure(ctx context.Context, device *cpu.Device, model models.Model, plan benchPlan, t benchTest) ([][]float64, error) {
	backend := device.Open()
	defer backend.Close()
	tokens := t.depth + max(t.prompt, t.output)
	if limit := model.Config().ContextLen; tokens > limit {
		return nil, fmt.Errorf("%d tokens in one sequence, and the model was made for %d", tokens, limit)
	}
	b, err := newBench(backend, model, plan, t.batch, tokens, t.batch)
	if err != nil {
		return nil, err
	}
	defer b.pages.Free()
	for i := range b.tables {
		if err := b.prefill(ctx, i, 0, t.depth); err != nil {
			return nil, err
		}
	}
	run := func(adapters, prompt, output int) error {
		b.adapters = plan.stacks[:adapters]
		if prompt > 0 {
			return b.prefill(ctx, 0, t.depth, prompt)
		}
		return b.decode(ctx, t.depth, output)
	}
	rates := make([][]float64, len(plan.adapters))
	for turn := range 1 + plan.runs {
		for i, adapters := range plan.adapters {
			// One run that is not timed brings weights, pages and scratch into memory; for decode a part of one does.
			if turn == 0 {
				if err := run(adapters, t.prompt, min(t.output, 8)); err != nil {
					return nil, err
				}
				continue
			}
			started := time.Now()
			if err := run(adapters, t.prompt, t.output); err != nil {
				return nil, err
			}
			rates[i] = append(rates[i], float64(t.prompt+t.output*t.batch)/time.Since(started).Seconds())
		}
	}
	return rates, nil
}

// newBench makes a cache for sequences of tokens tokens each. Each has pages of its own, as sequences of the daemon do. A step
// gives up to logitRows rows of logits.
func newBench(backend kernels.Backend, model models.Model, plan benchPlan, sequences, tokens, logitRows int) (*bench, error) {
	perSequence := (tokens + benchPageTokens - 1) / benchPageTokens
	account, err := kvcache.New(sequences*perSequence, benchPageTokens)
	if err != nil {
		return nil, err
	}
	pages, err := kvcache.NewPages(backend, model.Config().CacheLayout(sequences*perSequence, benchPageTokens, plan.cache))
	if err != nil {
		return nil, err
	}
	step := max(plan.stepTokens, sequences)
	b := &bench{
		backend: backend, model: model, pages: pages, step: step,
		ws:     models.NewWorkspace(backend, model.Config(), step, logitRows),
		random: rand.New(rand.NewPCG(1, 2)),
	}
	for range sequences {
		table := new(kvcache.Table)
		if !account.Grow(table, tokens) {
			panic("BUG: daemon: a pool made for the sequences does not hold them")
		}
		b.tables = append(b.tables, table)
	}
	return b, nil
}

// prefill computes count tokens of a sequence from position from on, in steps of b.step tokens; the last row's logits are wanted.
func (b *bench) prefill(ctx context.Context, sequence, from, count int) error {
	for done := 0; done < count; {
		n := min(b.step, count-done)
		b.reset()
		b.add(sequence, from+done, n)
		if done += n; done == count {
			b.batch.LogitRows = append(b.batch.LogitRows, int32(n-1))
		}
		if err := b.forward(ctx); err != nil {
			return err
		}
	}
	return nil
}

// decode computes count tokens in every sequence from position from on, one row of each in a step.
func (b *bench) decode(ctx context.Context, from, count int) error {
	for pos := from; pos < from+count; pos++ {
		b.reset()
		for i := range b.tables {
			b.add(i, pos, 1)
			b.batch.LogitRows = append(b.batch.LogitRows, int32(i))
		}
		if err := b.forward(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) reset() {
	b.batch.Tokens, b.batch.Positions, b.batch.Slots = b.batch.Tokens[:0], b.batch.Positions[:0], b.batch.Slots[:0]
	b.batch.Spans, b.batch.LogitRows, b.batch.Adapted = b.batch.Spans[:0], b.batch.LogitRows[:0], b.batch.Adapted[:0]
}

// add puts count rows of a sequence into the batch.
func (b *bench) add(sequence, pos, count int) {
	if n := len(b.adapters); n > 0 {
		b.batch.Adapted = models.Adapt(b.batch.Adapted, len(b.batch.Tokens), count, b.adapters[sequence%n])
	}
	table := b.tables[sequence].Pages()
	b.batch.Spans = append(b.batch.Spans, kernels.Span{First: len(b.batch.Tokens), Count: count, Pos: pos, Pages: table})
	b.batch.Slots = kvcache.Slots(b.batch.Slots, table, benchPageTokens, pos, count)
	for i := range count {
		b.batch.Tokens = append(b.batch.Tokens, b.random.Int32N(int32(b.model.Config().Vocab)))
		b.batch.Positions = append(b.batch.Positions, int32(pos+i))
	}
}

func (b *bench) forward(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	b.model.Forward(b.backend, b.ws, &b.batch, b.pages)
	return b.backend.Sync()
}
