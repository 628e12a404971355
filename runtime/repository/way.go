package repository

import (
	"context"
	"runtime"
	"time"
)

// A step takes as long as the thread that has the least of its core, so whatever else this process does beside it lengthens it. What can be
// done more slowly is done in pieces, and makes way for steps behind each: reading a model, giving its memory back, reading an adapter.

// mostLoaders read a model at the same time while no requests are being computed.
const mostLoaders = 4

// Busy says whether requests are being computed, on any generation. Leases do not say it: who loads an adapter has one too.
func (r *Repository) Busy() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.entries {
		if e.current != nil && e.current.Engine.Busy() {
			return true
		}
	}
	for _, m := range r.retired {
		if m.Engine.Busy() {
			return true
		}
	}
	return false
}

// MakeWay rests behind a piece of work as long as that took, if requests are being computed, or until ctx ends.
func (r *Repository) MakeWay(ctx context.Context, took time.Duration) {
	if r.Busy() {
		pause(ctx, took)
	}
}

// bringIn has all weights of a model read. A step that met the disk would hold up the steps of all models, which take turns.
func (r *Repository) bringIn(ctx context.Context, m *Model) error {
	defer r.o.Calm()
	threads := min(mostLoaders, runtime.GOMAXPROCS(0), runtime.NumCPU())
	if r.Busy() {
		threads = 1
	}
	return m.file.Load(ctx, threads, func(took time.Duration) { r.MakeWay(ctx, took) })
}

// giveBack gives back all that a generation has which nobody holds. While requests are being computed it takes the share of a processor that reading
// for a digest takes, as nobody waits for it; unless others want its memory, for which it was unloaded.
func (r *Repository) giveBack(ctx context.Context, m *Model, wanted bool) {
	rests := time.Duration(busyRests)
	if wanted {
		rests = 1
	}
	m.free(func(took time.Duration) { r.MakeWay(ctx, rests*took) })
}
