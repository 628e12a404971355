package tokenizer

import (
	"cmp"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/weft-run/weft/runtime/gguf"
)

// initSPM reads what SentencePiece needs beside the tokens.
//
// The key remove_extra_whitespaces is left alone: it belongs to Unigram vocabularies, and the files of this model are
// tokenized everywhere with their whitespace as it is.
func (t *Tokenizer) initSPM(m gguf.Metadata) error {
	if t.scores == nil {
		return malformed("%s is absent; SentencePiece merges by it", keyScores)
	}
	var err error
	if t.spacePrefix, err = m.Bool(keySpacePrefix, true); err != nil {
		return err
	}
	t.addBOS = true
	// Scores become ranks, so that both models merge by one comparison: the highest score first, equal ones together.
	byScore := make([]int32, len(t.scores))
	for i := range byScore {
		byScore[i] = int32(i)
	}
	slices.SortFunc(byScore, func(a, b int32) int { return cmp.Compare(t.scores[b], t.scores[a]) })
	t.spmRanks = make([]int32, len(t.scores))
	rank := int32(0)
	for i, id := range byScore {
		if i > 0 && t.scores[id] != t.scores[byScore[i-1]] {
			rank++
		}
		t.spmRanks[id] = rank
	}
	for b := range byte(utf8.RuneSelf) {
		t.byteSyms[b] = -1
		if id, ok := t.byPiece.find(string(b)); ok {
			t.byteSyms[b] = id
		}
	}
	for _, s := range t.byPiece.entries {
		if s.id != 0 {
			t.bridge(t.piece(s.id - 1))
		}
	}
	return nil
}

// preOf picks the pre-tokenizer of a BPE vocabulary.
func preOf(m gguf.Metadata, model string) (preTokenizer, error) {
	name, err := m.Str(keyPre, "")
	if err != nil {
		return preTokenizer{}, err
	}
	if model != modelBPE {
		name = model // the model says it, whatever the key
	} else if !m.Has(keyPre) {
		return preTokenizer{}, fmt.Errorf("%w: key %q is absent, so how to split text into words is unknown (files made before May 2024 lack it); "+
			"convert the model anew, or set the key to the name in docs/tokenizers.md that its tokenizer has", ErrUnsupported, keyPre)
	}
	pre, ok := preTokenizers[name]
	if !ok {
		return preTokenizer{}, fmt.Errorf("%w: %s is %q, and how that splits text into words is unknown here; docs/tokenizers.md lists the %d names that are known",
			ErrUnsupported, keyPre, name, len(preTokenizers))
	}
	return pre, nil
}

// initBPE reads the merges.
func (t *Tokenizer) initBPE(m gguf.Metadata, pre preTokenizer) error {
	t.scan, t.stages, t.ignoreMerges, t.addBOS, t.normalizeNFC = pre.scan, pre.stages, pre.ignoreMerges, pre.addBOS, pre.nfc
	t.newlines, t.alwaysBOS, t.spaceless = pre.newlineTokens, pre.alwaysBOS, pre.spaceless
	t.classes = newClassTable(pre.marks)
	var err error
	if pre.mayLower {
		if t.lowercase, err = m.Bool(keyLowercase, false); err != nil {
			return err
		}
	}
	if !m.Has(keyMerges) {
		return malformed("key %q is absent; byte pair encoding needs it", keyMerges)
	}
	merges, err := m.Strings(keyMerges)
	if err != nil {
		return err
	}
	if len(merges) > maxMerges {
		return malformed("%s has %d entries, at most %d are allowed", keyMerges, len(merges), maxMerges)
	}
	return t.readMerges(merges, pre.longWords)
}

// readMerges fills the pair table. A side or a result that is no token is a symbol all the same: another merge may build
// on it, and if none does, it falls apart into its bytes.
func (t *Tokenizer) readMerges(merges []string, longWords bool) error {
	var ahead []trieEntry // what merges make before spaces
	a := newAlphabet()
	extra := map[string]int32{} // as the file spells it -> symbol, for what is no token
	sym := func(text []byte) int32 {
		if id, ok := t.ids[string(text)]; ok && t.attrs[id].fromText() {
			return id
		}
		id, ok := extra[string(text)]
		if !ok {
			id = int32(len(t.texts) + len(extra))
			extra[string(text)] = id
		}
		return id
	}
	var buf []byte
	if !t.plain {
		for b := range t.byteSyms {
			t.byteSyms[b] = sym(utf8.AppendRune(buf[:0], a.runes[b]))
		}
	}
	t.pairs = newPairTable(len(merges))
	for rank, merge := range merges {
		at := -1
		if len(merge) > 0 {
			at = strings.IndexByte(merge[1:], ' ') + 1
		}
		if at <= 0 || at == len(merge)-1 {
			return malformed("%s: entry %d is %q, want two pieces with a space between them", keyMerges, rank, merge)
		}
		buf = append(append(buf[:0], merge[:at]...), merge[at+1:]...)
		if id, ok := t.ids[string(buf)]; ok && !t.attrs[id].fromText() {
			continue // text that merely spells a control token does not become it
		}
		if t.spaceSign {
			t.bridge(strings.ReplaceAll(string(buf), spmSpace, " "))
		}
		if longWords && len(ahead) <= maxCrossings {
			ahead = appendCrossings(ahead, a.appendBytes(nil, string(buf)))
		}
		t.pairs.add(sym(buf[:at]), sym(buf[at:]), int32(rank), sym(buf))
	}
	if longWords && len(ahead) <= maxCrossings {
		t.crossings = &crossings{newByteTrie(ahead)}
	}
	if t.plain {
		t.charSyms = extra
		for b := range byte(utf8.RuneSelf) {
			t.byteSyms[b] = t.charSym(string(b))
		}
	}
	if t.spaceSign {
		t.stages = slices.Concat(t.stages, cuts(anywhere(func(_ *classTable, text string, i int) int { return t.wordEnd(text, i) })))
	}
	return nil
}

// charSym returns the symbol of a character, or -1 if no merge and no token knows it.
func (t *Tokenizer) charSym(char string) int32 {
	if char == " " && t.spaceSign {
		char = spmSpace
	}
	if id, ok := t.ids[char]; ok && t.attrs[id].fromText() {
		return id
	}
	if id, ok := t.charSyms[char]; ok {
		return id
	}
	return -1
}

// bridge enters the bytes that a piece has before spaces.
func (t *Tokenizer) bridge(piece string) {
	for i := 1; i < len(piece); i++ {
		if piece[i] == ' ' && piece[i-1] != ' ' {
			t.bridges[piece[i-1]] = true
		}
	}
}

// emit appends the token of a finished symbol, or the tokens of its bytes where it is none.
func (t *Tokenizer) emit(out []int32, text string, id int32) []int32 {
	if t.valid(id) {
		return append(out, id)
	}
	if t.pairs != nil && !t.plain {
		for i := range len(text) {
			// A byte without a token is left out: the field does so, and a vocabulary with a hole has no better place.
			if b := t.byteSyms[text[i]]; t.valid(b) {
				out = append(out, b)
			}
		}
		return out
	}
	for i := range len(text) {
		if t.byteIDs[text[i]] < 0 {
			if t.unknown >= 0 {
				out = append(out, t.unknown)
			}
			return out
		}
	}
	for i := range len(text) {
		out = append(out, t.byteIDs[text[i]])
	}
	return out
}

// pairTable says which two symbols merge, at what rank, into what: a hash table with open addressing, since this look-up is
// most of what encoding a new word does. The seed is random, so that no file can be made to have all of its pairs in one place.
type pairTable struct {
	seed    [2]uint64 // the second is odd
	shift   int       // of a hash to a place
	entries []pairEntry
}

type pairEntry struct {
	key uint64 // left<<32|right + 1; 0: free
	val uint64 // rank<<32|id
}

func newPairTable(n int) *pairTable {
	size := bits.Len(uint(2*n + 16))
	return &pairTable{[2]uint64{rand.Uint64(), rand.Uint64() | 1}, 64 - size, make([]pairEntry, 1<<size)}
}

// entry returns the entry of a key, or the free one where it would be.
func (p *pairTable) entry(key uint64) *pairEntry {
	hash := (key ^ p.seed[0]) * 0x9E3779B97F4A7C15
	hash = (hash ^ hash>>32) * p.seed[1]
	mask := uint64(len(p.entries) - 1)
	for i := hash >> p.shift; ; i = (i + 1) & mask {
		if e := &p.entries[i]; e.key == key || e.key == 0 {
			return e
		}
	}
}

func pairKey(left, right int32) uint64 { return uint64(left)<<32 | uint64(right) + 1 }

// add enters a pair; of two entries of the same pair the first, which has the lower rank, stays.
func (p *pairTable) add(left, right, rank, id int32) {
	if e := p.entry(pairKey(left, right)); e.key == 0 {
		*e = pairEntry{pairKey(left, right), uint64(rank)<<32 | uint64(id)}
	}
}

// get returns at what rank two symbols merge, and into what, or noMerge.
func (p *pairTable) get(left, right int32) (rank, id int32) {
	e := p.entry(pairKey(left, right))
	if e.key == 0 {
		return noMerge, -1
	}
	return int32(e.val >> 32), int32(uint32(e.val))
}
