package engine

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/weft-run/weft/runtime/kvcache"
)

// What requests leave is counted for their domain, found and shared within it, and dropped by it.
func TestCacheByDomains(t *testing.T) {
	f := newFake(t, func(c *Config) { c.ContextLen, c.PageTokens, c.Pages, c.StreamTokens = 256, 16, 40, 4 })
	ask := func(domain string) (reused int) {
		t.Helper()
		s := f.submit(t, Request{Prompt: prompt(70, 3), MaxTokens: 4, IgnoreEOS: true, Domain: domain})
		read(t, s)
		return s.Result().ReusedTokens
	}
	for _, c := range []struct {
		domain string
		want   int
	}{{"one", 0}, {"two", 0}, {"one", 64}, {"one", 64}} {
		if got := ask(c.domain); got != c.want {
			t.Errorf("%s found %d tokens, want %d", c.domain, got, c.want)
		}
	}
	look := func() *Cache {
		t.Helper()
		c, err := f.Cache(testContext(t))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	share := func(kept int, found kvcache.Found) CacheShare {
		return CacheShare{Kept: kept, Tokens: kept * 16, Found: found}
	}
	got := look()
	want := &Cache{
		PageTokens: 16, PageBytes: got.PageBytes, Pages: 40, CacheShare: share(8, kvcache.Found{Hits: 2, Misses: 2, Tokens: 128}),
		Domains: []DomainCache{
			{Domain: "one", CacheShare: share(4, kvcache.Found{Hits: 2, Misses: 1, Tokens: 128})},
			{Domain: "two", CacheShare: share(4, kvcache.Found{Misses: 1})},
		},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(DomainCache{}, "Used")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !got.Domains[0].Used.After(got.Domains[1].Used) {
		t.Errorf("one was used at %v, two before it at %v", got.Domains[0].Used, got.Domains[1].Used)
	}
	// Two that run at once hold the pages together, and what is held is not dropped.
	first := f.submit(t, Request{Prompt: prompt(70, 3), IgnoreEOS: true, Domain: "one"})
	second := f.submit(t, Request{Prompt: prompt(70, 3), IgnoreEOS: true, Domain: "one"})
	for _, s := range []*Stream{first, second} {
		if _, err := s.Next(testContext(t)); err != nil {
			t.Fatal(err)
		}
	}
	if c := look(); c.Shared < 4 || c.Domains[0].Shared != c.Shared {
		t.Errorf("of two that run: %+v", c)
	}
	drop := func(match func(string) bool, want int) {
		t.Helper()
		if n, err := f.DropCache(testContext(t), match); err != nil || n != want {
			t.Errorf("%d pages dropped, %v; want %d", n, err, want)
		}
	}
	drop(func(domain string) bool { return domain == "one" }, 0)
	drop(func(string) bool { return true }, 4)
	if s := f.Stats(); s.PagesKept != 0 {
		t.Errorf("after that %+v", s)
	}
	first.Cancel()
	second.Cancel()
	eventually(t, "both gone", func() bool { return f.Stats().PagesUsed == 0 })
	drop(func(domain string) bool { return domain == "two" }, 0)
	if ask("two") != 0 || ask("one") != 64 {
		t.Error("what was dropped is found, or what was not is not")
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.Cache(gone); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("with no time: %v", err)
	}
	f.Close()
	if _, err := f.Cache(testContext(t)); !errors.Is(err, ErrClosed) {
		t.Errorf("of a closed engine: %v", err)
	}
}

// Who was told that pages came back reads so in Stats, also where the loop is busy with the next piece of news.
func TestStatsKnowWhatWasGivenBack(t *testing.T) {
	for _, tc := range []struct {
		name string
		give func(fake) (int64, error)
	}{
		{"given back", func(f fake) (int64, error) { return f.GiveBack(testContext(t), false) }},
		{"dropped", func(f fake) (int64, error) {
			n, err := f.DropCache(testContext(t), func(string) bool { return true })
			return int64(n), err
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFake(t, func(c *Config) { c.ContextLen, c.PageTokens, c.Pages = 256, 16, 40 })
			read(t, f.submit(t, Request{Prompt: prompt(70, 3), MaxTokens: 4, IgnoreEOS: true}))
			eventually(t, "pages kept", func() bool { return f.Stats().PagesKept > 0 })
			// The first call holds the loop until the two behind it are posted together; the last one holds it again.
			var posted, read sync.WaitGroup
			busy := func(until *sync.WaitGroup, running chan struct{}) {
				if err := f.call(testContext(t), func() { close(running); until.Wait() }); err != nil {
					t.Error(err)
				}
			}
			waiting := func() int {
				f.mu.Lock()
				defer f.mu.Unlock()
				return len(f.inbox)
			}
			posted.Add(1)
			read.Add(1)
			var all sync.WaitGroup
			first := make(chan struct{})
			all.Go(func() { busy(&posted, first) })
			<-first
			all.Go(func() {
				defer read.Done()
				if n, err := tc.give(f); err != nil || n == 0 {
					t.Errorf("%d came back, %v", n, err)
				}
				if s := f.Stats(); s.PagesKept != 0 {
					t.Errorf("after that %+v", s)
				}
			})
			eventually(t, "the news is posted", func() bool { return waiting() == 1 })
			all.Go(func() { busy(&read, make(chan struct{})) })
			eventually(t, "both are posted", func() bool { return waiting() == 2 })
			posted.Done()
			all.Wait()
		})
	}
}
