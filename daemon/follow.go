package daemon

import (
	"context"
	"sync"
	"time"

	"github.com/weft-run/weft/daemon/server"
	"github.com/weft-run/weft/daemon/watch"
	"github.com/weft-run/weft/runtime/repository"
)

// watchModels keeps the repository at what the models folder holds, until ctx ends. It closes looked after the first look.
func (p *process) watchModels(ctx context.Context, looked chan<- struct{}) {
	first := true
	p.watcher.Run(ctx, func(list []watch.Entry) {
		p.models.Sync(sources(p.cfg, list))
		if first {
			close(looked)
		}
		first = false
	})
}

// look brings models and adapters up to date with their folders, both at once.
func (p *process) look(ctx context.Context) {
	var both sync.WaitGroup
	both.Go(func() { p.arrivals.Look(ctx) })
	p.watcher.Look(ctx)
	both.Wait()
}

// modelsChanged is told by the repository when a model has come into service or left it.
func (p *process) modelsChanged() {
	select {
	case p.rebase <- struct{}{}:
	default: // a message is there already
	}
}

// followModels keeps the registry of adapters and the drafts at what models are in service, until ctx ends.
func (p *process) followModels(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.rebase:
			p.adapters.Rebase()
			p.drafts.sync(ctx)
		}
	}
}

// becomeReady makes the daemon ready once every model that lay there at the start is served or refused.
func (p *process) becomeReady(ctx context.Context, looked <-chan struct{}) {
	select {
	case <-looked:
		p.models.Wait(ctx)
	case <-ctx.Done():
	}
	if ctx.Err() == nil && p.state.CompareAndSwap(server.StateStarting, server.StateReady) {
		p.modelsChanged() // adapters whose base has not come are told that it does not
		p.log.Info("weftd is ready", "models", p.serving(), "after", time.Since(p.started).Round(time.Millisecond))
	}
}

// isReady says whether the models that lay there at the start have been looked at.
func (p *process) isReady() bool { return p.state.Load() != server.StateStarting }

// serving counts the models in service.
func (p *process) serving() int {
	n := 0
	for _, m := range p.models.List() {
		if m.State == repository.StateServing {
			n++
		}
	}
	return n
}
