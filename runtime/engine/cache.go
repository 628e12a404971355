package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/runtime/kvcache"
	"github.com/weft-run/weft/runtime/scheduler"
)

// Cache is how an engine's cache stands between two steps.
type Cache struct {
	Type       kernels.CacheType
	PageTokens int
	PageBytes  int
	Pages      int // in all; those that are neither held nor kept are free
	CacheShare
	// Domains are those that have pages, in the order of their names.
	Domains []DomainCache
}

// CacheShare is a pool of pages, or a domain's part of it.
type CacheShare struct {
	Held   int // pages that requests hold
	Shared int // of these, those that several requests hold
	Kept   int // pages that no request holds and whose content may be wanted again
	Tokens int // in full pages, which others may find
	Found  kvcache.Found
}

// DomainCache is what one domain has in a cache. Found counts since it has had pages there.
type DomainCache struct {
	Domain string // as Request.Domain has it
	CacheShare
	Used time.Time // when its requests last took or let go of pages
}

// Cache returns how the cache stands. It waits for the step that runs. The error is ErrClosed, a *LostError or ctx's.
func (e *Engine) Cache(ctx context.Context) (*Cache, error) {
	c := &Cache{Type: e.cfg.CacheType, PageTokens: e.cfg.PageTokens, PageBytes: e.cfg.layout().PageBytes(), Pages: e.cfg.Pages}
	err := e.call(ctx, func() {
		pool, domains := e.loop.manager.Usage()
		c.CacheShare = c.share(pool)
		for _, u := range domains {
			c.Domains = append(c.Domains, DomainCache{Domain: u.Domain, CacheShare: c.share(u), Used: e.loop.began.Add(u.Used)})
		}
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}

func (c *Cache) share(u kvcache.Usage) CacheShare {
	return CacheShare{Held: u.Held, Shared: u.Shared, Kept: u.Kept, Tokens: u.Known * c.PageTokens, Found: u.Found}
}

// DropCache frees the pages that no request holds of the domains that match wants, and returns how many there were. What is on disk stays there.
// The errors are those of Cache.
func (e *Engine) DropCache(ctx context.Context, match func(domain string) bool) (dropped int, err error) {
	done := make(chan int, 1)
	if err = e.call(ctx, func() { done <- e.loop.manager.Drop(match) }); err != nil {
		return 0, err
	}
	return <-done, nil
}

// call runs f on the loop's goroutine, between two steps, and waits until it has. Stats says what f changed when call returns.
func (e *Engine) call(ctx context.Context, f func()) error {
	ran := make(chan struct{})
	e.mu.Lock()
	if e.ended != nil {
		defer e.mu.Unlock()
		return e.ended
	}
	e.post(event{kind: called, call: func() {
		f()
		e.note(scheduler.Step{})
		close(ran)
	}})
	e.mu.Unlock()
	select {
	case <-ran:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("engine: waiting for a step to end: %w", ctx.Err())
	case <-e.done:
	}
	select {
	case <-ran: // both happened
		return nil
	default:
		return ErrClosed
	}
}
