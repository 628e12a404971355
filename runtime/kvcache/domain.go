package kvcache

import (
	"cmp"
	"slices"
	"time"
)

// domain is those who may find each other's pages, for as long as the pool has pages of theirs.
type domain struct {
	name   string
	pages  int // that are not free
	kept   int
	known  int
	shared int
	found  Found
	used   time.Duration
}

// Found counts sequences that looked for the pages of their beginning.
type Found struct {
	Hits   uint64 // found something
	Misses uint64 // found nothing, and were long enough to
	Tokens uint64 // that were found, and so not computed
}

// Usage is how a pool stands, or one domain in it.
type Usage struct {
	Domain string        // "" where it is the pool
	Held   int           // pages that tables hold
	Shared int           // of these, those that several tables hold
	Kept   int           // pages that no table holds and whose content may be wanted again
	Known  int           // of both, those whose content is known by a Key: full ones
	Found  Found         // of the pool since it was made; of a domain since it has had pages in it
	Used   time.Duration // when tables last took or let go of pages, as At told
}

// At says what time it is for all that follows, by any clock that does not go back.
func (m *Manager) At(now time.Duration) { m.now = now }

// enter gives a page to a domain.
func (m *Manager) enter(p int32, name string) {
	d := m.domains[name]
	if d == nil {
		d = &domain{name: name}
		m.domains[name] = d
	}
	d.pages++
	d.used = m.now
	m.pages[p].domain = d
}

// vacate takes a page from its domain.
func (m *Manager) vacate(p int32) {
	d := m.pages[p].domain
	m.pages[p].domain = nil
	if d.pages--; d.pages == 0 {
		delete(m.domains, d.name)
	}
}

// share counts a page that several tables hold from now on (by is 1), or do no longer (-1).
func (m *Manager) share(p *page, by int) {
	m.shared += by
	p.domain.shared += by
}

// Began notes that the sequence of t, which holds pages, looked for its beginning and found so many tokens of it.
func (m *Manager) Began(t *Table, tokens int) {
	for _, f := range []*Found{&m.found, &m.pages[t.pages[len(t.pages)-1]].domain.found} {
		if tokens > 0 {
			f.Hits++
		} else {
			f.Misses++
		}
		f.Tokens += uint64(tokens)
	}
}

// Usage returns how the pool stands, and each domain that has pages, in the order of their names.
func (m *Manager) Usage() (pool Usage, domains []Usage) {
	pool = Usage{Held: m.Used(), Shared: m.shared, Kept: m.kept, Known: len(m.index), Found: m.found}
	for _, d := range m.domains {
		pool.Used = max(pool.Used, d.used)
		domains = append(domains, Usage{
			Domain: d.name, Held: d.pages - d.kept, Shared: d.shared, Kept: d.kept, Known: d.known, Found: d.found, Used: d.used,
		})
	}
	slices.SortFunc(domains, func(a, b Usage) int { return cmp.Compare(a.Domain, b.Domain) })
	return pool, domains
}
