package tokenizer

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Long words taken apart give the ids of long words as they are, whatever the merges: also of pieces that reach over spaces, that are
// longer than a walk looks ahead, and that are made in an order unlike that of the text.
func TestTakingApartChangesNothing(t *testing.T) {
	apart := 0
	rapid.Check(t, func(rt *rapid.T) {
		symbols := []string{"a", "b", "c", "Ġ"}
		var merges []string
		for range rapid.IntRange(0, 14).Draw(rt, "merges") {
			left, right := rapid.SampledFrom(symbols).Draw(rt, "left"), rapid.SampledFrom(symbols).Draw(rt, "right")
			merges = append(merges, left+" "+right)
			symbols = append(symbols, left+right)
		}
		in := bpe(fields{keyPre: "superbpe", keyMerges: merges})
		tokens, _ := in[keyTokens].([]string)
		for _, s := range symbols[4:] {
			if !slices.Contains(tokens, s) && rapid.Bool().Draw(rt, "token") {
				tokens = append(tokens, s)
			}
		}
		in[keyTokens], in[keyTypes] = tokens, nil
		tok, whole := mustNew(t, in), mustNew(t, in)
		whole.crossings = nil
		text := strings.Join(rapid.SliceOfN(rapid.SampledFrom(append(slices.Clone(symbols), "cc", "é")), 20, 120).Draw(rt, "text"), "")
		text = strings.ReplaceAll(text, "Ġ", " ")
		if got, want := tok.Encode(text, EncodeOptions{}), whole.Encode(text, EncodeOptions{}); !slices.Equal(got, want) {
			rt.Fatalf("%q with %q gives %v apart, %v whole", text, merges, got, want)
		}
		for at := range text {
			if at > 0 && text[at] == ' ' && text[at-1] != ' ' && !tok.crossings.over(text, at) {
				apart++
			}
		}
	})
	if apart == 0 {
		t.Error("no text was taken apart")
	}
}
