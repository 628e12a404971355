//go:build invariants

package tokenizer

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// One letter, spaces, newlines, marks, digits or broken bytes without end take work in proportion to their number: what a text
// sixteen times as long is looked at is at most some twenty times as much, the rest being the logarithm of the queue of merges. It
// counts looks, not time.
func TestLongRunsAreLinear(t *testing.T) {
	units := []string{
		"a", " ", "\n", "\u0301", "é", "\xff", "1", "'", "ab ", "<", "🦙", "▁", "a\u0301", "A", "한", "한A", "\u0301A", "日", "日a", " \n", "\n ", "a ", "!", "!\n", "\u3000", "1a", "½1", "IMGIMGA", "<sentinel:1", "\u0085\r", "a\u0301 ",
	}
	models := []string{"llama", "t5", "bert", "gpt-2", "llama-bpe", "gemma4"}
	for _, k := range everyKind(t) {
		t.Run(k.name, func(t *testing.T) {
			for _, unit := range units {
				long := 1 << 14
				if !testing.Short() && (unit == "a" || unit == " " || unit == "\u0301") && slices.Contains(models, k.name) {
					long = 1 << 20
				}
				work := func(size int) int64 {
					text := strings.Repeat(unit, size/len(unit)) + "x"
					before := looks.Load()
					k.tok.Encode(text, EncodeOptions{ParseSpecial: true})
					return looks.Load() - before
				}
				short := work(long / 16)
				if got := work(long); got > 16*short*3/2+1000 {
					t.Errorf("%q: %d bytes take %d looks, %d bytes take %d: %.0f times as many", unit, long/16, short, long, got, float64(got)/float64(short))
				}
			}
		})
	}
}

// A text of many special tokens takes work in proportion to its length, however many of them are different.
func TestManySpecialTokensAreLinear(t *testing.T) {
	looksOf := func(different int) int64 {
		tokens := []string{"a"}
		for i := range different {
			tokens = append(tokens, fmt.Sprintf("<|%04d|>", i))
		}
		tok := mustNew(t, bpe(fields{keyTokens: tokens, keyTypes: append([]int32{1}, slices.Repeat([]int32{4}, different)...), keyMerges: []string{}}))
		var text strings.Builder
		for i := range 4000 {
			text.WriteString("a" + tokens[1+i%different])
		}
		before := looks.Load()
		if got := len(tok.Encode(text.String(), EncodeOptions{})); got != 8000 {
			t.Fatalf("%d ids, want 8000", got)
		}
		return looks.Load() - before
	}
	if few, many := looksOf(4), looksOf(4000); many > 2*few {
		t.Errorf("4 different tokens take %d looks, 4000 take %d", few, many)
	}
}

// Tokens that begin alike and overlap, as the runs of spaces of some vocabularies do, are linear too.
func TestOverlappingSpecialTokensAreLinear(t *testing.T) {
	tokens := []string{"b"}
	for n := range 200 {
		tokens = append(tokens, strings.Repeat("a", n+1), strings.Repeat("a", n+1)+"b", "b"+strings.Repeat("a", n+1))
	}
	tok := mustNew(t, bpe(fields{keyTokens: tokens, keyTypes: slices.Repeat([]int32{4}, len(tokens)), keyMerges: []string{}}))
	for _, unit := range []string{"a", "aab", strings.Repeat("a", 199) + "b", strings.Repeat("a", 201) + "b", strings.Repeat("a", 300) + "bb"} {
		work := func(size int) int64 {
			before := looks.Load()
			tok.Encode(strings.Repeat(unit, size/len(unit)), EncodeOptions{})
			return looks.Load() - before
		}
		if short, long := work(1<<11), work(1<<15); long > 16*short*3/2 {
			t.Errorf("%.8q...: %d bytes take %d looks, %d bytes take %d", unit, 1<<11, short, 1<<15, long)
		}
	}
}
