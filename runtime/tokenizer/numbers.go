package tokenizer

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// The stages of this file cut runs of digits into groups of three from their end, as one writes thousands. A run is walked once
// and its groups are given all at once: an expression with a look-ahead would look at the whole run for each of them.

// numberTriples cuts runs of \p{N}, the first group being what is left over.
func numberTriples(c *classTable, text string, piece func(string)) {
	groups(c, text, piece, numberChars, nil)
}

// thousands: \d{1,3}(?=(?:\d{3})*\b). A run with a letter or the like behind it has no such end and stays in what lies around it.
func thousands(c *classTable, text string, piece func(string)) {
	groups(c, text, piece, digitChars, func(behind rune) bool { return !isWordRune(c, behind) })
}

// groups gives the groups of each run of digits, and what lies between the runs. Where ends is set, only runs before a character
// that it accepts, or at the end of the text, are cut.
func groups(c *classTable, text string, piece func(string), digits *charSet, ends func(behind rune) bool) {
	from := 0
	for i := 0; i < len(text); {
		end, count := digitRun(c, text, i, digits)
		if count == 0 {
			_, n := utf8.DecodeRuneInString(text[i:])
			i += n
			continue
		}
		if ends != nil && end < len(text) {
			if behind, _ := utf8.DecodeRuneInString(text[end:]); !ends(behind) {
				i = end
				continue
			}
		}
		if from < i {
			piece(text[from:i])
		}
		for i < end {
			start := i
			for n := (count-1)%3 + 1; n > 0; n-- {
				_, size := utf8.DecodeRuneInString(text[i:])
				i += size
				count--
			}
			piece(text[start:i])
		}
		from = end
	}
	if from < len(text) {
		piece(text[from:])
	}
}

// tripleCuts: (?=(\d{3})+(?!\d)), which matches nothing but a place: a piece ends before each group of three.
func tripleCuts(c *classTable, text string, piece func(string)) {
	from := 0
	for i := 0; i < len(text); {
		end, count := digitRun(c, text, i, digitChars)
		if count == 0 {
			_, n := utf8.DecodeRuneInString(text[i:])
			i += n
			continue
		}
		for ; i < end; count-- {
			if count%3 == 0 && from < i {
				piece(text[from:i])
				from = i
			}
			_, n := utf8.DecodeRuneInString(text[i:])
			i += n
		}
	}
	if from < len(text) {
		piece(text[from:])
	}
}

// digitRun returns the end of the run of digits at i and their number.
func digitRun(c *classTable, text string, i int, digits *charSet) (end, count int) {
	for i < len(text) {
		n := digits.size(c, text, i)
		if n == 0 {
			break
		}
		i += n
		count++
	}
	return i, count
}

var (
	numberChars = newCharSet(isNumber)
	digitChars  = newCharSet(isDigit)
)

// isDigit: \d, which is \p{Nd}. All numbers that came with Unicode 16 are digits.
func isDigit(c *classTable, r rune) bool {
	return '0' <= r && r <= '9' || r >= utf8.RuneSelf && c.class(r) == number && !unicode.In(r, unicode.Nl, unicode.No)
}

// isWordRune: \w, as the tokenizers' engine of expressions has it: letters in the widest sense, marks, digits, what joins words, and
// the numbers of Latin-1.
func isWordRune(c *classTable, r rune) bool {
	return isLetterOrMark(c, r) || isDigit(c, r) || r == '_' || r >= utf8.RuneSelf && (unicode.In(r, unicode.Nl, unicode.Pc, unicode.Other_Alphabetic) || strings.ContainsRune("²³¹¼½¾", r))
}

// digitTriples finds [0-9][0-9][0-9].
func digitTriples(_ *classTable, text string, i int) int {
	if i+3 > len(text) {
		return i
	}
	for _, b := range []byte(text[i : i+3]) {
		if b < '0' || b > '9' {
			return i
		}
	}
	return i + 3
}
