package tokenizer

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"
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
