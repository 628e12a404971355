package engine

import (
	"context"
	"errors"
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
