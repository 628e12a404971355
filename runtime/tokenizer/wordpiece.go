package tokenizer

import (
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/weft-run/weft/runtime/gguf"
)

// maxWordChars is the number of characters above which BERT's tokenizer takes a word for unknown without a look.
const maxWordChars = 100

// wordPiece is the model "bert": text is cleaned and cut into words, and each word is the longest piece that begins it, then
// the longest that goes on, to its end. A word that does not come out whole is one unknown token.
//
// A file spells a piece that begins a word with U+2581 before it and one that goes on as it is, where BERT's own vocabulary
// has nothing and "##".
type wordPiece struct {
	t           *Tokenizer
	heads       *byteTrie // pieces that begin a word
	tails       *byteTrie // pieces that go on
	lower       bool
	stripAccent bool
	ascii       [utf8.RuneSelf]charKind
	scratch     sync.Pool // *word
}

// charKind says what becomes of a character.
type charKind uint8

const (
	charWord  charKind = iota
	charSpace          // ends a word
	charAlone          // is a word by itself
	charDropped
)

// word is the word that is being collected.
type word struct {
	text  []byte
	chars int // may be more than text holds, which ends at maxWordChars
}

// initWordPiece reads what WordPiece needs beside the tokens.
func (t *Tokenizer) initWordPiece(m gguf.Metadata) error {
	w := &wordPiece{t: t}
	t.enc = w
	t.spacePrefix = true // every word begins with a space in what is decoded
	var err error
	if w.lower, err = m.Bool(keyLowercase, true); err != nil {
		return err
	}
	if w.stripAccent, err = m.Bool(keyStripAccents, w.lower); err != nil {
		return err
	}
	var heads, tails []trieEntry
	for i, text := range t.texts {
		if t.attrs[i]&(attrNormal|attrUserDefined) == 0 || text == "" {
			continue
		}
		if head, ok := strings.CutPrefix(text, spmSpace); ok {
			heads = append(heads, trieEntry{head, int32(i)})
		} else {
			tails = append(tails, trieEntry{text, int32(i)})
		}
	}
	w.heads, w.tails = newByteTrie(heads), newByteTrie(tails)
	for r := range w.ascii {
		w.ascii[r] = w.classify(rune(r))
	}
	w.scratch.New = func() any { return &word{text: make([]byte, 0, maxWordChars*utf8.UTFMax)} }
	return nil
}

// classify follows BERT's cleaning of text and its cutting at punctuation. Tab and newlines are the only control characters
// that count as whitespace; of ASCII all that is printed and neither letter nor digit is punctuation.
func (w *wordPiece) classify(r rune) charKind {
	switch {
	case r == '\t' || r == '\n' || r == '\r':
		return charSpace
	case r == 0 || r == utf8.RuneError || unicode.Is(unicode.C, r):
		return charDropped
	case unicode.IsSpace(r):
		return charSpace
	case w.stripAccent && unicode.Is(unicode.Mn, r):
		return charDropped
	case r < utf8.RuneSelf && unicode.IsSymbol(r), unicode.IsPunct(r), isBertHan(r):
		return charAlone
	}
	return charWord
}

// isBertHan says whether BERT's tokenizer takes a character for one of Chinese: each is a word. The fifth range begins at
// U+2B920, not U+2B820, in Hugging Face's tokenizers, with which the models in use were made.
func isBertHan(r rune) bool {
	return 0x4E00 <= r && r <= 0x9FFF || 0x3400 <= r && r <= 0x4DBF || 0x20000 <= r && r <= 0x2A6DF || 0x2A700 <= r && r <= 0x2B73F ||
		0x2B740 <= r && r <= 0x2B81F || 0x2B920 <= r && r <= 0x2CEAF || 0xF900 <= r && r <= 0xFAFF || 0x2F800 <= r && r <= 0x2FA1F
}

func (w *wordPiece) encode(text string, out []int32) []int32 {
	if w.stripAccent && !norm.NFD.IsNormalString(text) {
		text = norm.NFD.String(text)
	}
	wd := w.scratch.Get().(*word)
	for i := 0; i < len(text); {
		r, n := rune(text[i]), 1
		var kind charKind
		if r < utf8.RuneSelf {
			kind = w.ascii[r]
		} else {
			r, n = utf8.DecodeRuneInString(text[i:]) // a byte that is no character comes as U+FFFD, which goes
			kind = w.classify(r)
		}
		i += n
		look(1)
		switch kind {
		case charWord:
			w.add(wd, r)
		case charSpace:
			out = w.finish(wd, out)
		case charAlone:
			out = w.finish(wd, out)
			w.add(wd, r)
			out = w.finish(wd, out)
		}
	}
	out = w.finish(wd, out)
	w.scratch.Put(wd)
	return out
}

// add appends a character to the word.
func (w *wordPiece) add(wd *word, r rune) {
	const dottedI = 'İ' // the one character whose small form is two
	wd.chars++
	if w.lower {
		if r == dottedI {
			w.add(wd, 'i')
			r = '\u0307'
		} else {
			r = unicode.ToLower(r)
		}
	}
	if wd.chars <= maxWordChars {
		wd.text = utf8.AppendRune(wd.text, r)
	}
}

// finish appends the tokens of the word and makes it empty.
func (w *wordPiece) finish(wd *word, out []int32) []int32 {
	if wd.chars == 0 {
		return out
	}
	from := len(out)
	rest, trie := wd.text, w.heads
	if wd.chars > maxWordChars {
		rest, trie = wd.text[:0], nil
	}
	known := trie != nil
	for known && len(rest) > 0 {
		id, n := trie.longest(rest)
		if known = n > 0; known {
			out = append(out, id)
			rest, trie = rest[n:], w.tails
		}
	}
	if !known {
		out = out[:from]
		if w.t.unknown >= 0 {
			out = append(out, w.t.unknown)
		}
	}
	wd.text, wd.chars = wd.text[:0], 0
	return out
}
