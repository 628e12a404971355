package tokenizer

import (
	"math"
	"math/bits"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/weft-run/weft/runtime/gguf"
)

// maxUnigramPiece bounds a piece of a Unigram vocabulary: from each character the search looks that far ahead.
const maxUnigramPiece = 1 << 10

// unknownPenalty is how far below the worst piece the unknown token scores, SentencePiece's own figure.
const unknownPenalty = 10

// unigram is the model "t5": of all ways to write a text as pieces, the one whose scores add up to the most.
//
// Normal text holds spaces where SentencePiece writes U+2581: one byte instead of three. A piece with a bare space matches
// nothing, as it never does there.
type unigram struct {
	t    *Tokenizer
	trie *byteTrie
	// scores are of each node of the trie. Beside the token's own, as that would be another place of memory to look at: a
	// user-defined token has 0, better than any other, as scores are logarithms.
	scores []float32

	charsmap     *charsmap
	plain        [256]bool // characters that are no space and stay as they are where ASCII follows or the text ends
	spacePrefix  bool      // a space goes before the text
	mergeSpaces  bool      // whitespace at both ends goes, and within the text one space remains of several
	fallback     bool      // an unknown character becomes the tokens of its bytes
	unknownScore float64

	// wordwise says how many bytes of normal text may be searched word by word, each for itself, to the same result: 0 where words
	// are no units.
	wordwise int

	window  int       // a power of two above the length of any piece
	scratch sync.Pool // *lattice
}

// lattice is the working memory of one search.
type lattice struct {
	text   []byte
	steps  []step    // the last piece of the best way to each place
	scores []float64 // of the best way to each place not yet passed, as a ring
}

type step struct {
	id    int32 // -1: the unknown token
	width int32
}

// initUnigram reads what Unigram needs beside the tokens.
func (t *Tokenizer) initUnigram(m gguf.Metadata) error {
	if t.scores == nil {
		return malformed("%s is absent; Unigram chooses by it", keyScores)
	}
	u := &unigram{t: t}
	t.enc = u
	t.addEOS = true
	var err error
	if t.spacePrefix, err = m.Bool(keySpacePrefix, false); err != nil {
		return err
	}
	u.spacePrefix = t.spacePrefix
	if u.mergeSpaces, err = m.Bool(keyMergeSpaces, false); err != nil {
		return err
	}
	if u.charsmap, err = readCharsmap(m); err != nil {
		return err
	}

	var entries []trieEntry
	longest, worst := 1, math.Inf(1)
	for i, text := range t.texts {
		a, score := t.attrs[i], float64(t.scores[i])
		if a&(attrNormal|attrUserDefined) == 0 || text == "" {
			continue
		}
		if len(text) > maxUnigramPiece {
			return malformed("token %d is %d bytes long, at most %d are allowed in a Unigram vocabulary", i, len(text), maxUnigramPiece)
		}
		if math.IsInf(score, 0) {
			return malformed("%s of token %d (%q) is infinite", keyScores, i, text)
		}
		if a&attrNormal != 0 {
			worst = min(worst, score)
		}
		if strings.Contains(text, " ") {
			continue
		}
		piece := strings.ReplaceAll(text, spmSpace, " ")
		longest = max(longest, len(piece))
		entries = append(entries, trieEntry{piece, int32(i)})
	}
	if math.IsInf(worst, 1) {
		return malformed("%s has no token of type normal", keyTokens)
	}
	u.unknownScore = worst - unknownPenalty
	u.trie = newByteTrie(entries)
	u.scores = make([]float32, len(u.trie.nodes))
	for i, n := range u.trie.nodes {
		if n.id >= 0 && t.attrs[n.id]&attrUserDefined == 0 {
			u.scores[i] = t.scores[n.id]
		}
	}
	u.window = 8 // an unknown character is up to 4 bytes
	for u.window <= longest {
		u.window *= 2
	}
	for _, e := range entries {
		t.bridge(e.text)
	}
	u.wordwise = u.exactSums(entries)
	for b := range byte(utf8.RuneSelf) {
		u.plain[b] = b != ' ' && u.charsmap.stays(string(b))
	}
	u.fallback = true
	for _, id := range t.byteIDs {
		u.fallback = u.fallback && id >= 0 && t.attrs[id]&attrByte != 0
	}
	u.scratch.New = func() any { return new(lattice) }
	return nil
}

// exactSums returns the number of bytes of text up to which sums of scores are exact: no rounding, so that the best way through a
// text is the best way through each of its words. It is 0 where a space is not a piece by itself: then what is unknown at the end of
// one word and at the beginning of the next is one token.
func (u *unigram) exactSums(entries []trieEntry) int {
	if _, n := u.trie.longest([]byte(" ")); n == 0 {
		return 0
	}
	unit, largest := math.Inf(1), 1.0 // all scores are multiples of unit
	grow := func(score float64) {
		largest = max(largest, math.Abs(score))
		if fraction, exponent := math.Frexp(score); fraction != 0 {
			const mantissa = 53
			low := bits.TrailingZeros64(uint64(math.Abs(math.Ldexp(fraction, mantissa))))
			unit = min(unit, math.Ldexp(1, exponent-mantissa+low))
		}
	}
	grow(u.unknownScore)
	for _, e := range entries {
		grow(float64(u.t.scores[e.id]))
	}
	return int(min(math.Ldexp(unit, 53)/largest, maxTextBytes))
}

func (u *unigram) encode(text string, out []int32) []int32 {
	l := u.scratch.Get().(*lattice)
	l.text = u.normalize(l.text[:0], text)
	if len(l.text) < u.wordwise {
		out = u.encodeWords(l, string(l.text), out)
	} else {
		out = u.encodeNew(l, out)
	}
	if cap(l.text) > keepSymbols {
		l.text = nil
	}
	if cap(l.steps) > keepSymbols {
		l.steps = nil
	}
	u.scratch.Put(l)
	return out
}

// encodeWords encodes normal text word by word.
func (u *unigram) encodeWords(l *lattice, text string, out []int32) []int32 {
	for i := 0; i < len(text); {
		end := u.t.wordEnd(text, i)
		word := text[i:end]
		i = end
		if len(word) > maxCachedBytes {
			l.text = append(l.text[:0], word...)
			out = u.encodeNew(l, out)
			continue
		}
		key, from := keyOf(word), len(out)
		var known bool
		if out, known = u.t.words.find(&key, out); !known {
			l.text = append(l.text[:0], word...)
			out = u.encodeNew(l, out)
			u.t.words.keep(&key, out[from:])
		}
	}
	return out
}

// encodeNew encodes l.text as one.
func (u *unigram) encodeNew(l *lattice, out []int32) []int32 {
	if len(l.text) == 0 {
		return out
	}
	u.search(l)
	return u.collect(l, out)
}

// search finds the best way to each place of l.text, character by character. Every place of a character is reached: by a
// piece of that character or by the unknown token.
//
// Scores are added in the order of the text and in double precision, as llama.cpp and Hugging Face's tokenizers do it; of
// equal ways the one found first stays.
func (u *unigram) search(l *lattice) {
	text := l.text
	l.steps = slices.Grow(l.steps[:0], len(text)+1)[:len(text)+1]
	if len(l.scores) != u.window {
		l.scores = make([]float64, u.window)
	}
	for i := range l.scores {
		l.scores[i] = math.Inf(-1)
	}
	mask := u.window - 1
	l.scores[0] = 0
	offer := func(end int, score float64, s step) {
		if best := &l.scores[end&mask]; score > *best {
			*best, l.steps[end] = score, s
		}
	}
	for i := 0; i < len(text); {
		size, whole := charPrefix(text[i:])
		if !whole {
			size = 1
		}
		base := l.scores[i&mask]
		known := false
		node := int32(trieRoot)
		for j := i; j < len(text); j++ {
			if node = u.trie.child(node, text[j]); node < 0 {
				break
			}
			id := u.trie.nodes[node].id
			if id < 0 {
				continue
			}
			width := j + 1 - i
			known = known || width == size
			offer(j+1, base+float64(u.scores[node]), step{id, int32(width)})
		}
		if !known {
			offer(i+size, base+u.unknownScore, step{-1, int32(size)})
		}
		for end := i + size; i < end; i++ {
			l.scores[i&mask] = math.Inf(-1)
		}
	}
}

// collect appends the pieces of the best way to the end. Neighbouring unknown characters become one unknown token, unless
// they fall apart into bytes.
func (u *unigram) collect(l *lattice, out []int32) []int32 {
	from := len(out)
	afterUnknown := false
	for end := len(l.text); end > 0; {
		s := l.steps[end]
		start := end - int(s.width)
		switch {
		case s.id >= 0:
			out = append(out, s.id)
		case u.fallback:
			char := string(l.text[start:end])
			if char == " " {
				char = spmSpace
			}
			for i := len(char) - 1; i >= 0; i-- {
				out = append(out, u.t.byteIDs[char[i]])
			}
		case !afterUnknown && u.t.unknown >= 0:
			out = append(out, u.t.unknown)
		}
		afterUnknown = s.id < 0
		end = start
	}
	slices.Reverse(out[from:])
	return out
}
