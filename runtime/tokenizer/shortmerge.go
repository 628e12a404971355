package tokenizer

import "math"

// maxShortBytes is the length of a word up to which looking through all neighbours for the best two beats a heap.
const maxShortBytes = 24

// noMerge is the rank of neighbours that do not merge.
const noMerge = math.MaxInt32

// shortWord is a word on its way to tokens, in arrays that a line or two of the processor's cache hold: symbol i ends at byte ends[i] and
// becomes into[i] with the one behind it, at ranks[i].
type shortWord struct {
	ids, ends, ranks, into [maxShortBytes]int32
}

// mergeShort is merge for a word of at most maxShortBytes.
func (t *Tokenizer) mergeShort(w *shortWord, word string, out []int32) []int32 {
	n := 0
	for i := 0; i < len(word); n++ {
		id, size := t.symbol(word, i)
		i += size
		w.ids[n], w.ends[n] = id, int32(i)
	}
	for i := range n - 1 {
		t.rate(w, word, i)
	}
	for n > 1 {
		look(n)
		best, at := int32(noMerge), 0
		for i, rank := range w.ranks[:n-1] {
			if rank < best {
				best, at = rank, i
			}
		}
		if best == noMerge {
			break
		}
		w.ids[at], w.ends[at] = w.into[at], w.ends[at+1]
		n--
		for i := at + 1; i < n; i++ {
			w.ids[i], w.ends[i], w.ranks[i], w.into[i] = w.ids[i+1], w.ends[i+1], w.ranks[i+1], w.into[i+1]
		}
		if at+1 < n {
			t.rate(w, word, at)
		}
		if at > 0 {
			t.rate(w, word, at-1)
		}
	}
	start := int32(0)
	for i := range n {
		out = t.emit(out, word[start:w.ends[i]], w.ids[i])
		start = w.ends[i]
	}
	return out
}

// rate enters at what rank symbol i merges with the one behind it, and into what.
func (t *Tokenizer) rate(w *shortWord, word string, i int) {
	start := int32(0)
	if i > 0 {
		start = w.ends[i-1]
	}
	w.ranks[i], w.into[i] = t.pairOf(word[start:w.ends[i+1]], w.ids[i], w.ids[i+1])
}

// pairOf returns at what rank two neighbours merge, and into what, or noMerge. both are their bytes.
func (t *Tokenizer) pairOf(both string, left, right int32) (rank, id int32) {
	look(1)
	if t.pairs != nil {
		if left < 0 || right < 0 {
			return noMerge, -1 // a character that no merge knows
		}
		return t.pairs.get(left, right)
	}
	if len(both) > t.maxPiece {
		return noMerge, -1
	}
	id, ok := t.byPiece.find(both)
	if !ok {
		return noMerge, -1
	}
	return t.spmRanks[id], id
}
