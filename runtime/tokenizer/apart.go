package tokenizer

import "slices"

const (
	maxReach     = 16      // how far back a walk looks for the beginning of a piece that may reach over a space
	maxCrossings = 1 << 20 // spaces within pieces; a vocabulary with more of them has its long words left whole
)

// crossings takes long words apart before spaces that no merge can reach over. Some pre-tokenizers leave whole lines as words, since
// their vocabularies have pieces of several words; before most spaces of a text no such piece begins.
//
// It knows what pieces have before their spaces, as a trie from the space backwards.
type crossings struct {
	before *byteTrie
}

// appendCrossings appends what a piece has before its spaces, the last byte first.
func appendCrossings(ahead []trieEntry, piece []byte) []trieEntry {
	for i := 1; i < len(piece); i++ {
		if piece[i] == ' ' && piece[i-1] != ' ' {
			back := slices.Clone(piece[max(0, i-maxReach):i])
			slices.Reverse(back)
			ahead = append(ahead, trieEntry{string(back), 0})
		}
	}
	return ahead
}

// over says whether a merge may reach over the place before the space at byte i of text: whether what some piece has before a space
// stands there.
func (c *crossings) over(text string, i int) bool {
	node := int32(trieRoot)
	for j := i - 1; j >= 0; j-- {
		if node = c.before.child(node, text[j]); node < 0 {
			return false
		}
		if c.before.nodes[node].id >= 0 {
			return true
		}
	}
	return false
}

// encodeApart is encodeWord for a long word: it encodes what lies between the spaces that no merge reaches over, each for itself. The
// merges on both sides of such a place do not meet, so their order among one another changes nothing.
func (t *Tokenizer) encodeApart(m *merger, word string, out []int32) []int32 {
	from := 0
	for i := 1; i < len(word); i++ {
		look(1)
		if word[i] == ' ' && word[i-1] != ' ' && !t.crossings.over(word, i) {
			out = t.encodePart(m, word[from:i], out)
			from = i
		}
	}
	return t.encodePart(m, word[from:], out)
}
