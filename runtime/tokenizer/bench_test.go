package tokenizer

import (
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// BenchmarkEncode encodes English prose with vocabularies of every kind: "again" a text that was encoded before, "first" one that was
// not. WEFT_BENCH_TEXT names a file of other prose.
//
// best-MB/s is the rate at which each stretch of the text was encoded in the best of all passes. On a machine that does other work it
// says what the code takes; MB/s says what was left of the machine.
func BenchmarkEncode(b *testing.B) {
	for _, name := range []string{
		"stories260K", "llama-spm", "phi-3", "gpt-2", "smollm2", "starcoder", "refact", "command-r", "mpt", "llama-bpe", "qwen2", "qwen35",
		"falcon", "deepseek-llm", "deepseek-coder", "gemma-4", "bert-bge", "nomic-bert-moe",
	} {
		benchmarkProse(b, name, func() *Tokenizer { return loadPath(b, vocabPath(b, name)) })
	}
	for name, pre := range map[string]string{"llama3_1": "llama-bpe", "tekken": "tekken", "gpt4o": "gpt-4o", "deepseek-v3": "deepseek-v3", "gemma3": modelGemma4} {
		benchmarkProse(b, name, func() *Tokenizer { return mustNew(b, realVocabulary(b, name, pre)) })
	}
}

// BenchmarkPreTokenizers cuts and encodes English prose in each way there is, with the vocabulary of GPT-2.
func BenchmarkPreTokenizers(b *testing.B) {
	m := metadata(b, vocabPath(b, "gpt-2"))
	for _, pre := range slices.Sorted(maps.Keys(preTokenizers)) {
		if preTokenizers[pre].plain {
			continue
		}
		benchmarkProse(b, pre, func() *Tokenizer {
			f := fields{keyModel: modelBPE, keyPre: pre}
			f[keyTokens], _ = m.Strings(keyTokens)
			f[keyMerges], _ = m.Strings(keyMerges)
			return mustNew(b, f)
		})
	}
}

func benchmarkProse(b *testing.B, name string, load func() *Tokenizer) {
	path := os.Getenv("WEFT_BENCH_TEXT")
	if path == "" {
		path = "testdata/english.txt"
	}
	prose, err := os.ReadFile(path)
	if err != nil {
		b.Fatal(err)
	}
	var stretches []string
	for text := string(prose); text != ""; {
		n := min(1<<14, len(text))
		if at := strings.LastIndexByte(text[:n], '\n'); at > 0 {
			n = at + 1
		}
		stretches = append(stretches, text[:n])
		text = text[n:]
	}
	b.Run(name, func(b *testing.B) {
		tok := load()
		for _, first := range []bool{false, true} {
			b.Run(map[bool]string{false: "again", true: "first"}[first], func(b *testing.B) {
				best := slices.Repeat([]time.Duration{math.MaxInt64}, len(stretches))
				b.SetBytes(int64(len(prose)))
				b.ReportAllocs()
				for b.Loop() {
					if first {
						forget(tok)
					}
					for i, text := range stretches {
						start := time.Now()
						tok.Encode(text, EncodeOptions{})
						best[i] = min(best[i], time.Since(start))
					}
				}
				var sum time.Duration
				for _, d := range best {
					sum += d
				}
				b.ReportMetric(float64(len(prose))/1e6/sum.Seconds(), "best-MB/s")
			})
		}
	})
}

// forget makes a tokenizer as it was before its first text.
func forget(t *Tokenizer) {
	clear(t.words.entries)
}
