package tokenizer

import (
	"math/bits"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/weft-run/weft/runtime/gguf"
)

// specialSet finds the tokens that stand in a text as they are spelled: user-defined ones always, control and unknown
// ones on request.
type specialSet struct {
	vocab *vocab
	order []int32 // longest text first, then by id
	trie  *byteTrie
	heads [256]int32 // the node of each first byte, or -1
}

func newSpecialSet(v *vocab, m gguf.Metadata) (*specialSet, error) {
	s := &specialSet{vocab: v}
	for i, a := range v.attrs {
		if a&(attrControl|attrUserDefined|attrUnknown) == 0 || v.texts[i] == "" {
			continue
		}
		if n := len(v.texts[i]); n > maxSpecialBytes {
			return nil, malformed("special token %d is %d bytes long, at most %d are allowed", i, n, maxSpecialBytes)
		}
		s.order = append(s.order, int32(i))
	}
	slices.SortFunc(s.order, func(a, b int32) int {
		if d := len(v.texts[b]) - len(v.texts[a]); d != 0 {
			return d
		}
		return int(a - b)
	})
	entries := make([]trieEntry, len(s.order))
	for place, id := range s.order {
		entries[place] = trieEntry{v.texts[id], int32(place)}
	}
	s.trie = newByteTrie(entries)
	for b := range s.heads {
		s.heads[b] = s.trie.child(trieRoot, byte(b))
	}
	return s, s.stripRules(m)
}

// stripRules marks the tokens that swallow the whitespace beside them. GGUF has no key for it; the families whose tokenizers do so
// are known by their names, as llama.cpp knows them.
func (s *specialSet) stripRules(m gguf.Metadata) error {
	var names [3]string
	for i, key := range []string{"general.name", "general.architecture", keyPre} {
		name, err := m.Str(key, "")
		if err != nil {
			return err
		}
		names[i] = strings.ToLower(name)
	}
	name, arch, pre := names[0], names[1], names[2]
	mark := func(text string, a attr) {
		if id, ok := s.vocab.ids[text]; ok {
			s.vocab.attrs[id] |= a
		}
	}
	switch {
	case strings.HasPrefix(pre, "jina-v2-"), arch == "nomic-bert-moe", arch == "jina-bert-v3":
		mark("<mask>", attrLStrip)
	case strings.Contains(name, "phi-3"), strings.Contains(name, "phi3"):
		for _, id := range s.order {
			if text := s.vocab.texts[id]; text != "<unk>" && text != "<s>" && text != "<|endoftext|>" {
				s.vocab.attrs[id] |= attrRStrip
			}
		}
	case strings.Contains(name, "modern-bert"):
		mark("[MASK]", attrLStrip)
	}
	return nil
}

// fragment is a special token, or text between two.
type fragment struct {
	text  string
	token int32 // -1: text
}

// taken is a stretch of text that became a special token, with the whitespace that belongs to it.
type taken struct {
	start, end int
	token      int32
}

// partition takes the special tokens out of a text: the longest token first, each from left to right in what the longer
// ones left.
//
// The text is walked once for where tokens begin; of each such place the longest token is tried, in the order above, and a shorter
// one where a token behind it has taken some of its text. The queue of merges keeps that order: the rank of an entry is a token's
// place in order, left where the token begins.
func (s *specialSet) partition(m *merger, text string, parseSpecial bool) []fragment {
	m.queue = m.queue[:0]
	for i := range len(text) {
		if s.heads[text[i]] >= 0 {
			s.propose(m, text, i, len(text), parseSpecial)
		}
	}
	if len(m.queue) == 0 {
		return []fragment{{text, -1}}
	}
	m.heapify()
	var all []taken
	used := newByteSet(len(text))
	for len(m.queue) > 0 {
		b := m.popHeap()
		start, id := int(b.left), s.order[b.rank]
		end := start + len(s.vocab.texts[id])
		if free := used.next(start, end); free < end {
			if free > start {
				s.propose(m, text, start, free, parseSpecial)
				m.up(len(m.queue) - 1)
			}
			continue
		}
		// Whitespace is that of Unicode, as in Hugging Face's tokenizers: texts in Japanese begin with U+3000.
		for s.vocab.attrs[id]&attrLStrip != 0 {
			r, n := utf8.DecodeLastRuneInString(text[:start])
			if !unicode.IsSpace(r) || used.next(start-n, start) < start {
				break
			}
			start -= n
		}
		for s.vocab.attrs[id]&attrRStrip != 0 {
			r, n := utf8.DecodeRuneInString(text[end:])
			if !unicode.IsSpace(r) || used.next(end, end+n) < end+n {
				break
			}
			end += n
		}
		look(end - start)
		used.add(start, end)
		all = append(all, taken{start, end, id})
	}
	slices.SortFunc(all, func(a, b taken) int { return a.start - b.start })
	frags := make([]fragment, 0, 2*len(all)+1)
	from := 0
	for _, x := range all {
		if from < x.start {
			frags = append(frags, fragment{text[from:x.start], -1})
		}
		frags = append(frags, fragment{"", x.token})
		from = x.end
	}
	if from < len(text) {
		frags = append(frags, fragment{text[from:], -1})
	}
	return frags
}

// propose puts the longest token that stands at text[start:end] into the queue, if there is one.
func (s *specialSet) propose(m *merger, text string, start, end int, parseSpecial bool) {
	best := int32(-1)
	node := s.heads[text[start]]
	for i := start; ; {
		if place := s.trie.nodes[node].id; place >= 0 && (parseSpecial || s.vocab.attrs[s.order[place]]&(attrControl|attrUnknown) == 0) {
			best = place
		}
		if i++; i == end {
			break
		}
		if node = s.trie.child(node, text[i]); node < 0 {
			break
		}
	}
	if best >= 0 {
		m.queue = append(m.queue, bigram{rank: best, left: int32(start)})
	}
}

// byteSet is a set of places of a text, one bit each.
type byteSet []uint64

func newByteSet(n int) byteSet { return make(byteSet, (n+63)/64) }

func (s byteSet) add(from, to int) {
	for ; from < to; from++ {
		s[from/64] |= 1 << (from % 64)
	}
}

// next returns the first place of the set in from to to, or to.
func (s byteSet) next(from, to int) int {
	for from < to {
		if w := s[from/64] >> (from % 64); w != 0 {
			return min(to, from+bits.TrailingZeros64(w))
		}
		from = (from/64 + 1) * 64
	}
	return to
}
