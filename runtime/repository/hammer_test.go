package repository

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weft-run/weft/runtime/engine"
	"github.com/weft-run/weft/runtime/modeltest"
)

// Readers acquire, compute, cancel and release while models are swapped, removed, damaged and listed. What holds: a lease's
// streams end whole, cancelled, or with the error that says that the weights were lost; nothing else is refused but names that
// are gone or refused; and at the end nothing is left.
func TestHammer(t *testing.T) {
	duration := 2 * time.Second
	if testing.Short() {
		duration = 500 * time.Millisecond
	}
	b := newBench(t, nil)
	names := []string{"a", "b", "c"}
	var contents [][]byte
	for i := range 4 {
		contents = append(contents, modeltest.Tiny(modeltest.Spec{Seed: uint64(i), Layers: 1}))
	}
	before := inUse(t, b.dir)
	ctx, stop := context.WithTimeout(t.Context(), duration)
	defer stop()
	var all sync.WaitGroup
	var answered, lost atomic.Int64
	late, give := context.WithTimeout(t.Context(), time.Minute)
	defer give()
	more := func() bool { return ctx.Err() == nil || answered.Load() == 0 && late.Err() == nil } // a busy machine answers late
	all.Go(func() {
		rng := rand.New(rand.NewPCG(1, 2))
		for more() {
			name := names[rng.IntN(len(names))]
			switch rng.IntN(14) {
			case 10:
				_ = b.Unload(name)
				continue
			case 11:
				b.GiveBack(ctx, "test")
				continue
			case 12:
				if err := b.Reload(ctx, name); err == nil && b.status(name).State == StateServing {
					answered.Add(1)
				}
				continue
			case 13:
				_ = b.Pin(name, rng.IntN(2) == 0)
				continue
			case 0:
				_ = os.Remove(b.path(name))
			case 1:
				_ = os.Truncate(b.path(name), int64(rng.IntN(len(contents[0]))))
			case 2:
				_ = os.WriteFile(b.path(name), contents[rng.IntN(len(contents))], 0o644)
			default:
				b.putBytes(name, contents[rng.IntN(len(contents))])
			}
			b.sync()
		}
	})
	for i := range 6 {
		all.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(i), 3))
			for more() {
				err := visit(b, rng, names)
				var gone *NotFoundError
				var refused *RefusedError
				var failed *engine.LostError
				switch {
				case err == nil:
					answered.Add(1)
				case errors.As(err, &failed):
					lost.Add(1)
				case errors.As(err, &gone), errors.As(err, &refused):
				default:
					t.Error(err)
					return
				}
			}
		})
	}
	all.Go(func() {
		for more() {
			for _, s := range b.List() {
				if s.State == StateServing && (s.Generation == 0 || s.ContextLen == 0) {
					t.Errorf("listed is %+v", s)
				}
			}
			b.Memory()
		}
	})
	all.Wait()
	t.Logf("%d requests were answered, %d lost their model", answered.Load(), lost.Load())
	if answered.Load() == 0 {
		t.Error("no request was answered")
	}
	for _, name := range names {
		_ = os.Remove(b.path(name))
	}
	b.sync()
	wantUse(t, b.dir, before)
	eventually(t, "no memory is reserved", func() bool {
		held, _ := b.Memory()
		return held == 0
	})
}

// visit is one request: read to its end, or cancelled on the way.
func visit(b *bench, rng *rand.Rand, names []string) error {
	l, err := b.Acquire(names[rng.IntN(len(names))])
	if err != nil {
		return err
	}
	defer l.Release()
	n := 1 + rng.IntN(40)
	s, err := l.Engine.Submit(request(rng.Uint64(), n))
	if err != nil {
		return err
	}
	if rng.IntN(3) == 0 {
		s.Cancel()
		return nil
	}
	_, err = drain(b.t, s)
	return err
}
