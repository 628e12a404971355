//go:build invariants

package tokenizer

import (
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
