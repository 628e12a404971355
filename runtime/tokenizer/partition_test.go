package tokenizer

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/weft-run/weft/runtime/gguf"
)

// partitionByDefinition takes token after token out of a text: the longest first, then by id, each from left to right in what is left.
func partitionByDefinition(v *vocab, text string, parseSpecial bool) []fragment {
	const asciiSpace = " \t\n\v\f\r"
	var order []int32
	for i, a := range v.attrs {
		if a&attrUserDefined != 0 || parseSpecial && a&(attrControl|attrUnknown) != 0 {
			order = append(order, int32(i))
		}
	}
	slices.SortStableFunc(order, func(a, b int32) int { return len(v.texts[b]) - len(v.texts[a]) })
	frags := []fragment{{text, -1}}
	for _, id := range order {
		var next []fragment
		for _, f := range frags {
			if f.token >= 0 {
				next = append(next, f)
				continue
			}
			rest := f.text
			for {
				left, behind, found := strings.Cut(rest, v.texts[id])
				if !found {
					break
				}
				if v.attrs[id]&attrLStrip != 0 {
					left = strings.TrimRight(left, asciiSpace)
				}
				if left != "" {
					next = append(next, fragment{left, -1})
				}
				next = append(next, fragment{"", id})
				rest = behind
				if v.attrs[id]&attrRStrip != 0 {
					rest = strings.TrimLeft(rest, asciiSpace)
				}
			}
			if rest != "" {
				next = append(next, fragment{rest, -1})
			}
		}
		frags = next
	}
	return frags
}

// One walk over the text takes out the same tokens as one walk for each token.
func TestPartitionIsThatOfTheDefinition(t *testing.T) {
	parts := []string{"a", "b", "<", ">", " ", "\n", "é"}
	rapid.Check(t, func(rt *rapid.T) {
		v := &vocab{ids: map[string]int32{}}
		for range rapid.IntRange(1, 12).Draw(rt, "tokens") {
			text := strings.Join(rapid.SliceOfN(rapid.SampledFrom(parts), 1, 5).Draw(rt, "token"), "")
			if _, dup := v.ids[text]; dup {
				continue
			}
			v.ids[text] = int32(len(v.texts))
			v.texts = append(v.texts, text)
			v.attrs = append(v.attrs, rapid.SampledFrom([]attr{attrNormal, attrUserDefined, attrControl, attrUnknown}).Draw(rt, "attr")|
				rapid.SampledFrom([]attr{0, 0, attrLStrip, attrRStrip, attrLStrip | attrRStrip}).Draw(rt, "strip"))
		}
		s, err := newSpecialSet(v, gguf.Metadata{})
		if err != nil {
			rt.Fatal(err)
		}
		text := strings.Join(rapid.SliceOfN(rapid.SampledFrom(append(parts, v.texts...)), 1, 60).Draw(rt, "text"), "")
		for _, parse := range []bool{false, true} {
			got, want := s.partition(&merger{}, text, parse), partitionByDefinition(v, text, parse)
			if !slices.Equal(got, want) {
				rt.Fatalf("%q, special %v, tokens %q %v:\n got %v\nwant %v", text, parse, v.texts, v.attrs, got, want)
			}
		}
	})
}
