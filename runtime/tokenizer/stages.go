package tokenizer

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Some tokenizers cut text by several expressions, one after the other: the matches of the first and what lies between them are
// pieces, which the next one cuts in turn.

// stage calls piece with the pieces of a text, in order. It may leave some of the text out.
type stage func(c *classTable, text string, piece func(string))

// finder is one expression; unlike a scanner's, its matches need not cover the text.
type finder struct {
	// begins says of each byte whether a match may begin with it: most of a text is passed over by this alone.
	begins *[256]bool
	// find returns the end of the match that begins at byte i of the piece, or i where none begins. It looks at no byte more than a
	// bounded number of times over a whole piece.
	find func(c *classTable, text string, i int) int
}

// encodeStages cuts a text by the stages in turn and encodes what is left.
func (t *Tokenizer) encodeStages(m *merger, text string, out []int32) []int32 {
	cutBy(t.stages, t.classes, func(word string) { out = t.encodeWord(m, word, out) })(text)
	return out
}

// cutBy chains stages: what it returns calls word with what the last of them leaves of a piece.
func cutBy(stages []stage, c *classTable, word func(string)) func(piece string) {
	for _, cut := range slices.Backward(stages) {
		next := word
		word = func(piece string) { cut(c, piece, next) }
	}
	return word
}

// cuts makes a stage of each expression: its pieces are the matches and what lies between them.
func cuts(finders ...finder) []stage {
	var stages []stage
	for _, f := range finders {
		stages = append(stages, func(c *classTable, text string, piece func(string)) {
			from := 0 // where what no match has taken begins
			for i := 0; i < len(text); {
				if !f.begins[text[i]] {
					look(1)
					i++
					continue
				}
				end := f.find(c, text, i)
				if end == i {
					_, n := utf8.DecodeRuneInString(text[i:])
					i += n
					continue
				}
				if from < i {
					piece(text[from:i])
				}
				piece(text[i:end])
				i, from = end, end
			}
			if from < len(text) {
				piece(text[from:])
			}
		})
	}
	return stages
}

// lastSpaces finds \s+$: whitespace at the end of a piece.
var lastSpaces = finder{beginsWith(isSpace), func(c *classTable, text string, i int) int {
	if i > 0 {
		// A run is looked at from its beginning only: where that has not reached the end, nothing within it does.
		if r, _ := utf8.DecodeLastRuneInString(text[:i]); c.class(r) == space {
			return i
		}
	}
	if end, _ := c.spaces(text, i); end == len(text) {
		return end
	}
	return i
}}

func isLetter(c *classTable, r rune) bool  { return c.class(r) == letter }
func isNumber(c *classTable, r rune) bool  { return c.class(r) == number }
func isSpace(c *classTable, r rune) bool   { return c.class(r) == space }
func isNewline(_ *classTable, r rune) bool { return r == '\r' || r == '\n' }

func isPunct(_ *classTable, r rune) bool { return unicode.IsPunct(r) }

func isDeepSeekLetter(_ *classTable, r rune) bool {
	if r < utf8.RuneSelf { // most of a text, and quickly told
		return 'a' <= r|0x20 && r|0x20 <= 'z'
	}
	return unicode.Is(deepSeekLetters, r)
}

// isFalconPunct: [\p{P}\$\+<=>\^~\|`]
func isFalconPunct(_ *classTable, r rune) bool {
	return unicode.IsPunct(r) || strings.ContainsRune("$+<=>^~|`", r)
}

// isDefaultPunct: [\p{P}\$\+<=>\^~\|]
func isDefaultPunct(c *classTable, r rune) bool { return r != '`' && isFalconPunct(c, r) }

// isDeepSeekPunct: [!-/:-~！-／：-～‘-‟　-。], which holds the letters from A to z too.
func isDeepSeekPunct(_ *classTable, r rune) bool {
	return '!' <= r && r <= '/' || ':' <= r && r <= '~' || '！' <= r && r <= '／' || '：' <= r && r <= '～' || '‘' <= r && r <= '‟' || '\u3000' <= r && r <= '。'
}

// isDeepSeekCJK: [一-龥ࠀ-一가-퟿]
func isDeepSeekCJK(_ *classTable, r rune) bool {
	return 0x0800 <= r && r <= 0x9fa5 || 0xac00 <= r && r <= 0xd7ff
}

// isHanKana: [一-龥぀-ゟ゠-ヿ]
func isHanKana(_ *classTable, r rune) bool {
	return 0x4e00 <= r && r <= 0x9fa5 || 0x3040 <= r && r <= 0x30ff
}

// bloomWord: ` ?[^(\s|.,!?…。，、।۔،)]+`
func bloomWord(c *classTable, text string, i int) int {
	if text[i] == ' ' {
		if end := bloomChars.run(c, text, i+1); end > i+1 {
			return end
		}
	}
	return bloomChars.run(c, text, i)
}

var bloomChars = newCharSet(func(c *classTable, r rune) bool {
	return c.class(r) != space && !strings.ContainsRune("(|.,!?…。，、।۔،)", r)
})

// scanDeepSeek3: [!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
//
// Where none of these begins, it finds nothing: numbers and control characters are what is left.
func scanDeepSeek3(c *classTable, text string, i int) int {
	if end := deepSeekWord(c, text, i); end > i {
		if r, _ := utf8.DecodeLastRuneInString(text[:end]); isSign(r) {
			for end < len(text) && (text[end] == '\r' || text[end] == '\n') {
				end++
			}
		}
		return end
	}
	if k, _ := c.at(text, i); k == space {
		return scanSpaces(c, text, i)
	}
	return i
}

// deepSeekWord: [!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+
func deepSeekWord(c *classTable, text string, i int) int {
	b := text[i]
	if b < utf8.RuneSelf && isSign(rune(b)) {
		j := i + 1
		for j < len(text) && ('a' <= text[j]|0x20 && text[j]|0x20 <= 'z') {
			j++
		}
		look(j - i)
		if j > i+1 {
			return j
		}
	}
	r, n := utf8.DecodeRuneInString(text[i:])
	if b != '\r' && b != '\n' && !isSign(r) && c.class(r) != letter {
		if end := lettersAndMarks.run(c, text, i+n); end > i+n {
			return end
		}
	}
	if end := lettersAndMarks.run(c, text, i); end > i {
		return end
	}
	j := i
	if b == ' ' {
		j++
	}
	if end := signs.run(c, text, j); end > j {
		return end
	}
	return i
}

var (
	lettersAndMarks = newCharSet(isLetterOrMark)
	signs           = newCharSet(func(_ *classTable, r rune) bool { return isSign(r) })
)

func isLetterOrMark(c *classTable, r rune) bool {
	return c.class(r) == letter || r >= utf8.RuneSelf && unicode.In(r, marks...)
}

// isSign: [\p{P}\p{S}]
func isSign(r rune) bool { return unicode.IsPunct(r) || unicode.IsSymbol(r) }
