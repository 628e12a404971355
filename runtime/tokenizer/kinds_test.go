package tokenizer

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"
)

// kind is a small vocabulary of one model and pre-tokenizer that has a token for every byte.
type kind struct {
	name string
	tok  *Tokenizer
}

// everyKind returns one of each model, and of BPE one of each pre-tokenizer that cuts in a way of its own.
func everyKind(t testing.TB) []kind {
	kinds := []kind{
		{"llama", loadPath(t, builtinPath)},
		{"llama, small", mustNew(t, spm(fields{keyTokens: append(byteTokens(), "▁", "a", "▁a", "aa"), keyScores: make([]float32, 260), keyTypes: byteTypes(4)}))},
		{"t5", mustNew(t, unigramOf(nil))},
		{"t5, merging spaces", mustNew(t, unigramOf(fields{keyMergeSpaces: true}))},
		{"bert", mustNew(t, wordPieceOf(nil))},
		{"bert, as it is", mustNew(t, wordPieceOf(fields{keyLowercase: false}))},
	}
	merges := []string{"a b", "a a", "Ġ Ġ", "ĠĠ ĠĠ", "aa aa"}
	for _, name := range slices.Sorted(maps.Keys(preTokenizers)) {
		switch name {
		case "gpt-2", "olmo", "smollm", "llama-bpe", "qwen2", "qwen35", "seed-coder", "ufakzeka", "exaone-moe", "laguna", "jais-2", "minicpm5", "tekken", "gpt-4o", "youtu",
			"tiny_aya", "kimi-k2", "falcon", "default", "chameleon", "deepseek-llm", "deepseek-coder", "deepseek-v3", "spark2_5", "afmoe", "bloom", "viking", "superbpe":
			kinds = append(kinds, kind{name, mustNew(t, bpe(fields{keyPre: name, keyMerges: merges}))})
		case "gemma4", "sarvam-moe", "whitespace":
			kinds = append(kinds, kind{name, mustNew(t, plainOf(name, []string{"a a", "▁ ▁", "▁ a", "aa aa"}))})
		}
	}
	// A merge over two words keeps them in one piece.
	return append(kinds, kind{"gemma4, across words", mustNew(t, plainOf("gemma4", []string{"a a", "a ▁", "a▁ a", "aa aa"}))})
}

// back returns what Decode gives for the ids of a text, and whether that is known: Unigram and WordPiece forget.
func (k kind) back(text string) (string, bool) {
	switch {
	case k.tok.enc != nil, k.name == "whitespace":
		return "", false
	case k.tok.normalizeNFC:
		return norm.NFC.String(text), true
	case k.tok.pairs == nil, k.tok.spaceSign:
		return strings.ReplaceAll(text, spmSpace, " "), true // the vocabulary's own sign for a space
	}
	return text, true
}

func byteTokens() []string {
	tokens := make([]string, 256)
	for b := range tokens {
		tokens[b] = "<0x" + string([]byte{hexDigits[b>>4], hexDigits[b&15]}) + ">"
	}
	return tokens
}

// byteTypes are those of byteTokens and n more, which are normal.
func byteTypes(n int) []int32 {
	return append(slices.Repeat([]int32{6}, 256), slices.Repeat([]int32{1}, n)...)
}

// plainOf is BPE over characters.
func plainOf(pre string, merges []string) fields {
	tokens := append(byteTokens(), "<bos>", "▁", "a", "aa", "▁▁", "▁a", "aaaa", "\n", "\n\n", "a▁", "a▁a")
	types := byteTypes(len(tokens) - 256)
	types[256] = 3
	return fields{keyModel: modelBPE, keyPre: pre, keyTokens: tokens, keyTypes: types, keyMerges: merges, keyBOS: uint32(256)}
}

// unigramOf is a Unigram vocabulary, with changes.
func unigramOf(changes fields) fields {
	more := []string{"<unk>", "</s>", "▁", "a", "aa", "aaaa", "▁a", "b", "ab", "é", "日本"}
	types := byteTypes(len(more))
	types[256], types[257] = 2, 3
	scores := make([]float32, len(types))
	for i := range scores {
		scores[i] = -float32(i%7) - 1
	}
	f := fields{keyModel: modelUnigram, keyTokens: append(byteTokens(), more...), keyTypes: types, keyScores: scores, keyUnknown: uint32(256), keyEOS: uint32(257), keySpacePrefix: true}
	maps.Copy(f, changes)
	return f
}

// wordPieceOf is a WordPiece vocabulary, with changes.
func wordPieceOf(changes fields) fields {
	tokens := []string{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "▁a", "▁aa", "a", "aa", "b", "▁b", "▁é", "é", "▁日", "▁.", "▁1", "1", "▁'", "\u0301"}
	types := append([]int32{3, 3, 3, 3}, slices.Repeat([]int32{1}, len(tokens)-4)...)
	f := fields{keyModel: modelWordPiece, keyTokens: tokens, keyTypes: types, keyUnknown: uint32(1), keyCLS: uint32(2), keySEP: uint32(3)}
	maps.Copy(f, changes)
	return f
}
