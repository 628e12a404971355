package repository

import (
	"context"
	"testing"
	"time"

	"github.com/weft-run/weft/runtime/engine"
	"github.com/weft-run/weft/runtime/modeltest"
	"github.com/weft-run/weft/runtime/sampler"
)

// Way is made for requests that are being computed, on a generation that was replaced too, and for nothing else: not for a lease, nor once ctx has ended.
func TestMakeWay(t *testing.T) {
	g := &gate{steps: make(chan engine.StepInfo), next: make(chan struct{}), over: t.Context().Done()}
	b := newBench(t, func(o *Options) {
		first := true
		o.Observer = func(string) engine.Observer {
			if !first {
				return nil
			}
			first = false
			return g
		}
	})
	b.put("a", modeltest.Spec{Seed: 1})
	b.sync()
	l := b.acquire("a")
	_, err := l.Engine.Cache(t.Context()) // behind the first token
	must(t, err)
	quick := func(when string) {
		t.Helper()
		if b.Busy() {
			t.Errorf("requests are being computed, %s", when)
		}
		began := time.Now()
		if b.MakeWay(t.Context(), time.Hour); time.Since(began) > time.Minute {
			t.Errorf("way was made, %s", when)
		}
	}
	quick("beside a lease")
	g.shut.Store(true)
	s, err := l.Engine.Submit(engine.Request{Prompt: []int32{5}, Sampling: sampler.Default(), IgnoreEOS: true})
	must(t, err)
	g.step(t) // and it is held there
	slow := func(when string) {
		t.Helper()
		const took = 5 * time.Millisecond
		began := time.Now()
		if b.MakeWay(t.Context(), took); time.Since(began) < took || !b.Busy() {
			t.Errorf("no way was made, %s", when)
		}
		over, cancel := context.WithCancel(t.Context())
		cancel()
		b.MakeWay(over, time.Hour)
	}
	slow("beside a request")
	b.put("a", modeltest.Spec{Seed: 2})
	b.sync()
	if n := b.status("a").Generation; n != 2 {
		t.Fatalf("generation %d is in service, want 2", n)
	}
	slow("beside a request on the generation before")
	s.Cancel()
	g.shut.Store(false)
	g.next <- struct{}{}
	eventually(t, "the request has ended", func() bool { return !b.Busy() })
	quick("behind the request")
	l.Release()
}
