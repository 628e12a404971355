package kvcache

import (
	"fmt"
	"math/bits"
)

// The page sizes that the kernels are written for, in tokens.
const (
	MinPageTokens = 16
	MaxPageTokens = 64
)

// Manager accounts for a pool of pages. It holds no memory of the cache itself.
//
// Free pages are a stack, and a table gives its pages back tail first: the page freed last, which is the likeliest to lie
// in the processor's caches, is used first, and a pool that is mostly idle keeps touching the same few pages, so that the
// rest never becomes resident.
type Manager struct {
	pageTokens int
	shift      uint    // log2 of pageTokens
	free       []int32 // the stack of free pages; the next one to go is the last
	held       []bool  // page -> is in a Table; guards against giving a page back twice
}

// Table is the page table of one sequence: position p lies in Pages()[p/PageTokens]. The zero Table is empty and ready; a table
// only grows until it is released as a whole.
type Table struct {
	pages []int32
}

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
		held:       make([]bool, pages),
	}
	for i := range m.free {
		m.free[i] = int32(pages - 1 - i)
	}
	return m, nil
}

// PageTokens is the number of tokens in a page.
func (m *Manager) PageTokens() int { return m.pageTokens }

// Total is the number of pages in the pool.
func (m *Manager) Total() int { return len(m.held) }

// Free is the number of pages that no table holds.
func (m *Manager) Free() int { return len(m.free) }

// Used is the number of pages that tables hold.
func (m *Manager) Used() int { return len(m.held) - len(m.free) }

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
	if need > len(m.free) {
		return false
	}
	for range need {
		page := m.free[len(m.free)-1]
		m.free = m.free[:len(m.free)-1]
		m.held[page] = true
		t.pages = append(t.pages, page)
	}
	return true
}

// Release gives all pages of t back, tail first, and leaves t empty.
func (m *Manager) Release(t *Table) {
	for i := len(t.pages) - 1; i >= 0; i-- {
		page := t.pages[i]
		if !m.held[page] {
			panic(fmt.Sprintf("BUG: kvcache: page %d is given back twice", page))
		}
		m.held[page] = false
		m.free = append(m.free, page)
	}
	t.pages = t.pages[:0]
}

// Pages is the list of t's pages in order of position. It is valid until t grows or is released and must not be changed.
func (t *Table) Pages() []int32 { return t.pages }
