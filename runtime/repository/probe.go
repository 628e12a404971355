package repository

import (
	"context"
	"errors"
	"io"

	"github.com/weft-run/weft/runtime/engine"
	"github.com/weft-run/weft/runtime/models"
	"github.com/weft-run/weft/runtime/sampler"
)

// MaxProbe bounds the prompt of a probe, so that its one step holds up a stream no longer than another sequence's would.
const MaxProbe = 32

// probePages are those of a probe's cache: the prompt and one token fit whatever the size of a page.
const probePages = 4

// Probe computes a prompt of at most MaxProbe tokens with adapters and returns the logits behind it. It runs on an engine of its own beside the model's,
// so that it waits for no request's place; only the steps of the two take turns. The little memory that it takes for that time is
// not part of the budget.
func (l *Lease) Probe(ctx context.Context, prompt []int32, uses []models.AdapterUse) ([]float32, error) {
	cfg := engine.Config{
		Backend: l.r.o.OpenBackend(), Model: l.Network, CacheType: l.CacheType, NoSharing: true, Guard: l.intact, Log: l.r.log,
		MaxBatch: 1, MaxQueue: 1, StepTokens: len(prompt), Pages: probePages, PageTokens: 16, ContextLen: min(len(prompt)+1, l.Config.ContextLen),
	}
	e, err := engine.New(cfg)
	if err != nil {
		cfg.Backend.Close()
		return nil, err
	}
	defer e.Close()
	params := sampler.Default()
	params.Temperature = 0
	var logits []float32
	s, err := e.Submit(engine.Request{
		Prompt: prompt, MaxTokens: 1, Sampling: params, IgnoreEOS: true, Adapters: uses,
		Tap: func(_ int, row []float32) { logits = append([]float32(nil), row...) },
	})
	if err != nil {
		return nil, err
	}
	for err == nil {
		_, err = s.Next(ctx)
	}
	if !errors.Is(err, io.EOF) {
		s.Cancel()
		return nil, err
	}
	return logits, nil
}
