package tokenizer

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// letterCase is what the expressions of Tekken and GPT-4o ask of a letter or mark.
type letterCase uint8

const (
	noLetter  letterCase = iota
	upperCase            // \p{Lu}, \p{Lt}
	lowerCase            // \p{Ll}
	anyCase              // \p{Lm}, \p{Lo}, \p{M}: both sides of a word take it
)

// caser gives the case of a character.
type caser func(r rune) letterCase

func caseOf(r rune) letterCase {
	switch {
	case unicode.In(r, unicode.Ll):
		return lowerCase
	case unicode.In(r, unicode.Lu, unicode.Lt):
		return upperCase
	case unicode.In(r, letters...) || unicode.In(r, marks...):
		return anyCase
	}
	return noLetter
}

// scanTekken: [^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*
// |\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+
func scanTekken(c *classTable, text string, i int) int {
	if end := casedWord(c, text, i, caseOf); end > i {
		return end
	}
	return scanRest(c, text, i, 1, "\r\n/")
}

// scanGPT4o is scanTekken with a contraction (?i:'s|'t|'re|'ve|'m|'ll|'d)? behind a word, and \p{N}{1,3}.
func scanGPT4o(c *classTable, text string, i int) int {
	if end := contractedWord(c, text, i, caseOf); end > i {
		return end
	}
	return scanRest(c, text, i, 3, "\r\n/")
}

// scanYoutuWord is scanGPT4o with \p{N} in place of \p{N}{1,3}.
func scanYoutuWord(c *classTable, text string, i int) int {
	if end := contractedWord(c, text, i, caseOf); end > i {
		return end
	}
	return scanRest(c, text, i, 1, "\r\n/")
}

// scanKimi is scanGPT4o with a run of Han characters as a word, which no other word holds, and no slash behind signs: [\p{Han}]+|
// [^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|
// the same with the capitals needed and not the small letters|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
func scanKimi(c *classTable, text string, i int) int {
	if end := hanChars.run(c, text, i); end > i {
		return end
	}
	if end := contractedWord(c, text, i, caseOfKimi); end > i {
		return end
	}
	return scanRest(c, text, i, 3, "\r\n")
}

var hanChars = newCharSet(func(_ *classTable, r rune) bool { return isHan(r) })

// isHan: \p{Han} as of Unicode 16, which has one block that Go's tables lack.
func isHan(r rune) bool {
	return r >= 0x2e80 && (unicode.Is(unicode.Han, r) || 0x2ebf0 <= r && r <= 0x2ee5d)
}

func caseOfKimi(r rune) letterCase {
	if isHan(r) {
		return noLetter
	}
	return caseOf(r)
}

// contractedWord is casedWord with a contraction behind it.
func contractedWord(c *classTable, text string, i int, of caser) int {
	end := casedWord(c, text, i, of)
	if end > i && end < len(text) && text[end] == '\'' {
		end += contraction(text, end, true)
	}
	return end
}

// casedWord returns the end of the word at i, or i where there is none. A word is capitals and then small letters; marks and letters
// without case count as either. One character that is no letter, no number and no newline may stand before it.
func casedWord(c *classTable, text string, i int, of caser) int {
	k, n := c.at(text, i)
	lead := k != letter && k != number && text[i] != '\r' && text[i] != '\n'
	if lead {
		if end := mixedCase(text, i+n, of); end > i+n {
			return end
		}
	}
	if end := mixedCase(text, i, of); end > i {
		return end
	}
	if lead {
		if end := capitals(text, i+n, of); end > i+n {
			return end
		}
	}
	return capitals(text, i, of)
}

// mixedCase returns the end of [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+ at i, or i. Where no small letter follows
// the capitals, the last letter among them that may be either ends the word.
func mixedCase(text string, i int, of caser) int {
	either := i
	j := i
	for j < len(text) {
		k, n := caseAt(text, j, of)
		if k == lowerCase {
			return caseRun(text, j, of, lowerCase, anyCase)
		}
		if k == noLetter {
			break
		}
		j += n
		if k == anyCase {
			either = j
		}
	}
	return either
}

// capitals returns the end of a run of capitals at i; where other letters follow or stand among them mixedCase has taken the word.
func capitals(text string, i int, of caser) int { return caseRun(text, i, of, upperCase, upperCase) }

// caseRun returns the end of the run of letters of either of two cases at i.
func caseRun(text string, i int, of caser, one, other letterCase) int {
	for i < len(text) {
		k, n := caseAt(text, i, of)
		if k != one && k != other {
			break
		}
		i += n
	}
	return i
}

// caseAt returns the case and the length of the character at byte i of text.
func caseAt(text string, i int, of caser) (letterCase, int) {
	look(1)
	if b := text[i]; b < utf8.RuneSelf {
		return asciiCases[b], 1
	}
	r, n := utf8.DecodeRuneInString(text[i:])
	return of(r), n
}

var asciiCases = func() (t [utf8.RuneSelf]letterCase) {
	for b := range t {
		t[b] = caseOf(rune(b))
	}
	return t
}()

// scanRest: \p{N}{1,digits}| ?[^\s\p{L}\p{N}]+[behind]*|\s*[\r\n]+|\s+(?!\S)|\s+
func scanRest(c *classTable, text string, i, digits int, behind string) int {
	if end := c.runUpTo(text, i, number, digits); end > i {
		return end
	}
	j := i
	if text[i] == ' ' && i+1 < len(text) {
		j++
	}
	if k, n := c.at(text, j); k == other {
		end := c.run(text, j+n, other)
		for end < len(text) && strings.IndexByte(behind, text[end]) >= 0 {
			end++
		}
		return end
	}
	return scanSpaces(c, text, i)
}
