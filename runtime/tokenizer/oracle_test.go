package tokenizer

import (
	"bufio"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/weft-run/weft/runtime/modeltest"
)

// jsonLines calls f with each line of a file.
func jsonLines[T any](t testing.TB, path string, f func(line int, v T)) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		var v T
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			t.Fatalf("%s:%d: %v", path, n, err)
		}
		f(n, v)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
}

// The words of each scanner are those of its regular expression, and the classes of characters those it was written for.
func TestScannersAgainstRegularExpressions(t *testing.T) {
	classes := newClassTable(false)
	withMarks := newClassTable(true)
	texts := 0
	jsonLines(t, "testdata/splits.jsonl", func(line int, v struct {
		Text    string
		Words   map[string][]int
		Classes map[string][][2]rune
	},
	) {
		for name, want := range v.Words {
			pre, table := preTokenizers[name], classes
			if pre.marks {
				table = withMarks
			}
			var got []int
			stages := pre.stages
			if stages == nil {
				stages = cuts(anywhere(pre.scan))
			}
			cutBy(stages, table, func(word string) { got = append(got, len(word)) })(v.Text)
			if !slices.Equal(got, want) {
				t.Errorf("line %d: %s cuts %q into %v, want %v", line, name, v.Text, got, want)
			}
			texts++
		}
		if v.Classes == nil {
			return
		}
		want := map[rune]class{}
		for name, k := range map[string]class{"letter": letter, "number": number, "space": space} {
			for _, r := range v.Classes[name] {
				for c := r[0]; c <= r[1]; c++ {
					want[c] = k
				}
			}
		}
		isMark := map[rune]bool{}
		for _, r := range v.Classes["mark"] {
			for c := r[0]; c <= r[1]; c++ {
				isMark[c] = true
			}
		}
		isA := map[string]map[rune]bool{"han": {}, "digit": {}, "word": {}}
		for name, set := range isA {
			for _, r := range v.Classes[name] {
				for c := r[0]; c <= r[1]; c++ {
					set[c] = true
				}
			}
		}
		for c := rune(0); c <= 0x10FFFF; c++ {
			if c >= 0xD800 && c < 0xE000 {
				continue // no character
			}
			if got, _ := classes.at(string(c), 0); got != want[c] {
				t.Errorf("U+%04X is of class %d, want %d", c, got, want[c])
			}
			if got := isHan(c); got != isA["han"][c] {
				t.Errorf("U+%04X is Han: %v, want %v", c, got, isA["han"][c])
			}
			if got := isDigit(classes, c); got != isA["digit"][c] {
				t.Errorf("U+%04X is a digit: %v, want %v", c, got, isA["digit"][c])
			}
			if got := isWordRune(classes, c); got != isA["word"][c] {
				t.Errorf("U+%04X belongs to words: %v, want %v", c, got, isA["word"][c])
			}
			wantMarked := want[c]
			if isMark[c] {
				wantMarked = letter
			}
			if got, _ := withMarks.at(string(c), 0); got != wantMarked {
				t.Errorf("U+%04X is of class %d where marks are letters, want %d", c, got, wantMarked)
			}
		}
	})
	if texts < 1000 {
		t.Fatalf("only %d texts", texts)
	}
}

// llama.cpp gives the same ids to random texts, with special tokens parsed or not, and ends on the same tokens. One difference is
// meant: llama.cpp takes "</s>" for an end wherever a vocabulary has it, Qwen's own tokenizer (see real.jsonl) for HTML.
func TestAgainstLlamaCpp(t *testing.T) {
	var tok *Tokenizer
	var vocab string
	jsonLines(t, "testdata/oracle.jsonl", func(line int, v struct {
		Vocab        string
		EOG          []int32
		Text         string
		Plain, Whole []int32
	},
	) {
		if v.Vocab != "" {
			vocab = v.Vocab
			tok = nil
			t.Run(vocab, func(t *testing.T) {
				tok = loadPath(t, vocabPath(t, vocab))
				want := slices.DeleteFunc(v.EOG, func(id int32) bool { return vocab == "qwen2" && tok.texts[id] == "</s>" })
				if got := tok.EOG(); !slices.Equal(got, want) {
					t.Errorf("the end tokens are %v, want %v", got, want)
				}
			})
			return
		}
		if tok == nil {
			return // skipped, with a loud line
		}
		if got := tok.Encode(v.Text, EncodeOptions{}); !slices.Equal(got, v.Plain) {
			t.Errorf("%s, line %d: plain %q\n got %v\nwant %v", vocab, line, v.Text, got, v.Plain)
		}
		if vocab == "qwen2" && strings.Contains(v.Text, "</s>") {
			return
		}
		if got := tok.Encode(v.Text, EncodeOptions{ParseSpecial: true, AddSpecial: true}); !slices.Equal(got, v.Whole) {
			t.Errorf("%s, line %d: whole %q\n got %v\nwant %v", vocab, line, v.Text, got, v.Whole)
		}
	})
}

const builtinPath = "../../daemon/builtin/stories260K-f32.gguf"

func vocabPath(t testing.TB, name string) string {
	t.Helper()
	switch name {
	case "stories260K":
		return builtinPath
	case "smollm2":
		return modeltest.File(t, "SmolLM2-135M-Instruct.Q4_1.gguf")
	}
	return modeltest.File(t, "vocab/ggml-vocab-"+name+".gguf")
}

// One tokenizer serves many goroutines; the ids do not depend on who came first.
func TestConcurrentEncoding(t *testing.T) {
	text, err := os.ReadFile("testdata/english.txt")
	if err != nil {
		t.Fatal(err)
	}
	tok := loadPath(t, builtinPath)
	want := loadPath(t, builtinPath).Encode(string(text), EncodeOptions{})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if got := tok.Encode(string(text), EncodeOptions{}); !slices.Equal(got, want) {
				t.Error("the ids differ")
			}
		})
	}
	wg.Wait()
}
