package engine

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/runtime/kvcache"
	"github.com/weft-run/weft/runtime/models"
	"github.com/weft-run/weft/runtime/sampler"
)

// fakeBackend is memory without arithmetic.
type fakeBackend struct {
	kernels.Backend // any other operation panics
	syncs           int
	fault           func(sync int) error // asked at each Sync, counted from 1; nil: never
	freed, closed   bool
}

type fakeBuffer []float32

func (b fakeBuffer) Len() int { return len(b) }

// fakeCache keeps one hash for each slot: that of all tokens up to there.
type fakeCache struct {
	layout kernels.CacheLayout
	hashes []uint64
	owner  *fakeBackend
}

func (c *fakeCache) Layout() kernels.CacheLayout { return c.layout }
func (c *fakeCache) Free()                       { c.owner.freed = true }

func (c *fakeCache) Discard(pages []int32) {
	size := int32(c.layout.PageTokens)
	for _, p := range pages {
		clear(c.hashes[p*size : (p+1)*size])
	}
}

func (b *fakeBackend) NewBuffer(n int) kernels.Buffer { return make(fakeBuffer, n) }

func (b *fakeBackend) NewCache(l kernels.CacheLayout) (kernels.Cache, error) {
	return &fakeCache{layout: l, hashes: make([]uint64, l.Pages*l.PageTokens), owner: b}, nil
}

func (b *fakeBackend) Read(dst []float32, src kernels.Matrix) {
	copy(dst, src.Buf.(fakeBuffer)[src.First:src.First+src.Rows*src.Cols])
}

func (b *fakeBackend) CopyPage(c kernels.Cache, from, to int32) {
	f := c.(*fakeCache)
	size := int32(f.layout.PageTokens)
	copy(f.hashes[to*size:(to+1)*size], f.hashes[from*size:(from+1)*size])
}

func (b *fakeBackend) ReadPage(dst []byte, c kernels.Cache, page int32) {
	f := c.(*fakeCache)
	for i := range f.layout.PageTokens {
		binary.LittleEndian.PutUint64(dst[8*i:], f.hashes[int(page)*f.layout.PageTokens+i])
	}
}

func (b *fakeBackend) WritePage(c kernels.Cache, page int32, src []byte) {
	f := c.(*fakeCache)
	for i := range f.layout.PageTokens {
		f.hashes[int(page)*f.layout.PageTokens+i] = binary.LittleEndian.Uint64(src[8*i:])
	}
}

func (b *fakeBackend) Sync() error {
	b.syncs++
	if b.fault != nil {
		return b.fault(b.syncs)
	}
	return nil
}

func (b *fakeBackend) Close() { b.closed = true }

// fakeModel is a model whose logits are a hash of all tokens up to the row, kept in the cache as a real one keeps keys and
// values. A row whose token is poison has a NaN from fakeBadLayer on.
type fakeModel struct {
	config models.Config
	out    kernels.Buffer // a fakeBuffer
	poison int32
	before func() // called at the start of each Forward
}

const (
	fakeVocab    = 64
	fakeEOG      = 63
	fakeBadLayer = 2
)

func newFakeModel() *fakeModel {
	return &fakeModel{
		config: models.Config{Architecture: "fake", Layers: 4, Width: 1, Heads: 1, KVHeads: 1, HeadDim: 1, FFN: 1, Vocab: fakeVocab, ContextLen: 256},
		out:    make(fakeBuffer, 64*fakeVocab),
		poison: -1,
	}
}

func (m *fakeModel) Config() models.Config { return m.config }

func (m *fakeModel) Targets() []models.Target { return nil }

func mix(hash uint64, token int32) uint64 {
	hash = (hash ^ uint64(uint32(token))) * 0x9E3779B97F4A7C15
	return hash ^ hash>>29
}

// fill writes the logits after a hash.
func fill(row []float32, hash uint64) {
	for i := range row {
		h := mix(hash+uint64(i), 7)
		row[i] = float32(h%4096) / 512
	}
}

func (m *fakeModel) Forward(_ kernels.Backend, _ *models.Workspace, batch *models.Batch, pages *kvcache.Pages) kernels.Matrix {
	if m.before != nil {
		m.before()
	}
	cache := pages.Cache.(*fakeCache)
	for _, span := range batch.Spans {
		for r := span.First; r < span.First+span.Count; r++ {
			hash, pos := uint64(1), span.Pos+r-span.First
			if pos > 0 {
				size := cache.layout.PageTokens
				hash = cache.hashes[int(span.Pages[(pos-1)/size])*size+(pos-1)%size]
			}
			cache.hashes[batch.Slots[r]] = mix(hash, batch.Tokens[r])
		}
	}
	for i, r := range batch.LogitRows {
		row := m.out.(fakeBuffer)[i*fakeVocab : (i+1)*fakeVocab]
		fill(row, cache.hashes[batch.Slots[r]])
		if batch.Tokens[r] == m.poison {
			row[5] = float32(math.NaN())
		}
	}
	if batch.Probe != nil {
		for layer := range m.config.Layers + 1 {
			x := fakeBuffer{1}
			if batch.Tokens[0] == m.poison && layer >= fakeBadLayer {
				x[0] = float32(math.Inf(1))
			}
			batch.Probe(layer, kernels.NewMatrix(x, 1, 1))
		}
	}
	return kernels.NewMatrix(m.out, len(batch.LogitRows), fakeVocab)
}

// expect is what the fake model says to a prompt, greedily: the completion and why it ends.
func expect(prompt []int32, maxTokens, contextLen int, ignoreEOS bool) (out []int32, reason string) {
	hash := uint64(1)
	for _, t := range prompt {
		hash = mix(hash, t)
	}
	row := make([]float32, fakeVocab)
	for len(prompt)+len(out) < contextLen && (maxTokens == 0 || len(out) < maxTokens) {
		fill(row, hash)
		best := int32(slices.Index(row, slices.Max(row)))
		out = append(out, best)
		hash = mix(hash, best)
		if best == fakeEOG && !ignoreEOS {
			return out, FinishStop
		}
	}
	return out, FinishLength
}

// greedy is sampling without chance.
func greedy() sampler.Params {
	p := sampler.Default()
	p.Temperature = 0
	return p
}

// fake is an engine on the fake model.
type fake struct {
	*Engine
	model   *fakeModel
	backend *fakeBackend
}

// newFake starts an engine; change may alter its configuration.
func newFake(t *testing.T, change func(*Config)) fake {
	t.Helper()
	f := fake{model: newFakeModel(), backend: &fakeBackend{}}
	cfg := Config{Backend: f.backend, Model: f.model, EOG: []int32{fakeEOG}, ContextLen: 64, PageTokens: 16, MaxBatch: 4, StepTokens: 16}
	if change != nil {
		change(&cfg)
	}
	var err error
	if f.Engine, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		f.Close()
		if !f.backend.freed || !f.backend.closed {
			t.Error("cache or Backend was not freed")
		}
	})
	return f
}

func (f fake) submit(t *testing.T, req Request) *Stream {
	t.Helper()
	if req.Sampling.TopP == 0 {
		req.Sampling = greedy()
	}
	s, err := f.Submit(req)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// testContext returns a context that ends when a test has hung. Long tests on large models may be slow without being so.
func testContext(t testing.TB) context.Context {
	limit := 2 * time.Minute
	if os.Getenv("WEFT_TEST_TOKENS") != "" {
		limit = time.Hour
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	return ctx
}

// drain reads a stream to its end.
func drain(ctx context.Context, s *Stream) (ids []int32, err error) {
	for {
		token, err := s.Next(ctx)
		if err != nil {
			return ids, err
		}
		ids = append(ids, token.ID)
	}
}

// read reads a stream that must end regularly.
func read(t *testing.T, s *Stream) []int32 {
	t.Helper()
	ids, err := drain(testContext(t), s)
	if !errors.Is(err, io.EOF) {
		t.Fatalf("after %d tokens: %v", len(ids), err)
	}
	return ids
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(2 * time.Minute)
	for !holds() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("%s does not happen", what)
		}
	}
}
