package tokenizer

import (
	"slices"
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"

	"github.com/weft-run/weft/runtime/gguf"
)

// partitionByDefinition takes token after token out of a text: the longest first, then by id, each from left to right in what is left.
func partitionByDefinition(v *vocab, text string, parseSpecial bool) []fragment {
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
					left = strings.TrimRightFunc(left, unicode.IsSpace)
				}
				if left != "" {
					next = append(next, fragment{left, -1})
				}
				next = append(next, fragment{"", id})
				rest = behind
				if v.attrs[id]&attrRStrip != 0 {
					rest = strings.TrimLeftFunc(rest, unicode.IsSpace)
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

// The whitespace that a token takes is what Hugging Face's tokenizers (0.23.3) take for it: that of Unicode, and of ASCII not all that separates.
func TestTokensTakeTheWhitespaceBesideThem(t *testing.T) {
	v := &vocab{ids: map[string]int32{"<u>": 0, "<m>": 1}, texts: []string{"<u>", "<m>"}, attrs: []attr{attrControl | attrRStrip, attrControl | attrLStrip}}
	s, err := newSpecialSet(v, gguf.Metadata{})
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string][]fragment{
		"<u>\n\u3000a":  {{"", 0}, {"a", -1}},
		"<u>\u00a0a":    {{"", 0}, {"a", -1}},
		"<u>\u0085a":    {{"", 0}, {"a", -1}},
		"<u>\x1ca":      {{"", 0}, {"\x1ca", -1}},
		"<u>\u200ba":    {{"", 0}, {"\u200ba", -1}},
		"<u> \t\u2028a": {{"", 0}, {"a", -1}},
		"a\u3000<m>":    {{"a", -1}, {"", 1}},
		"a\u00a0 <m>":   {{"a", -1}, {"", 1}},
		"<u>\u3000<m>":  {{"", 0}, {"", 1}},
		"<u> <u>a":      {{"", 0}, {"", 0}, {"a", -1}},
	} {
		if got := s.partition(&merger{}, text, true); !slices.Equal(got, want) {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
}

// One walk over the text takes out the same tokens as one walk for each token.
func TestPartitionIsThatOfTheDefinition(t *testing.T) {
	parts := []string{"a", "b", "<", ">", " ", "\n", "é", "\u3000", "\xe3", "\x80"}
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
