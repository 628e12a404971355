package kvcache

import (
	"fmt"
	"math/bits"
	"time"
)

// The page sizes that the kernels are written for, in tokens.
const (
	MinPageTokens = 16
	MaxPageTokens = 64
)

// Manager accounts for a pool of pages. It holds no memory of the cache itself.
//
// A page is free, held by one Table or more, or kept: no Table holds it, but its content is known by a Key and may be
// wanted again. Kept pages are given to others when no page is free, the least recently used first, and those of a Lasting table
// only when no other is left.
//
// Free pages are a stack, and a table gives its pages back tail first: the page freed last, which is the likeliest to lie
// in the processor's caches, is used first, and a pool that is mostly idle keeps touching the same few pages, so that the
// rest never becomes resident. Of kept pages the tail of a sequence goes first too: its beginning is the likelier to be
// shared.
type Manager struct {
	pageTokens int
	shift      uint    // log2 of pageTokens
	free       []int32 // the stack of free pages; the next one to go is the last
	pages      []page
	index      map[Key]int32 // of every page with a Key
	kept       int           // pages in the lists of kept ones
	ordinary   keptList
	lasting    keptList
	domains    map[string]*domain // those that have pages
	shared     int                // pages that several tables hold
	found      Found              // of all sequences so far
	now        time.Duration      // see At
}

// keptList is a list of kept pages by last use.
type keptList struct{ oldest, newest int32 } // none: it is empty

// page is what is known of one page.
type page struct {
	domain       *domain // whose it is; nil while it is free
	refs         int32   // Tables that hold it
	keyed        bool    // key is its content's, and it is in the index
	lasting      bool    // a Lasting table held it; changed only while a table holds it
	touched      bool    // it was taken since its memory was given back
	older, newer int32   // neighbours in its list of kept pages
	key          Key
}

// none is no page.
const none = -1

// Table is the page table of one sequence: position p lies in Pages()[p/PageTokens]. The zero Table is empty and ready; a table
// grows until it is released as a whole, but for the pages of drafts that came to nothing and those that a window of attention has left.
type Table struct {
	pages []int32
	known int // of its first pages, those whose Key was looked up or committed
	gone  int // of its first pages, those that it gave back before its end; their places hold none
	// Lasting asks that its known pages be kept longer than others', to be set while the table is empty.
	Lasting bool
	// Domain is whose pages these are, to be set while the table is empty. The Keys of its pages are of this domain too.
	Domain string
}

// Copy says that the content of one page is to be copied to another before anything is written.
type Copy struct{ From, To int32 }

// New returns the accounting of a pool of pages, each of pageTokens tokens.
func New(pages, pageTokens int) (*Manager, error) {
	if pages < 1 || pages > 1<<31-1 {
		return nil, fmt.Errorf("kvcache: %d pages: %w", pages, ErrShape)
	}
	if pageTokens < MinPageTokens || pageTokens > MaxPageTokens || bits.OnesCount(uint(pageTokens)) != 1 {
		return nil, fmt.Errorf("kvcache: pages of %d tokens, want a power of two from %d to %d: %w",
			pageTokens, MinPageTokens, MaxPageTokens, ErrShape)
	}
	if pages > (1<<31-1)/pageTokens {
		return nil, fmt.Errorf("kvcache: %d pages of %d tokens: slots are numbered in 31 bits: %w", pages, pageTokens, ErrShape)
	}
	m := &Manager{
		pageTokens: pageTokens,
		shift:      uint(bits.TrailingZeros(uint(pageTokens))),
		free:       make([]int32, pages),
		pages:      make([]page, pages),
		index:      make(map[Key]int32, pages),
		ordinary:   keptList{none, none},
		lasting:    keptList{none, none},
		domains:    map[string]*domain{},
	}
	for i := range m.free {
		m.free[i] = int32(pages - 1 - i)
	}
	return m, nil
}

// PageTokens is the number of tokens in a page.
func (m *Manager) PageTokens() int { return m.pageTokens }

// Total is the number of pages in the pool.
func (m *Manager) Total() int { return len(m.pages) }

// Free is the number of pages that no table holds, kept ones among them: so many can be had.
func (m *Manager) Free() int { return len(m.free) + m.kept }

// Used is the number of pages that tables hold.
func (m *Manager) Used() int { return len(m.pages) - m.Free() }

// Kept is the number of pages that no table holds and whose content may be wanted again.
func (m *Manager) Kept() int { return m.kept }

// PagesFor is the number of pages that hold the given number of tokens.
func (m *Manager) PagesFor(tokens int) int { return (tokens + m.pageTokens - 1) >> m.shift }

// Room is the number of tokens that t has pages for.
func (m *Manager) Room(t *Table) int { return len(t.pages) << m.shift }

// Reserve sets the memory of t's list aside for the given number of tokens, so that growing up to there allocates nothing.
// It takes no page.
func (m *Manager) Reserve(t *Table, tokens int) {
	if want := m.PagesFor(tokens); want > cap(t.pages) {
		t.pages = append(make([]int32, 0, want), t.pages...)
	}
}

// Grow gives t the pages for tokens tokens in all. It returns false, and nothing has changed, when the pool has too few.
func (m *Manager) Grow(t *Table, tokens int) bool {
	need := m.PagesFor(tokens) - len(t.pages)
	if need <= 0 {
		return true
	}
	if need > m.Free() {
		return false
	}
	for range need {
		t.pages = append(t.pages, m.take(t.Domain))
	}
	return true
}

// take returns a page that nobody holds, held once for a domain. There must be one.
func (m *Manager) take(domain string) int32 {
	var p int32
	if n := len(m.free); n > 0 {
		p = m.free[n-1]
		m.free = m.free[:n-1]
	} else {
		if p = m.ordinary.oldest; p == none {
			p = m.lasting.oldest
		}
		m.unkeep(p)
		m.forget(p)
	}
	m.pages[p].refs, m.pages[p].touched = 1, true
	m.enter(p, domain)
	return p
}

// Release gives all pages of t back, tail first, and leaves t empty.
func (m *Manager) Release(t *Table) {
	for i := len(t.pages) - 1; i >= t.gone; i-- {
		m.leave(t, i)
	}
	t.pages, t.known, t.gone = t.pages[:0], 0, 0
}

// leave gives page i of t back.
func (m *Manager) leave(t *Table, i int) {
	page := &m.pages[t.pages[i]]
	page.lasting = page.lasting || t.Lasting && page.keyed
	m.drop(t.pages[i])
}

// Slide gives the pages of t back that lie wholly before its position from: no row to come sees them. What is known by a Key is kept, as
// after Release; the others are free. The pages behind keep their places in the table.
func (m *Manager) Slide(t *Table, from int) {
	for end := min(from>>m.shift, len(t.pages)); t.gone < end; t.gone++ {
		m.leave(t, t.gone)
		t.pages[t.gone] = none
	}
}

// Held is the number of pages that t holds.
func (t *Table) Held() int { return len(t.pages) - t.gone }

// Trim gives the pages of t back that lie behind its first tokens tokens, tail first. Those pages were never committed.
func (m *Manager) Trim(t *Table, tokens int) {
	keep := m.PagesFor(tokens)
	if keep < t.known {
		panic("BUG: kvcache: a committed page is trimmed")
	}
	for i := len(t.pages) - 1; i >= keep; i-- {
		m.drop(t.pages[i])
		t.pages = t.pages[:i]
	}
}

// drop ends one holding of a page.
func (m *Manager) drop(p int32) {
	page := &m.pages[p]
	if page.refs < 1 {
		panic(fmt.Sprintf("BUG: kvcache: page %d is given back twice", p))
	}
	page.refs--
	page.domain.used = m.now
	switch {
	case page.refs > 1:
	case page.refs == 1:
		m.share(page, -1)
	case page.keyed:
		m.keep(p)
	default:
		m.vacate(p)
		m.free = append(m.free, p)
	}
}

// Pages is the list of t's pages in order of position, -1 for those that a window has left. It is valid until t changes or is released and must not be changed.
func (t *Table) Pages() []int32 { return t.pages }
