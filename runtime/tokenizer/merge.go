package tokenizer

import (
	"slices"
	"unicode/utf8"
)

// symbol is a stretch of a word on its way to a token, in a doubly linked list.
type symbol struct {
	start, end int32 // bytes of the word; start == end: merged into its left neighbour
	prev, next int32 // -1: none
	id         int32 // the token, or for BPE a symbol of the pair table; -1: a character that is no token
}

// bigram is two neighbours that may merge.
type bigram struct {
	rank  int32 // lower merges first; equal ones from left to right
	left  int32 // index of the left symbol
	bytes int32 // length of both when it was found: another length means that one of them has changed since
	id    int32 // what they become
}

// merger is the working memory of one merging.
type merger struct {
	syms  []symbol
	queue []bigram // a heap, the best first
	short shortWord
}

// keepSymbols bounds the memory an idle merger holds.
const keepSymbols = 1 << 16

func (m *merger) shrink() {
	if cap(m.syms) > keepSymbols {
		m.syms = nil
	}
	if cap(m.queue) > keepSymbols {
		m.queue = nil
	}
}

// merge splits a word into its smallest symbols and joins neighbours, the best pair first, until none is left to join.
func (t *Tokenizer) merge(m *merger, word string, out []int32) []int32 {
	if len(word) <= maxShortBytes {
		return t.mergeShort(&m.short, word, out)
	}
	t.split(m, word)
	m.queue = slices.Grow(m.queue[:0], len(m.syms))
	for i := 1; i < len(m.syms); i++ {
		t.push(m, word, int32(i-1), int32(i))
	}
	m.heapify()
	for len(m.queue) > 0 {
		b := m.popHeap()
		l := &m.syms[b.left]
		if l.start == l.end || l.next < 0 {
			continue
		}
		r := &m.syms[l.next]
		if r.end-l.start != b.bytes {
			continue // one of the two has grown since
		}
		l.end, l.id = r.end, b.id
		r.start = r.end
		l.next = r.next
		if l.next >= 0 {
			m.syms[l.next].prev = b.left
		}
		n := len(m.queue)
		t.push(m, word, l.prev, b.left)
		t.push(m, word, b.left, l.next)
		for i := n; i < len(m.queue); i++ {
			m.up(i)
		}
	}
	for i := int32(0); i >= 0; i = m.syms[i].next {
		s := m.syms[i]
		out = t.emit(out, word[s.start:s.end], s.id)
	}
	return out
}

// split fills m.syms with the smallest symbols of a word.
func (t *Tokenizer) split(m *merger, word string) {
	m.syms = slices.Grow(m.syms[:0], len(word)) // growing bit by bit would leave five times as much to collect
	for i := 0; i < len(word); {
		id, n := t.symbol(word, i)
		k := int32(len(m.syms))
		m.syms = append(m.syms, symbol{start: int32(i), end: int32(i + n), prev: k - 1, next: k + 1, id: id})
		i += n
	}
	m.syms[len(m.syms)-1].next = -1
}

// symbol returns the smallest symbol at byte i of a word and its length: a byte for byte-level BPE, a character for the others.
func (t *Tokenizer) symbol(word string, i int) (id int32, n int) {
	if word[i] < utf8.RuneSelf || t.pairs != nil && !t.plain {
		return t.byteSyms[word[i]], 1
	}
	n = 1
	// Of broken text each byte stands alone, and becomes a byte token.
	if k, whole := charPrefix(word[i:]); whole {
		n = k
	}
	if t.plain {
		return t.charSym(word[i : i+n]), n
	}
	if id, ok := t.byPiece.find(word[i : i+n]); ok {
		return id, n
	}
	return -1, n
}

// push adds the bigram of two neighbours, if they merge.
func (t *Tokenizer) push(m *merger, word string, left, right int32) {
	if left < 0 || right < 0 {
		return
	}
	l, r := &m.syms[left], &m.syms[right]
	rank, id := t.pairOf(word[l.start:r.end], l.id, r.id)
	if rank != noMerge {
		m.queue = append(m.queue, bigram{rank: rank, left: left, bytes: r.end - l.start, id: id})
	}
}

func (a bigram) before(b bigram) bool {
	return a.rank < b.rank || a.rank == b.rank && a.left < b.left
}

func (m *merger) heapify() {
	for i := len(m.queue)/2 - 1; i >= 0; i-- {
		m.down(i)
	}
}

func (m *merger) popHeap() bigram {
	b := m.queue[0]
	last := len(m.queue) - 1
	m.queue[0] = m.queue[last]
	m.queue = m.queue[:last]
	if last > 0 {
		m.down(0)
	}
	return b
}

func (m *merger) up(i int) {
	q := m.queue
	for i > 0 {
		look(1)
		parent := (i - 1) / 2
		if !q[i].before(q[parent]) {
			return
		}
		q[i], q[parent] = q[parent], q[i]
		i = parent
	}
}

func (m *merger) down(i int) {
	q := m.queue
	for {
		look(1)
		child := 2*i + 1
		if child >= len(q) {
			return
		}
		if child+1 < len(q) && q[child+1].before(q[child]) {
			child++
		}
		if !q[child].before(q[i]) {
			return
		}
		q[i], q[child] = q[child], q[i]
		i = child
	}
}
