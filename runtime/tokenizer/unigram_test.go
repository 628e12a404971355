package tokenizer

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// SentencePiece makes the same of random texts, in its normalizer and in the ids, under each setting.
func TestUnigramAgainstSentencePiece(t *testing.T) {
	testUnigram(t, "testdata/unigram.jsonl")
}

func testUnigram(t *testing.T, path string) {
	var tok *Tokenizer
	var small fields
	var name string
	n := 0
	jsonLines(t, path, func(line int, v struct {
		Tokens       []string
		Scores       []float32
		Types        []int32
		Charsmap     string
		File         string
		Options      map[string]bool
		Text, Normal string
		IDs          []int32
	},
	) {
		if v.Options != nil {
			tok = nil
			if v.File != "" {
				name = v.File
				t.Run(name, func(t *testing.T) {
					tok = load(t, "vocab/ggml-vocab-"+v.File+".gguf")
				})
				return
			}
			name = "small"
			if v.Tokens != nil {
				blob, err := base64.StdEncoding.DecodeString(v.Charsmap)
				if err != nil {
					t.Fatal(err)
				}
				small = fields{keyModel: modelUnigram, keyTokens: v.Tokens, keyScores: v.Scores, keyTypes: v.Types, keyCharsmap: blob}
			}
			small[keySpacePrefix], small[keyMergeSpaces] = v.Options["prefix"], v.Options["merge"]
			tok = mustNew(t, small)
			return
		}
		if tok == nil {
			return // skipped, with a loud line
		}
		n++
		u := tok.enc.(*unigram)
		normal := string(u.normalize(nil, v.Text))
		if want := strings.ReplaceAll(v.Normal, spmSpace, " "); normal != want {
			t.Errorf("%s, line %d: %+q becomes\n     %+q\nwant %+q", name, line, v.Text, normal, want)
			return
		}
		if got := tok.Encode(v.Text, EncodeOptions{}); !slices.Equal(got, v.IDs) {
			t.Errorf("%s, line %d: %q\n got %v\nwant %v", name, line, v.Text, got, v.IDs)
			return
		}
		if slices.Contains(v.IDs, tok.unknown) {
			return
		}
		want := normal
		if u.spacePrefix {
			want = strings.TrimPrefix(want, " ")
		}
		if back := string(tok.Decode(v.IDs)); back != want {
			t.Errorf("%s, line %d: %v decodes to %q, want %q", name, line, v.IDs, back, want)
		}
	})
	if n < 400 {
		t.Errorf("only %d texts", n)
	}
}

// Texts searched word by word give the ids of texts searched whole, ties and unknown characters included.
func TestUnigramWordByWord(t *testing.T) {
	type both struct {
		name       string
		word, text *Tokenizer
	}
	var all []both
	add := func(name string, wordwise bool, load func() *Tokenizer) {
		b := both{name, load(), load()}
		if n := b.word.enc.(*unigram).wordwise; n > 0 != wordwise {
			t.Errorf("%s: %d bytes are searched word by word", name, n)
		}
		b.text.enc.(*unigram).wordwise = 0
		all = append(all, b)
	}
	pieces := func(more ...string) func() *Tokenizer {
		return func() *Tokenizer {
			return mustNew(t, unigramOf(fields{keyTokens: append(append(byteTokens(), "<unk>", "</s>"), more...)}))
		}
	}
	add("scores that tie", true, func() *Tokenizer { return mustNew(t, unigramOf(nil)) })
	add("no space", false, pieces("x", "a", "aa", "aaaa", "▁a", "b", "ab", "é", "日本"))
	add("across words", true, pieces("▁", "a", "aa", "a▁a", "▁a", "b▁", "ab", "é", "日本"))
	add("no bytes", true, func() *Tokenizer {
		return mustNew(t, unigramOf(fields{keyTypes: append(slices.Repeat([]int32{5}, 256), 2, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1)}))
	})
	if !testing.Short() {
		add("nomic-bert-moe", true, func() *Tokenizer { return loadPath(t, vocabPath(t, "nomic-bert-moe")) })
	}
	rapid.Check(t, func(rt *rapid.T) {
		text := strings.Join(rapid.SliceOfN(rapid.SampledFrom(append(words, "aa", "ab", "b", "aaaa")), 0, 60).Draw(rt, "words"), "")
		for _, b := range all {
			if got, want := b.word.Encode(text, EncodeOptions{}), b.text.Encode(text, EncodeOptions{}); !slices.Equal(got, want) {
				rt.Fatalf("%s: %q gives %v word by word, %v as a whole", b.name, text, got, want)
			}
		}
	})
}

// Scores of which sums are rounded keep a text whole.
func TestUnigramSumsThatRound(t *testing.T) {
	scores := make([]float32, 267)
	for i := range scores {
		scores[i] = -float32(i%7) - 1
	}
	u := func() int { return mustNew(t, unigramOf(fields{keyScores: scores})).enc.(*unigram).wordwise }
	if n := u(); n != maxTextBytes {
		t.Errorf("sums of whole numbers are exact for %d bytes, want %d", n, maxTextBytes)
	}
	scores[260] = -1 - 1.0/(1<<23)
	if n := u(); n != 1<<30/17 {
		t.Errorf("sums of multiples of 2^-23 and at most 17 are exact for %d bytes, want %d", n, 1<<30/17)
	}
	scores[260] = -1e-30
	if n := u(); n != 0 {
		t.Errorf("sums with 1e-30 are exact for %d bytes, want 0", n)
	}
}
