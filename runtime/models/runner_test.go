package models

import (
	"math/rand/v2"
	"testing"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/kernels/cpu"
	"github.com/weft-run/weft/runtime/gguf"
	"github.com/weft-run/weft/runtime/kvcache"
)

// runner feeds a model by hand, as an engine would: it owns a device, pages in a shuffled order, and a workspace.
type runner struct {
	t       testing.TB
	model   Model
	device  *cpu.Device
	backend kernels.Backend
	ws      *Workspace
	pages   *kvcache.Pages
	free    []int32
	probe   func(layer int, x kernels.Matrix)
	batch   Batch
	out     []float32
}

type runnerOptions struct {
	cpu       cpu.Options
	cache     kernels.CacheType
	pages     int // of 16 tokens
	rows      int
	logitRows int
}

const testPageTokens = 16

// refDevice computes with kernels/ref.
func refDevice(t *testing.T) *cpu.Device {
	t.Helper()
	d, err := cpu.NewDevice(cpu.Options{Level: "ref", Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

func newRunner(t testing.TB, f *gguf.File, o runnerOptions) *runner {
	t.Helper()
	m, err := Load(f)
	if err != nil {
		t.Fatal(err)
	}
	d, err := cpu.NewDevice(o.cpu)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	b := d.Open()
	t.Cleanup(b.Close)
	pages, err := kvcache.NewPages(b, m.Config().CacheLayout(o.pages, testPageTokens, o.cache))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pages.Free)
	r := &runner{t: t, model: m, device: d, backend: b, pages: pages, ws: NewWorkspace(b, m.Config(), o.rows, o.logitRows)}
	for _, p := range rand.New(rand.NewPCG(1, uint64(o.pages))).Perm(o.pages) {
		r.free = append(r.free, int32(p))
	}
	return r
}

// sequence is the tokens of one request that the cache holds.
type sequence struct {
	pages  []int32
	len    int
	stages []Stage
}

// part is what one sequence adds to a step; logits says how many of its last rows are wanted.
type part struct {
	seq    *sequence
	tokens []int32
	logits int
}

// step runs one batch and returns the wanted logits, a row behind the other.
func (r *runner) step(parts ...part) []float32 {
	r.t.Helper()
	b := &r.batch
	*b = Batch{
		Tokens: b.Tokens[:0], Positions: b.Positions[:0], Slots: b.Slots[:0], Spans: b.Spans[:0],
		LogitRows: b.LogitRows[:0], Adapted: b.Adapted[:0], Probe: r.probe,
	}
	for _, p := range parts {
		first := len(b.Tokens)
		for i, id := range p.tokens {
			position := p.seq.len + i
			if position/testPageTokens == len(p.seq.pages) {
				if len(r.free) == 0 {
					r.t.Fatal("the test's cache is full")
				}
				p.seq.pages = append(p.seq.pages, r.free[len(r.free)-1])
				r.free = r.free[:len(r.free)-1]
			}
			b.Tokens = append(b.Tokens, id)
			b.Positions = append(b.Positions, int32(position))
			b.Slots = append(b.Slots, p.seq.pages[position/testPageTokens]*testPageTokens+int32(position%testPageTokens))
			if i >= len(p.tokens)-p.logits {
				b.LogitRows = append(b.LogitRows, int32(first+i))
			}
		}
		for i, stage := range p.seq.stages {
			from, to := max(stage.From-p.seq.len, 0), len(p.tokens)
			if i+1 < len(p.seq.stages) {
				to = min(to, p.seq.stages[i+1].From-p.seq.len)
			}
			if from < to {
				b.Adapted = Adapt(b.Adapted, first+from, to-from, stage.Stack)
			}
		}
		b.Spans = append(b.Spans, kernels.Span{First: first, Count: len(p.tokens), Pos: p.seq.len, Pages: p.seq.pages})
		p.seq.len += len(p.tokens)
	}
	logits := r.model.Forward(r.backend, r.ws, b, r.pages)
	n := logits.Rows * logits.Cols
	if cap(r.out) < n {
		r.out = make([]float32, n)
	}
	if n > 0 {
		r.backend.Read(r.out[:n], logits)
	}
	if err := r.backend.Sync(); err != nil {
		r.t.Fatal(err)
	}
	return r.out[:n]
}

// prefill feeds tokens in chunks and returns the logits of all of them.
func (r *runner) prefill(seq *sequence, tokens []int32, chunk int) []float32 {
	r.t.Helper()
	var all []float32
	for len(tokens) > 0 {
		n := min(chunk, len(tokens))
		all = append(all, r.step(part{seq, tokens[:n], n})...)
		tokens = tokens[n:]
	}
	return all
}

// greedy returns the id of the largest logit, the lowest of equals.
func greedy(logits []float32) int32 {
	at := 0
	for i, x := range logits {
		if x > logits[at] {
			at = i
		}
	}
	return int32(at)
}
