package tokenizer

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"sync"

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

	charsmap     *charsmap
	spacePrefix  bool // a space goes before the text
	mergeSpaces  bool // whitespace at both ends goes, and within the text one space remains of several
	fallback     bool // an unknown character becomes the tokens of its bytes
	unknownScore float64

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
	u.window = 8 // an unknown character is up to 4 bytes
	for u.window <= longest {
		u.window *= 2
	}
	u.fallback = true
	for _, id := range t.byteIDs {
		u.fallback = u.fallback && id >= 0 && t.attrs[id]&attrByte != 0
	}
	u.scratch.New = func() any { return new(lattice) }
	return nil
}

func (u *unigram) encode(text string, out []int32) []int32 {
	l := u.scratch.Get().(*lattice)
	l.text = u.normalize(l.text[:0], text)
	if len(l.text) > 0 {
		u.search(l)
		out = u.collect(l, out)
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

// normalize appends what SentencePiece's normalizer makes of a text.
func (u *unigram) normalize(dst []byte, text string) []byte {
	if u.mergeSpaces {
		for text != "" {
			normal, n := u.charsmap.prefix(text)
			if normal != " " {
				break
			}
			text = text[n:]
		}
	}
	if text == "" {
		return dst
	}
	if u.spacePrefix {
		dst = append(dst, ' ')
	}
	afterSpace := u.mergeSpaces // and spaces that follow go
	for text != "" {
		if text[0] != ' ' && u.charsmap.stays(text) {
			dst = append(dst, text[0])
			text, afterSpace = text[1:], false
			continue
		}
		normal, n := u.charsmap.prefix(text)
		text = text[n:]
		if afterSpace {
			normal = strings.TrimLeft(normal, " ")
		}
		if normal == "" {
			continue
		}
		afterSpace = u.mergeSpaces && normal[len(normal)-1] == ' '
		if strings.Contains(normal, spmSpace) {
			normal = strings.ReplaceAll(normal, spmSpace, " ")
		}
		dst = append(dst, normal...)
	}
	if u.mergeSpaces {
		dst = bytes.TrimRight(dst, " ")
	}
	return dst
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
			id := u.trie.ids[node]
			if id < 0 {
				continue
			}
			width := j + 1 - i
			known = known || width == size
			score := float64(u.t.scores[id])
			if u.t.attrs[id]&attrUserDefined != 0 {
				score = 0 // better than any other, as scores are logarithms
			}
			offer(j+1, base+score, step{id, int32(width)})
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
