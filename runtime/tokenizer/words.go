package tokenizer

import (
	"encoding/binary"
	"math/bits"
	"sync/atomic"
)

// encodeWord appends the ids of one word: a stretch of text that no merge crosses.
func (t *Tokenizer) encodeWord(m *merger, word string, out []int32) []int32 {
	if t.crossings != nil && len(word) > maxCachedBytes {
		return t.encodeApart(m, word, out)
	}
	return t.encodePart(m, word, out)
}

// encodePart is encodeWord for a word that is not taken apart any more.
func (t *Tokenizer) encodePart(m *merger, word string, out []int32) []int32 {
	if len(word) > maxCachedBytes {
		return t.encodeNew(m, word, out)
	}
	key := keyOf(word)
	from := len(out)
	out, ok := t.words.find(&key, out)
	if !ok {
		out = t.encodeNew(m, word, out)
		t.words.keep(&key, out[from:])
	}
	return out
}

// encodeNew is encodePart without a look at the words that came before.
func (t *Tokenizer) encodeNew(m *merger, word string, out []int32) []int32 {
	if (t.ignoreMerges || t.newlines && word[0] == '\n') && len(word) <= t.maxPiece {
		if id, ok := t.byPiece.find(word); ok {
			return append(out, id)
		}
	}
	return t.merge(m, word, out)
}

// Words of a text come back: wordCache remembers the ids of those that came lately, so that most are looked up instead of merged.
//
// It is a table of fixed size in which a word has two places and the newer word wins, so that no text makes it grow and the worst a
// text can do is to find nothing in it. Any number of goroutines use it at once without a lock: an entry carries a version, which is
// odd while it is written, and one that changed while it was read is not believed.
type wordCache struct {
	entries []wordEntry
	shift   int // of a hash to a pair of entries
}

// wordEntry fills one line of the processor's cache.
type wordEntry struct {
	head atomic.Uint64 // version<<16 | bytes of the word<<8 | number of ids; 0 bytes: empty
	key  [3]atomic.Uint64
	ids  [maxCachedIDs / 2]atomic.Uint64 // two in each
}

const (
	maxCachedBytes = 24 // of a word
	maxCachedIDs   = 8
	maxCachedWords = 1 << 14 // a megabyte for each tokenizer
	wordVersion    = 1 << 16
)

// wordKey is a word of at most maxCachedBytes, the whole of it.
type wordKey struct {
	words [3]uint64
	bytes int
	hash  uint64
}

// keyOf reads a word of 1 to maxCachedBytes bytes, eight at a time: of the same length, words that differ give keys that differ.
func keyOf(word string) wordKey {
	n := len(word)
	k := wordKey{bytes: n}
	switch {
	case n > 16:
		k.words = [3]uint64{load64(word), load64(word[8:]), load64(word[n-8:])}
	case n >= 8:
		k.words = [3]uint64{load64(word), load64(word[n-8:]), 0}
	case n >= 4:
		k.words[0] = uint64(load32(word)) | uint64(load32(word[n-4:]))<<32
	default:
		k.words[0] = uint64(word[0]) | uint64(word[n/2])<<8 | uint64(word[n-1])<<16
	}
	h := (k.words[0] ^ uint64(n)) * 0x9E3779B97F4A7C15
	h = (h ^ h>>32 ^ k.words[1]) * 0xD6E8FEB86659FD93
	h = (h ^ h>>32 ^ k.words[2]) * 0x9E3779B97F4A7C15
	k.hash = h
	return k
}

func load64(s string) uint64 {
	var b [8]byte
	copy(b[:], s[:8])
	return binary.LittleEndian.Uint64(b[:])
}

func load32(s string) uint32 {
	var b [4]byte
	copy(b[:], s[:4])
	return binary.LittleEndian.Uint32(b[:])
}

// newWordCache makes a cache for a vocabulary of so many tokens: a small one, as tests have, needs few entries.
func newWordCache(tokens int) wordCache {
	size := min(bits.Len(maxCachedWords)-1, bits.Len(uint(tokens))+3)
	return wordCache{make([]wordEntry, 1<<size), 64 - (size - 1)}
}

// find appends the ids of a word, if it has them.
func (c *wordCache) find(k *wordKey, out []int32) ([]int32, bool) {
	look(1)
	at := k.hash >> c.shift << 1
	if out, ok := c.entries[at].read(k, out); ok {
		return out, true
	}
	return c.entries[at+1].read(k, out)
}

func (e *wordEntry) read(k *wordKey, out []int32) ([]int32, bool) {
	head := e.head.Load()
	if int(head>>8&0xff) != k.bytes || head&wordVersion != 0 ||
		e.key[0].Load() != k.words[0] || e.key[1].Load() != k.words[1] || e.key[2].Load() != k.words[2] {
		return out, false
	}
	from := len(out)
	for i := range int(head & 0xff) {
		out = append(out, int32(e.ids[i/2%len(e.ids)].Load()>>(i%2*32)))
	}
	if e.head.Load() != head {
		return out[:from], false
	}
	return out, true
}

// keep remembers the ids of a word, unless they are too many or another goroutine writes to its place.
func (c *wordCache) keep(k *wordKey, ids []int32) {
	if len(ids) > maxCachedIDs {
		return
	}
	at := k.hash >> c.shift << 1
	e := &c.entries[at]
	if c.entries[at].head.Load()&0xff00 != 0 {
		// The one of the two that was written less often: both hold words, and over time each is as often the older one.
		if other := &c.entries[at+1]; other.head.Load()>>16 <= e.head.Load()>>16 {
			e = other
		}
	}
	head := e.head.Load()
	if head&wordVersion != 0 || !e.head.CompareAndSwap(head, head|wordVersion) {
		return
	}
	for i := range e.key {
		e.key[i].Store(k.words[i])
	}
	for i := 0; i < len(ids); i += 2 {
		pair := uint64(uint32(ids[i]))
		if i+1 < len(ids) {
			pair |= uint64(uint32(ids[i+1])) << 32
		}
		e.ids[i/2].Store(pair)
	}
	version := head/wordVersion + 2
	e.head.Store(version*wordVersion | uint64(k.bytes)<<8 | uint64(len(ids)))
}
