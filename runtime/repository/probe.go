package repository

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/weft-run/weft/runtime/engine"
	"github.com/weft-run/weft/runtime/models"
	"github.com/weft-run/weft/runtime/sampler"
)

// MaxProbe bounds the prompt of a probe, so that it holds up a stream no longer than another sequence would.
const MaxProbe = 32

const (
	// probePages hold the prompt of a probe and one token, whatever the size of a page.
	probePages = 4
	// probePatience is how long a probe waits among the model's requests, behind a step that is long.
	probePatience = 2 * time.Second
	// probing is the caller and the domain of probes: nobody's.
	probing = "\x00probe"
)

// Probe computes a prompt of at most MaxProbe tokens with adapters and returns the logits behind it. It waits for no request's end: where the
// model's engine has a place free it joins the next step of the streams there, which costs them little, and else it runs on an engine of its own, whose
// step takes turns with theirs. The little memory that it takes then is not part of the budget.
func (l *Lease) Probe(ctx context.Context, prompt []int32, uses []models.AdapterUse) ([]float32, error) {
	if l.hasPlace() {
		logits, err := probe(ctx, l.Engine, prompt, uses, time.Now().Add(l.r.patience))
		if err == nil || !late(err) {
			return logits, err
		}
	}
	cfg := engine.Config{
		Backend: l.r.o.OpenBackend(l.Name), Model: l.Network, CacheType: l.CacheType, NoSharing: true, Guard: l.intact, Log: l.r.log,
		MaxBatch: 1, MaxQueue: 1, StepTokens: len(prompt), Pages: probePages, PageTokens: 16, ContextLen: min(len(prompt)+1, l.Config.ContextLen),
	}
	e, err := engine.New(cfg)
	if err != nil {
		cfg.Backend.Close()
		return nil, err
	}
	defer e.Close()
	return probe(ctx, e, prompt, uses, time.Time{})
}

// hasPlace says whether the model's engine could take one more request at once, and leave a page to each that runs.
func (l *Lease) hasPlace() bool {
	s := l.Engine.Stats()
	return s.Running+s.Queue < l.Settings.Parallel && s.PagesTotal-s.PagesUsed >= s.Running+probePages
}

// late says whether an engine had no place for a probe after all.
func late(err error) bool {
	return errors.Is(err, engine.ErrDeadline) || errors.As(err, new(*engine.QueueFullError)) || errors.As(err, new(*engine.TooLongError))
}

// probe has an engine compute a prompt, until the deadline where that is not zero, and returns the logits behind it.
func probe(ctx context.Context, e *engine.Engine, prompt []int32, uses []models.AdapterUse, deadline time.Time) ([]float32, error) {
	params := sampler.Default()
	params.Temperature = 0
	var logits []float32
	s, err := e.Submit(engine.Request{
		Prompt: prompt, MaxTokens: 1, Sampling: params, IgnoreEOS: true, Adapters: uses, Caller: probing, Domain: probing, Deadline: deadline,
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
