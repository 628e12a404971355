package tokenizer

import (
	"strings"
	"testing"
)

// No text has fewer tokens than AtLeast says, whatever its characters become and whatever tokens the vocabulary has.
func TestAtLeast(t *testing.T) {
	bounded := 0
	for _, k := range everyKind(t) {
		if k.tok.AtLeast(1<<30) > 0 {
			bounded++
		}
		texts := []string{"", "a", "\u212a", "\u2581", "\u03b1\u0313\u0300\u0345", "\u1112\u1161\u11ab", "\xff", "🦙", "İ", "\n", " \u3000"}
		for id := range int32(k.tok.Size()) {
			texts = append(texts, string(k.tok.Piece(id)))
		}
		for _, unit := range texts {
			text := strings.Repeat(unit, 50)
			if got, least := len(k.tok.Encode(text, EncodeOptions{ParseSpecial: true})), k.tok.AtLeast(len(text)); got < least {
				t.Errorf("%s: %.40q has %d tokens, and is said to have at least %d", k.name, text, got, least)
			}
		}
	}
	if bounded == 0 {
		t.Error("no vocabulary has a bound")
	}
}

// A token that takes the whitespace beside it, and a byte without a token, leave no bound.
func TestAtLeastSaysNothingWhereThereIsNoBound(t *testing.T) {
	whole := bpe(fields{})
	if tok := mustNew(t, whole); tok.AtLeast(1<<20) == 0 {
		t.Error("a whole vocabulary has no bound")
	}
	strips := bpe(fields{"general.name": "Phi-3"})
	tokens := append([]string{"<|user|>"}, strips[keyTokens].([]string)...)
	strips[keyTokens], strips[keyTypes] = tokens, append([]int32{3}, make([]int32, len(tokens)-1)...)
	if tok := mustNew(t, strips); tok.AtLeast(1<<20) != 0 {
		t.Error("a vocabulary that strips has a bound")
	}
	holed := bpe(fields{keyTokens: []string{"a", "b"}, keyTypes: []int32{1, 1}, keyMerges: []string{}})
	if tok := mustNew(t, holed); tok.AtLeast(1<<20) != 0 {
		t.Error("a vocabulary with two bytes has a bound")
	}
}
