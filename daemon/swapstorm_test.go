package daemon

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weft-run/weft/daemon/api"
	"github.com/weft-run/weft/runtime/modeltest"
)

// storm is what TestSwapStorm sees.
type storm struct {
	want map[string][]int32 // tokens of a request alone, by the digests of base and adapter

	mu       sync.Mutex
	requests int
	tokens   int
	seen     map[string]int // requests by the digests
	gaps     []time.Duration
}

// identity is what decides a greedy answer to a fixed prompt.
func identity(info *api.Info) string {
	id := info.Base.HeaderDigest
	for _, a := range info.Adapters {
		id += " " + a.Digest
	}
	return id
}

// stormLength is the number of tokens of each answer.
const stormLength = 120

// TestSwapStorm (H26, H27) has 8 streams run while their adapters, and now and then their base, are replaced. No request fails, no token is lost, and
// every answer is, to the bit, the one that its request gets alone with the content that it names. Without WEFT_LONG the storm is
// short: with it 200 adapters and 20 bases are replaced in a minute.
func TestSwapStorm(t *testing.T) {
	adapters, bases, every := 12, 2, 100*time.Millisecond
	if os.Getenv("WEFT_LONG") != "" {
		adapters, bases, every = 200, 20, 300*time.Millisecond
	} else if testing.Short() {
		adapters, bases = 4, 1
	}
	const versions, streams = 4, 8
	l := startAdapted(t)
	s := &storm{want: map[string][]int32{}, seen: map[string]int{}}
	// The base comes in two versions that differ in a rotation's base alone, so that adapters fit both.
	models := [2][]byte{modeltest.Tiny(tinyBase), nil}
	other := tinyBase
	other.RopeBase = 20000
	models[1] = modeltest.Tiny(other)
	for _, model := range models {
		l.rename("m.gguf", model)
		before := len(s.want)
		for v := range versions {
			l.lay("g", modeltest.TinyAdapter(tinyAdapter(uint64(v+1))))
			l.layFolder("p", tinyAdapter(uint64(v+1)))
			for _, name := range []string{"m+g", "m+p"} {
				l.until("all contents to have answered alone", func() bool {
					c, err := l.client.Complete(context.Background(), request(name, stormLength))
					must(t, err)
					known := len(s.want)
					s.want[identity(c.Weft)] = c.Choices[0].TokenIDs
					return len(s.want) > known || len(s.want) == before+2*versions
				})
			}
		}
	}
	t.Logf("%d contents", len(s.want))

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var all sync.WaitGroup
	for i := range streams {
		all.Go(func() {
			for ctx.Err() == nil && !t.Failed() {
				if err := s.visit(l, []string{"m+g", "m+p"}[i%2]); err != nil {
					t.Errorf("stream %d: %v", i, err)
				}
			}
		})
	}
	var swaps, rebases []time.Duration
	for n := range adapters {
		began := time.Now()
		version := tinyAdapter(uint64(n%versions + 1))
		name, swap := "m+g", func() { l.lay("g", modeltest.TinyAdapter(version)) }
		if n%2 == 1 {
			name, swap = "m+p", func() { l.layFolder("p", version) }
		}
		swaps = append(swaps, l.first(name, swap, func(i *api.Info) uint64 { return i.Adapters[0].Generation }))
		if bases > 0 && n%(adapters/bases) == adapters/bases-1 {
			swap = func() { l.rename("m.gguf", models[n/(adapters/bases)%2]) }
			rebases = append(rebases, l.first(name, swap, func(i *api.Info) uint64 { return i.Base.Generation }))
		}
		<-time.After(time.Until(began.Add(every)))
	}
	cancel()
	all.Wait()
	slices.Sort(s.gaps)
	t.Logf("%d requests, %d tokens, %d contents seen; %s", s.requests, s.tokens, len(s.seen), percentiles("gap between tokens", s.gaps))
	t.Log(percentiles("rename to first token with the new adapter", swaps))
	t.Log(percentiles("rename to first token on the new base", rebases))
	if len(s.seen) < 3 {
		t.Errorf("only %d contents were seen", len(s.seen))
	}
	l.until("all retired generations to be gone", func() bool {
		list, err := l.client.Adapters(context.Background())
		must(t, err)
		return len(list.Adapters) == 2
	})
}

// first measures how long it takes after a swap until a request is answered by another generation than the one before it.
func (l *live) first(model string, swap func(), generation func(*api.Info) uint64) time.Duration {
	l.t.Helper()
	st, err := l.client.Complete(context.Background(), request(model, 1))
	must(l.t, err)
	before := generation(st.Weft)
	began := time.Now()
	swap()
	l.until("the next generation of "+model, func() bool {
		c, err := l.client.Complete(context.Background(), request(model, 1))
		must(l.t, err)
		return generation(c.Weft) > before
	})
	return time.Since(began)
}

// visit reads one answer as a stream and compares it with the one that was given alone.
func (s *storm) visit(l *live, model string) error {
	stream, err := l.client.CompleteStream(context.Background(), request(model, stormLength))
	if err != nil {
		return err
	}
	defer stream.Close()
	var (
		ids  []int32
		info *api.Info
		gaps []time.Duration
		last time.Time
	)
	for chunk, err := range stream.All() {
		if err != nil {
			return err
		}
		now := time.Now()
		if !last.IsZero() {
			gaps = append(gaps, now.Sub(last))
		}
		last = now
		if len(chunk.Choices) > 0 {
			ids = append(ids, chunk.Choices[0].TokenIDs...)
		}
		if chunk.Weft != nil {
			info = chunk.Weft
		}
	}
	if info == nil {
		return fmt.Errorf("the answer does not say what made it")
	}
	id := identity(info)
	want, known := s.want[id]
	switch {
	case !known:
		return fmt.Errorf("the answer names content that never lay there: %s", id)
	case !slices.Equal(ids, want):
		return fmt.Errorf("of %s the tokens are %v, and alone they are %v", id, ids, want)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	s.tokens += len(ids)
	s.seen[id]++
	s.gaps = append(s.gaps, gaps...)
	return nil
}

// percentiles writes the distribution of times.
func percentiles(what string, all []time.Duration) string {
	if len(all) == 0 {
		return what + ": none"
	}
	slices.Sort(all)
	at := func(p float64) time.Duration { return all[int(p*float64(len(all)-1))].Round(10 * time.Microsecond) }
	return strings.TrimSpace(fmt.Sprintf("%s: p50 %v, p99 %v, longest %v of %d", what, at(0.5), at(0.99), at(1), len(all)))
}
