package modeltest

import (
	"fmt"
	"strings"

	"github.com/weft-run/weft/runtime/gguf"
)

// Vocab chooses the vocabulary of a tiny model. Both kinds encode any text, know a few English words, and have the control
// tokens of ChatML with a template that uses them.
type Vocab int

// The kinds of vocabulary.
const (
	SPM Vocab = iota // like Llama 2: spaces are U+2581, bytes fall back to <0x00> ... <0xFF>, a BOS is added
	BPE              // like SmolLM2: byte-level, merges, pre-tokenizer smollm, no BOS
)

// The control tokens of both vocabularies. End is the one that ends generation.
const (
	Start    = "<|im_start|>"
	End      = "<|im_end|>"
	Template = "{% for m in messages %}" + Start + "{{ m['role'] }}\n{{ m['content'] }}" + End + "\n{% endfor %}" +
		"{% if add_generation_prompt %}" + Start + "assistant\n{% endif %}"
)

// words are what the vocabularies know in one token, the most frequent first.
const words = "the and to a of was he she in it said you that they his had with is for her day one little big " +
	"once upon time there lived girl boy dog cat play happy went hello world user assistant system weft thread loom"

// token types as GGUF numbers them.
const (
	normal, unknown, control, unused, byteToken = 1, 2, 3, 5, 6
)

type token struct {
	text string
	typ  int32
}

// metadata returns the keys tokenizer.*, padded to size tokens.
func (v Vocab) metadata(size int) []gguf.KV {
	tokens := v.tokens()
	if size < len(tokens) {
		panic(fmt.Sprintf("BUG: modeltest: a vocabulary of %d, want at least %d tokens", size, len(tokens)))
	}
	for len(tokens) < size {
		tokens = append(tokens, token{fmt.Sprintf("<|unused_%d|>", len(tokens)), unused})
	}
	texts, types, ids := make([]string, size), make([]int32, size), make(map[string]uint32, size)
	for i, t := range tokens {
		texts[i], types[i], ids[t.text] = t.text, t.typ, uint32(i)
	}
	meta := []gguf.KV{{Key: "tokenizer.ggml.tokens", Value: texts}, {Key: "tokenizer.ggml.token_type", Value: types}}
	if v == SPM {
		// A merge is better the earlier its result stands in the table.
		scores := make([]float32, size)
		for i, t := range tokens {
			if t.typ == normal {
				scores[i] = -float32(i)
			}
		}
		meta = append(meta,
			gguf.KV{Key: "tokenizer.ggml.model", Value: "llama"},
			gguf.KV{Key: "tokenizer.ggml.scores", Value: scores},
			gguf.KV{Key: "tokenizer.ggml.unknown_token_id", Value: ids["<unk>"]},
			gguf.KV{Key: "tokenizer.ggml.bos_token_id", Value: ids["<s>"]},
			gguf.KV{Key: "tokenizer.ggml.add_bos_token", Value: true},
			gguf.KV{Key: "tokenizer.ggml.add_space_prefix", Value: true},
		)
	} else {
		meta = append(meta,
			gguf.KV{Key: "tokenizer.ggml.model", Value: "gpt2"},
			gguf.KV{Key: "tokenizer.ggml.pre", Value: "smollm"},
			gguf.KV{Key: "tokenizer.ggml.merges", Value: merges()},
			gguf.KV{Key: "tokenizer.ggml.bos_token_id", Value: ids[Start]},
			gguf.KV{Key: "tokenizer.ggml.add_bos_token", Value: false},
		)
	}
	return append(meta,
		gguf.KV{Key: "tokenizer.ggml.eos_token_id", Value: ids[End]},
		gguf.KV{Key: "tokenizer.chat_template", Value: Template},
	)
}

// tokens returns the vocabulary without padding.
func (v Vocab) tokens() []token {
	if v == BPE {
		return bpeTokens()
	}
	list := []token{{"<unk>", unknown}, {"<s>", control}, {"</s>", control}, {Start, control}, {End, control}}
	for b := range 256 {
		list = append(list, token{fmt.Sprintf("<0x%02X>", b), byteToken})
	}
	list = append(list, token{"▁", normal})
	for c := '!'; c <= '~'; c++ {
		list = append(list, token{string(c), normal})
	}
	for _, p := range prefixes("▁") {
		list = append(list, token{p[0] + p[1], normal})
	}
	return list
}

func bpeTokens() []token {
	list := []token{{"<|endoftext|>", control}, {Start, control}, {End, control}}
	next := rune(256)
	for b := range rune(256) {
		// GPT-2's alphabet: printable Latin-1 stands for itself, other bytes for U+0100 and up.
		r := b
		if b < '!' || b > '~' && b < 0xA1 || b == 0xAD {
			r = next
			next++
		}
		list = append(list, token{string(r), normal})
	}
	for _, p := range prefixes("Ġ") {
		list = append(list, token{p[0] + p[1], normal})
	}
	return list
}

// merges returns the merges of the BPE vocabulary: each word grows letter by letter.
func merges() []string {
	var list []string
	for _, p := range prefixes("Ġ") {
		list = append(list, p[0]+" "+p[1])
	}
	return list
}

// prefixes returns the pieces of two letters and more that words begin with, each once, as a piece and the letter that
// makes it longer; every piece comes before those it begins. Words stand behind a space.
func prefixes(space string) [][2]string {
	var list [][2]string
	seen := map[string]bool{}
	for _, word := range strings.Fields(words) {
		piece := space
		for _, letter := range word {
			longer := piece + string(letter)
			if !seen[longer] {
				seen[longer] = true
				list = append(list, [2]string{piece, string(letter)})
			}
			piece = longer
		}
	}
	return list
}
