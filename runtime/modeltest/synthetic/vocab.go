package synthetic

import (
	"fmt"

	"github.com/weft-run/weft/runtime/gguf"
)

// token types as GGUF numbers them.
const (
	normal, unknown, control, byteToken = 1, 2, 3, 6
)

// vocabMin is the number of tokens that are not filler: three of control, 256 bytes, U+2581 and 94 characters.
const vocabMin = 3 + 256 + 1 + 94

// vocabulary returns a SentencePiece vocabulary of size tokens that encodes any text, by bytes where it knows no character.
// The rest is filler that no text contains by chance, so that decoding stands for what a real vocabulary of that size costs.
func vocabulary(size int) []gguf.KV {
	texts, types, scores := make([]string, 0, size), make([]int32, 0, size), make([]float32, 0, size)
	add := func(text string, typ int32) {
		score := float32(0)
		if typ == normal {
			score = -float32(len(texts)) // a merge is better the earlier its result stands in the table
		}
		texts, types, scores = append(texts, text), append(types, typ), append(scores, score)
	}
	add("<unk>", unknown)
	add("<s>", control)
	add("</s>", control)
	for b := range 256 {
		add(fmt.Sprintf("<0x%02X>", b), byteToken)
	}
	add("▁", normal)
	for c := '!'; c <= '~'; c++ {
		add(string(c), normal)
	}
	for len(texts) < size {
		add(fmt.Sprintf("▁w%d", len(texts)), normal)
	}
	return []gguf.KV{
		{Key: "tokenizer.ggml.model", Value: "llama"},
		{Key: "tokenizer.ggml.tokens", Value: texts},
		{Key: "tokenizer.ggml.scores", Value: scores},
		{Key: "tokenizer.ggml.token_type", Value: types},
		{Key: "tokenizer.ggml.unknown_token_id", Value: uint32(0)},
		{Key: "tokenizer.ggml.bos_token_id", Value: uint32(1)},
		{Key: "tokenizer.ggml.eos_token_id", Value: uint32(2)},
		{Key: "tokenizer.ggml.add_bos_token", Value: true},
		{Key: "tokenizer.ggml.add_space_prefix", Value: true},
	}
}
