package tokenizer

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/weft-run/weft/runtime/gguf"
)

// fields is a vocabulary as a test writes it.
type fields map[string]any

func (f fields) metadata(t testing.TB) gguf.Metadata {
	t.Helper()
	var pairs []gguf.KV
	for k, v := range f {
		if v != nil {
			pairs = append(pairs, gguf.KV{Key: k, Value: v})
		}
	}
	m, err := gguf.NewMetadata(pairs...)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// spm is a small SentencePiece vocabulary, with changes.
func spm(changes fields) fields {
	f := fields{
		keyModel:  modelSPM,
		keyTokens: []string{"<unk>", "<s>", "</s>", "<0x0A>", "▁", "a", "b", "ab", "▁ab", "é"},
		keyScores: []float32{0, 0, 0, 0, -5, -6, -7, -1, -2, -8},
		keyTypes:  []int32{2, 3, 3, 6, 1, 1, 1, 1, 1, 1},
	}
	for k, v := range changes {
		f[k] = v
	}
	return f
}

// bpe is a byte-level vocabulary of all bytes and a few merges, with changes.
func bpe(changes fields) fields {
	a := newAlphabet()
	var tokens []string
	for b := range 256 {
		tokens = append(tokens, string(a.runes[b]))
	}
	tokens = append(tokens, "ab", "Ġab", "abc", "<|end|>")
	types := make([]int32, len(tokens))
	for i := range types {
		types[i] = 1
	}
	types[len(types)-1] = 3
	f := fields{
		keyModel: modelBPE, keyPre: "gpt-2", keyTokens: tokens, keyTypes: types,
		keyMerges: []string{"a b", "Ġ ab", "ab c"},
	}
	for k, v := range changes {
		f[k] = v
	}
	return f
}

// H16: vocabularies that make no sense are refused by key and token.
func TestH16RefusedVocabularies(t *testing.T) {
	for _, c := range []struct {
		name string
		in   fields
		kind error
		want string
	}{
		{"no model", fields{}, ErrVocabulary, `key "tokenizer.ggml.model" is absent`},
		{"other model", fields{keyModel: "rwkv"}, ErrUnsupported, `tokenizer.ggml.model is "rwkv"; known are "llama", "gpt2", "bert", "t5", "gemma4" and "whitespace"`},
		{"no tokens", spm(fields{keyTokens: nil}), ErrVocabulary, `key "tokenizer.ggml.tokens" is absent or empty`},
		{"tokens of another kind", spm(fields{keyTokens: []int32{1}}), gguf.ErrFormat, "tokenizer.ggml.tokens"},
		{"few scores", spm(fields{keyScores: []float32{1}}), ErrVocabulary, "tokenizer.ggml.scores has 1 entries for 10 tokens"},
		{"no scores", spm(fields{keyScores: nil}), ErrVocabulary, "tokenizer.ggml.scores is absent"},
		{"a score that is no number", spm(fields{keyScores: []float32{0, 0, 0, 0, 0, 0, 0, 0, 0, float32(math.NaN())}}), ErrVocabulary, `tokenizer.ggml.scores of token 9 ("é") is not a number`},
		{"few types", spm(fields{keyTypes: []int32{1, 1}}), ErrVocabulary, "tokenizer.ggml.token_type has 2 entries for 10 tokens"},
		{"unknown type", spm(fields{keyTypes: []int32{2, 3, 3, 6, 1, 1, 1, 1, 1, 9}}), ErrVocabulary, `token 9 ("é") is 9, known are 0 to 6`},
		{"negative type", spm(fields{keyTypes: []int32{2, 3, 3, 6, 1, 1, 1, 1, 1, -1}}), ErrVocabulary, "is -1"},
		{"duplicate", spm(fields{keyTokens: []string{"<unk>", "<s>", "</s>", "<0x0A>", "▁", "a", "b", "ab", "▁ab", "a"}}), ErrVocabulary, `tokens 5 and 9 are both "a"`},
		{"bad byte token", spm(fields{keyTypes: []int32{2, 3, 3, 6, 1, 6, 1, 1, 1, 1}}), ErrVocabulary, `token 5 ("a") is of type byte`},
		{"long piece", spm(fields{keyTokens: []string{"<unk>", "<s>", "</s>", "<0x0A>", "▁", "a", "b", "ab", "▁ab", strings.Repeat("x", maxPieceBytes+1)}}), ErrVocabulary, "token 9 is 65537 bytes long"},
		{"long special token", spm(fields{keyTokens: []string{"<unk>", strings.Repeat("x", maxSpecialBytes+1), "</s>", "<0x0A>", "▁", "a", "b", "ab", "▁ab", "é"}}), ErrVocabulary, "special token 1 is 1025 bytes long"},
		{"bos out of range", spm(fields{keyBOS: uint32(10)}), ErrVocabulary, "tokenizer.ggml.bos_token_id is 10, the vocabulary has 10 tokens"},
		{"eos far out of range", spm(fields{keyEOS: uint64(math.MaxUint64)}), ErrVocabulary, "tokenizer.ggml.eos_token_id is 18446744073709551615"},
		{"eot out of range", spm(fields{"tokenizer.ggml.eot_token_id": uint32(1 << 31)}), ErrVocabulary, "eot_token_id is 2147483648"},
		{"bos of another kind", spm(fields{keyBOS: "1"}), gguf.ErrFormat, "bos_token_id"},
		{"bos wanted and absent", bpe(fields{keyAddBOS: true}), ErrVocabulary, "tokenizer.ggml.add_bos_token is true and tokenizer.ggml.bos_token_id is absent"},
		{"eos wanted and absent", bpe(fields{keyAddEOS: true}), ErrVocabulary, "tokenizer.ggml.add_eos_token is true"},
		{"no pre-tokenizer", bpe(fields{keyPre: nil}), ErrUnsupported, `key "tokenizer.ggml.pre" is absent`},
		{"unknown pre-tokenizer", bpe(fields{keyPre: "hanoi"}), ErrUnsupported, `tokenizer.ggml.pre is "hanoi", and how that splits text into words is unknown here; docs/tokenizers.md lists the 91 names`},
		{"no merges", bpe(fields{keyMerges: nil}), ErrVocabulary, `key "tokenizer.ggml.merges" is absent`},
		{"merge of one", bpe(fields{keyMerges: []string{"a b", "ab"}}), ErrVocabulary, `tokenizer.ggml.merges: entry 1 is "ab"`},
		{"merge with nothing", bpe(fields{keyMerges: []string{"a "}}), ErrVocabulary, `entry 0 is "a "`},
		{"merge of nothing", bpe(fields{keyMerges: []string{""}}), ErrVocabulary, `entry 0 is ""`},
		{"Unigram without scores", unigramOf(fields{keyScores: nil}), ErrVocabulary, "tokenizer.ggml.scores is absent; Unigram chooses by it"},
		{"Unigram with few scores", unigramOf(fields{keyScores: []float32{1}}), ErrVocabulary, "tokenizer.ggml.scores has 1 entries for 267 tokens"},
		{"Unigram with an infinite score", unigramOf(fields{keyScores: append(make([]float32, 266), float32(math.Inf(1)))}), ErrVocabulary, `tokenizer.ggml.scores of token 266 ("日本") is infinite`},
		{"Unigram of no normal token", unigramOf(fields{keyTypes: append(byteTypes(0), slices.Repeat([]int32{3}, 11)...)}), ErrVocabulary, "no token of type normal"},
		{"Unigram with a long piece", unigramOf(fields{keyTokens: []string{"</s>", strings.Repeat("x", maxUnigramPiece+1)}, keyTypes: nil, keyScores: make([]float32, 2)}), ErrVocabulary, "token 1 is 1025 bytes long, at most 1024 are allowed in a Unigram"},
		{"Unigram, end out of range", unigramOf(fields{keyEOS: uint32(267)}), ErrVocabulary, "tokenizer.ggml.eos_token_id is 267"},
		{"map of characters cut off", unigramOf(fields{keyCharsmap: []byte{1, 2}}), ErrVocabulary, "has 2 bytes, its length alone takes 4"},
		{"map of characters longer than the file", unigramOf(fields{keyCharsmap: []byte{255, 255, 255, 255, 0, 0, 0, 0}}), ErrVocabulary, "says that its table has 4294967295 bytes"},
		{"map of characters that points outside", unigramOf(fields{keyCharsmap: []byte{4, 0, 0, 0, 9, 0, 0, 128, 'a', 0}}), ErrVocabulary, "unit 0 points at byte 9 of 2"},
		{"map of characters of strings", unigramOf(fields{keyCharsmap: []string{"a"}}), ErrVocabulary, "want an array of bytes"},
		{"WordPiece, beginning out of range", wordPieceOf(fields{keyCLS: uint32(99)}), ErrVocabulary, "tokenizer.ggml.cls_token_id is 99, the vocabulary has 18 tokens"},
		{"WordPiece, duplicate", wordPieceOf(fields{keyTokens: []string{"a", "a"}, keyTypes: nil}), ErrVocabulary, `tokens 0 and 1 are both "a"`},
		{"merge of a space", bpe(fields{keyMerges: []string{" "}}), ErrVocabulary, `entry 0 is " "`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := New(c.in.metadata(t))
			if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got the error %v, want %s", err, c.want)
			}
		})
	}
}

func mustNew(t testing.TB, f fields) *Tokenizer {
	t.Helper()
	tok, err := New(f.metadata(t))
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// H16: vocabularies that are odd but harmless are read, and what they give is safe.
func TestH16OddVocabularies(t *testing.T) {
	for _, c := range []struct {
		name, text string
		in         fields
		want       []int32
	}{
		{"merges that build on no token", "abcd", bpe(fields{keyMerges: []string{"c d", "b cd", "a bcd"}}), []int32{'a', 'b', 'c', 'd'}},
		{"a merge through no token", "abc", bpe(fields{keyMerges: []string{"b c", "a bc"}}), []int32{258}},
		{"merges in a circle", "abab", bpe(fields{keyMerges: []string{"a b", "b a", "ab ab", "ba ba"}}), []int32{'a', 'b', 'a', 'b'}},
		{"a merge twice", "abc", bpe(fields{keyMerges: []string{"a b", "ab c", "a b"}}), []int32{258}},
		{"a merge outside the alphabet", "ab", bpe(fields{keyMerges: []string{"日 本", "a b"}}), []int32{256}},
		{"a merge into a control token", "<|end|>", bpe(fields{keyMerges: []string{"< |", "<| e", "<|e n", "<|en d", "<|end |", "<|end| >"}}), []int32{'<', '|', 'e', 'n', 'd', '|', '>'}},
		{"empty tokens", "ab", spm(fields{keyTokens: []string{"<unk>", "<s>", "</s>", "<0x0A>", "▁", "a", "b", "ab", "", ""}}), []int32{4, 7}},
		{"pieces that are no UTF-8", "a\xffb", spm(fields{keyTokens: []string{"<unk>", "<s>", "</s>", "<0x0A>", "▁", "a", "b", "\xff", "▁ab", "\xc3"}}), []int32{4, 5, 7, 6}},
		{"no byte tokens", "aé日b", spm(nil), []int32{4, 5, 9, 0, 6}},
		{"no unknown token either", "a日b", spm(fields{keyTypes: []int32{1, 3, 3, 6, 1, 1, 1, 1, 1, 1}, keyTokens: []string{"x", "<s>", "</s>", "<0x0A>", "▁", "a", "b", "ab", "▁ab", "é"}}), []int32{4, 5, 0, 6}},
		{"a newline by its byte", "a\nb", spm(nil), []int32{4, 5, 3, 6}},
		{"equal scores from the left", "aaa", spm(fields{keyTokens: []string{"<unk>", "<s>", "</s>", "<0x0A>", "▁", "a", "aa", "b", "c", "d"}, keyScores: make([]float32, 10)}), []int32{4, 6, 5}},
		{"WordPiece without an unknown token", "a zz a", wordPieceOf(fields{keyUnknown: nil}), []int32{4, 4}},
		{"WordPiece whose pieces are no UTF-8", "a \xff", wordPieceOf(fields{keyTokens: []string{"▁a", "▁\xff", "\xc3"}, keyTypes: nil, keyUnknown: nil, keyCLS: nil, keySEP: nil}), []int32{0}},
		{"Unigram whose scores are all alike", "aaaa", unigramOf(fields{keyScores: make([]float32, 267)}), []int32{258, 261}},
		{"Unigram without bytes or an unknown token", "日a", unigramOf(fields{keyTokens: []string{"a", "▁"}, keyTypes: nil, keyScores: []float32{-1, -1}, keyUnknown: nil, keyEOS: nil}), []int32{1, 0}},
		{"characters without bytes or an unknown token", "日a", fields{keyModel: modelGemma4, keyTokens: []string{"a"}, keyMerges: []string{"a a"}}, []int32{0}},
		{"a control token's own text", "<s>", spm(fields{keyTokens: []string{"<unk>", "<s>", "</s>", "<0x0A>", "▁", "<", "<s", "s", ">", "s>"}}), []int32{4, 6, 8}},
	} {
		t.Run(c.name, func(t *testing.T) {
			tok := mustNew(t, c.in)
			got := tok.Encode(c.text, EncodeOptions{})
			for i := range c.want {
				if c.in[keyModel] == modelBPE && c.want[i] < 256 {
					c.want[i] = tok.byteSyms[c.want[i]]
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%q gives %v, want %v", c.text, got, c.want)
			}
		})
	}
}

// A piece that has a space inside keeps two words together where it may reach over; the ids are those of one merging over all.
func TestPiecesAcrossWords(t *testing.T) {
	in := spm(fields{
		keyTokens: []string{"<unk>", "<s>", "</s>", "<0x0A>", "▁", "a", "b", "a▁", "a▁b", "▁a"},
		keyScores: []float32{0, 0, 0, 0, -9, -9, -9, -2, -1, -3},
	})
	tok := mustNew(t, in)
	if !tok.bridges['a'] || tok.bridges['b'] {
		t.Fatal("it is a that a piece has before a space, and not b")
	}
	if got, want := tok.Encode("a b a", EncodeOptions{}), []int32{4, 8, 9}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestSpecialTokens(t *testing.T) {
	in := bpe(nil)
	tokens := append(slices.Clone(in[keyTokens].([]string)), "<|a|>", "<|a|><|b|>", "b|>", "user>")
	types := append(slices.Clone(in[keyTypes].([]int32)), 3, 3, 3, 4)
	in[keyTokens], in[keyTypes] = tokens, types
	tok := mustNew(t, in)
	end, a, ab, b, user := int32(259), int32(260), int32(261), int32(262), int32(263)
	for _, c := range []struct {
		text    string
		special bool
		want    []int32
	}{
		{"<|a|>", true, []int32{a}},
		{"<|a|><|b|>", true, []int32{ab}},
		{"<|a|><|a|><|b|><|a|>", true, []int32{a, ab, a}},
		{"b|><|end|>", true, []int32{b, end}},
		{"<|a|>ab<|a|>", true, []int32{a, 256, a}},
		{"user>", false, []int32{user}},
		{"user>", true, []int32{user}},
		{"<|end|>", false, []int32{tok.byteSyms['<'], tok.byteSyms['|'], tok.byteSyms['e'], tok.byteSyms['n'], tok.byteSyms['d'], tok.byteSyms['|'], tok.byteSyms['>']}},
	} {
		if got := tok.Encode(c.text, EncodeOptions{ParseSpecial: c.special}); !slices.Equal(got, c.want) {
			t.Errorf("%q (special %v) gives %v, want %v", c.text, c.special, got, c.want)
		}
	}
	if !tok.IsSpecial(end) || tok.IsSpecial(user) || tok.IsSpecial(0) || tok.IsSpecial(-1) || tok.IsSpecial(1<<30) {
		t.Error("IsSpecial is wrong")
	}
	if !tok.IsEOG(end) || tok.IsEOG(a) || tok.IsEOG(-1) || tok.IsEOG(1<<30) {
		t.Error("IsEOG is wrong")
	}
	if got := string(tok.Piece(end)); got != "<|end|>" {
		t.Errorf("the special token's piece is %q", got)
	}
	if tok.Piece(-1) != nil || tok.Piece(1<<30) != nil || len(tok.Decode([]int32{-5, 1 << 30})) != 0 {
		t.Error("ids outside the vocabulary give something")
	}
	if id, ok := tok.ID("<|a|>"); id != a || !ok {
		t.Errorf("ID gives %d, %v", id, ok)
	}
}

func TestBeginAndEndTokens(t *testing.T) {
	tok := mustNew(t, spm(fields{keyAddEOS: true}))
	for _, c := range []struct {
		o    EncodeOptions
		want []int32
	}{
		{EncodeOptions{}, []int32{8}},
		{EncodeOptions{AddSpecial: true}, []int32{1, 8, 2}},
		{EncodeOptions{AddBOS: true}, []int32{1, 8}},
		{EncodeOptions{AddEOS: true}, []int32{8, 2}},
		{EncodeOptions{AddBOS: true, AddEOS: true, AddSpecial: true}, []int32{1, 8, 2}},
	} {
		if got := tok.Encode("ab", c.o); !slices.Equal(got, c.want) {
			t.Errorf("%+v gives %v, want %v", c.o, got, c.want)
		}
	}
	if !tok.AddsBOS() || !tok.AddsEOS() {
		t.Error("the rule is lost")
	}
	plain := mustNew(t, bpe(nil))
	if _, ok := plain.BOS(); ok || plain.AddsBOS() {
		t.Error("a byte-level vocabulary without a BOS has one")
	}
	if got := plain.Encode("ab", EncodeOptions{AddBOS: true, AddEOS: true, AddSpecial: true}); !slices.Equal(got, []int32{256}) {
		t.Errorf("got %v", got)
	}
}

func ExampleTokenizer_Encode() {
	m, err := gguf.NewMetadata(
		gguf.KV{Key: keyModel, Value: modelSPM},
		gguf.KV{Key: keyTokens, Value: []string{"<unk>", "<s>", "</s>", "▁", "a", "b", "ab", "▁ab"}},
		gguf.KV{Key: keyScores, Value: []float32{0, 0, 0, -5, -6, -7, -1, -2}},
		gguf.KV{Key: keyTypes, Value: []int32{2, 3, 3, 1, 1, 1, 1, 1}},
	)
	if err != nil {
		panic(err)
	}
	tok, err := New(m)
	if err != nil {
		panic(err)
	}
	ids := tok.Encode("ab aba", EncodeOptions{AddSpecial: true})
	fmt.Println(ids)
	fmt.Printf("%q\n", tok.Decode(ids[1:]))
	// Output:
	// [1 7 7 4]
	// "ab aba"
}
