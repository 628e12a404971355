package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/runtime/engine"
	"github.com/weft-run/weft/runtime/repository"
)

// drafts joins each model whose settings name a draft with the model of that name, while both are in service. A join holds a lease on the
// draft's generation, memory of the budget, and a backend of its own, and ends when either model leaves service. sync and close are called
// by one goroutine at a time; status by any.
type drafts struct {
	models     *repository.Repository
	open       func() kernels.Backend
	pageTokens int
	log        *slog.Logger

	mu    sync.Mutex           // guards what follows
	joins map[string]draftJoin // by the name of the model that is guessed for
}

// draftJoin is what became of one model's setting.
type draftJoin struct {
	model, draft *repository.Model // the latter is nil where nothing of that name is in service
	note         string            // why nothing is guessed; "" where it is
	end          func()            // nil where nothing is joined
}

// sync brings the joins up to what is in service.
func (d *drafts) sync(ctx context.Context) {
	serving := map[string]*repository.Model{}
	for _, m := range d.models.Serving() {
		serving[m.Name] = m
	}
	d.mu.Lock()
	joins := d.joins
	d.mu.Unlock()
	next := map[string]draftJoin{}
	for name, j := range joins {
		switch {
		case serving[name] == j.model && serving[j.model.Settings.Draft] == j.draft:
			next[name] = j
		case j.end != nil:
			j.end()
		}
	}
	for name, m := range serving {
		if _, ok := next[name]; !ok && m.Settings.Draft != "" {
			next[name] = d.join(ctx, m, serving[m.Settings.Draft])
		}
	}
	d.mu.Lock()
	d.joins = next
	d.mu.Unlock()
}

// join has a model's engine ask a draft, or says why not.
func (d *drafts) join(ctx context.Context, m, draft *repository.Model) draftJoin {
	j := draftJoin{model: m, draft: draft}
	switch {
	case m.Settings.Speculation == "off":
		j.note = "speculation is off"
	case draft == nil:
		j.note = "it is not in service"
	case draft == m:
		j.note = "a model cannot guess for itself"
	case draft.Tokenizer.Digest() != m.Tokenizer.Digest():
		j.note = "its vocabulary is another one"
	default:
		var err error
		if j.end, err = d.begin(ctx, m, draft); err != nil {
			j.note = err.Error()
		}
	}
	if j.end != nil {
		d.log.Info("a draft model guesses ahead", "model", m.Name, "draft", draft.Name)
	} else {
		d.log.Warn("a draft model is not used", "model", m.Name, "draft", m.Settings.Draft, "reason", j.note)
	}
	return j
}

func (d *drafts) begin(ctx context.Context, m, draft *repository.Model) (end func(), err error) {
	lease, ok := d.models.Lease(draft)
	if !ok {
		return nil, fmt.Errorf("it is not in service")
	}
	cfg := engine.DraftConfig{
		Model: draft.Network, Vocab: m.Config.Vocab, ContextLen: m.ContextLen, PageTokens: d.pageTokens, CacheType: kernels.CacheF16,
	}
	free, err := d.models.Reserve(cfg.Memory())
	if err != nil {
		lease.Release()
		return nil, err
	}
	cfg.Backend = d.open()
	made, err := engine.NewDraft(cfg)
	if err != nil {
		cfg.Backend.Close()
		free()
		lease.Release()
		return nil, err
	}
	end = func() {
		// An engine that has ended asks nobody any more, and one that has not lets go between two steps.
		_ = m.Engine.SetDraft(context.Background(), nil)
		made.Close()
		free()
		lease.Release()
	}
	if err := m.Engine.SetDraft(ctx, made); err != nil {
		end()
		return nil, err
	}
	return end, nil
}

// close ends all joins.
func (d *drafts) close() {
	d.mu.Lock()
	joins := d.joins
	d.joins = nil
	d.mu.Unlock()
	for _, j := range joins {
		if j.end != nil {
			j.end()
		}
	}
}

// note says why the draft of a model in service is not used, or nothing.
func (d *drafts) note(model string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.joins[model].note
}
