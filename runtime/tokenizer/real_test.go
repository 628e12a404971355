package tokenizer

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/weft-run/weft/runtime/modeltest"
)

// tokenizerJSON is what Hugging Face's tokenizer.json says about a BPE vocabulary.
type tokenizerJSON struct {
	Model struct {
		Vocab  map[string]int32
		Merges []mergePair
	}
	Added []struct {
		ID      int32
		Content string
		Special bool
	} `json:"added_tokens"`
	// Tekken's own form
	Config struct {
		Size     int `json:"default_vocab_size"`
		Specials int `json:"default_num_special_tokens"`
	}
	Vocab []struct {
		Bytes []byte `json:"token_bytes"`
	}
}

// mergePair is two pieces with a space between them; a file has it so or as a list of two.
type mergePair string

func (p *mergePair) UnmarshalJSON(b []byte) error {
	var two []string
	if b[0] != '[' {
		return json.Unmarshal(b, (*string)(p))
	}
	if err := json.Unmarshal(b, &two); err != nil {
		return err
	}
	*p = mergePair(strings.Join(two, " "))
	return nil
}

// realVocabulary makes the metadata that a converter makes of a fetched tokenizer.
func realVocabulary(t testing.TB, name, pre string) fields {
	data, err := os.ReadFile(modeltest.File(t, "tokenizers/"+name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var in tokenizerJSON
	if err := json.Unmarshal(data, &in); err != nil {
		t.Fatal(err)
	}
	if in.Vocab != nil {
		return tekken(in, pre)
	}
	size := int32(len(in.Model.Vocab))
	for _, a := range in.Added {
		size = max(size, a.ID+1)
	}
	tokens, types := make([]string, size), slices.Repeat([]int32{1}, int(size))
	for text, id := range in.Model.Vocab {
		tokens[id] = text
	}
	for b, text := range byteTokens() {
		if id, ok := in.Model.Vocab[text]; ok && pre == modelGemma4 {
			_, types[id] = b, 6
		}
	}
	for _, a := range in.Added {
		tokens[a.ID], types[a.ID] = a.Content, 4
		if pre == modelGemma4 {
			tokens[a.ID] = strings.ReplaceAll(a.Content, spmSpace, " ") // so converters write what is found before any merging
		}
		if a.Special {
			types[a.ID] = 3
		}
	}
	merges := make([]string, len(in.Model.Merges))
	for i, m := range in.Model.Merges {
		merges[i] = string(m)
	}
	return fields{keyModel: modelBPE, keyPre: pre, keyTokens: tokens, keyTypes: types, keyMerges: merges}
}

// tekken makes merges of a list of pieces in the order of their making: a piece comes of any two before it that it is made of.
func tekken(in tokenizerJSON, pre string) fields {
	a := newAlphabet()
	spell := func(piece []byte) string {
		var out []rune
		for _, b := range piece {
			out = append(out, a.runes[b])
		}
		return string(out)
	}
	var tokens, merges []string
	for range in.Config.Specials {
		tokens = append(tokens, "") // its special tokens are not in the file
	}
	known := map[string]bool{}
	for _, v := range in.Vocab[:in.Config.Size-in.Config.Specials] {
		tokens = append(tokens, spell(v.Bytes))
		for i := 1; i < len(v.Bytes); i++ {
			if known[string(v.Bytes[:i])] && known[string(v.Bytes[i:])] {
				merges = append(merges, spell(v.Bytes[:i])+" "+spell(v.Bytes[i:]))
			}
		}
		known[string(v.Bytes)] = true
	}
	return fields{keyModel: modelBPE, keyPre: pre, keyTokens: tokens, keyMerges: merges}
}

// Hugging Face's tokenizers, with which the models were made, give the same ids to random texts on real vocabularies.
func TestRealVocabularies(t *testing.T) {
	if testing.Short() {
		t.Skip("reading the files takes seconds")
	}
	var tok *Tokenizer
	var name string
	jsonLines(t, "testdata/real.jsonl", func(line int, v struct {
		File, Pre, Text string
		IDs             []int32
	},
	) {
		if v.File != "" {
			tok, name = nil, v.File
			t.Run(name, func(t *testing.T) { tok = mustNew(t, realVocabulary(t, v.File, v.Pre)) })
			return
		}
		if tok == nil || tok.spaceSign && strings.Contains(v.Text, spmSpace) {
			return // skipped, with a loud line; or a space to us, where Gemma's own tokenizer knows two of that sign in a row
		}
		if got := tok.Encode(v.Text, EncodeOptions{ParseSpecial: true}); !slices.Equal(got, v.IDs) {
			t.Errorf("%s, line %d: %q\n got %v\nwant %v", name, line, v.Text, got, v.IDs)
		}
	})
}

// Gemma's files for llama.cpp are of the SentencePiece model: the order of the merges is in the scores. The ids of gemma3.jsonl
// are those of such a file, Gemma 3 270M.
func TestGemma3(t *testing.T) {
	if testing.Short() {
		t.Skip("reading the file takes seconds")
	}
	characters := realVocabulary(t, "gemma3", modelGemma4)
	tokens := characters[keyTokens].([]string)
	rank := map[string]int{}
	for i, merge := range characters[keyMerges].([]string) {
		at := strings.IndexByte(merge[1:], ' ') + 1
		if piece := merge[:at] + merge[at+1:]; rank[piece] == 0 {
			rank[piece] = i + 1
		}
	}
	scores := make([]float32, len(tokens))
	for i, text := range tokens {
		scores[i] = -1e6
		if r, ok := rank[text]; ok {
			scores[i] = -float32(r)
		}
	}
	sentencePiece := fields{keyModel: modelSPM, keyTokens: tokens, keyTypes: characters[keyTypes], keyScores: scores, keySpacePrefix: false}
	for form, in := range map[string]fields{"characters": characters, "SentencePiece": sentencePiece} {
		tok := mustNew(t, in)
		jsonLines(t, "testdata/gemma3.jsonl", func(line int, v struct {
			Text string
			IDs  []int32
		},
		) {
			if got := tok.Encode(v.Text, EncodeOptions{}); !slices.Equal(got, v.IDs) {
				t.Errorf("%s, line %d: %q\n got %v\nwant %v", form, line, v.Text, got, v.IDs)
			}
		})
	}
}
