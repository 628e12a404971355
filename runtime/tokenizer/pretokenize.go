package tokenizer

import "strings"

// scanner returns the end of the word that begins at byte i of text. It always moves on, and looks at no byte more than a
// bounded number of times over a whole text.
type scanner func(c *classTable, text string, i int) int

// preTokenizer is how a byte-level vocabulary wants its text cut into words, and what else its name implies.
type preTokenizer struct {
	scan         scanner // nil where stages cut
	stages       []stage // one after the other
	ignoreMerges bool    // see Tokenizer
	addBOS       bool    // unless the file says otherwise
	marks        bool    // a combining mark counts as a letter
	longWords    bool    // words go on over spaces; not together with ignoreMerges, for which a part is no word
	nfc          bool    // the tokenizer this name stands for brings its text to NFC first

	plain         bool // pieces and merges are spelled in characters, not in the alphabet of bytes
	spaceSign     bool // and a space as U+2581
	newlineTokens bool // a run of newlines that is a token is that token
	alwaysBOS     bool // whatever the file says: Gemma 4's own files say it wrongly
	spaceless     bool // whitespace is left out
	mayLower      bool // the file's key for small letters counts
}

// contraction returns the length of 's 't 'm 'd 're 've 'll at the apostrophe at i, or 0. With fold, case does not matter.
func contraction(text string, i int, fold bool) int {
	rest := text[i+1:]
	if rest == "" {
		return 0
	}
	lower := func(b byte) byte {
		if fold && 'A' <= b && b <= 'Z' {
			return b + 'a' - 'A'
		}
		return b
	}
	switch lower(rest[0]) {
	case 's', 't', 'm', 'd':
		return 2
	}
	if fold && strings.HasPrefix(rest, "ſ") {
		return 1 + len("ſ") // the long s is an s to a match without case
	}
	if len(rest) > 1 {
		switch string([]byte{lower(rest[0]), lower(rest[1])}) {
		case "re", "ve", "ll":
			return 3
		}
	}
	return 0
}

// scanGPT2: 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
func scanGPT2(c *classTable, text string, i int) int {
	return scanWords(c, text, i, false)
}

// scanSmolLM: \p{N} is cut out first, each by itself; then what is left is split as GPT-2 does.
func scanSmolLM(c *classTable, text string, i int) int {
	return scanWords(c, text, i, true)
}

func scanWords(c *classTable, text string, i int, digitsApart bool) int {
	if text[i] == '\'' {
		if n := contraction(text, i, false); n > 0 {
			return i + n
		}
	}
	j := i
	if text[i] == ' ' && i+1 < len(text) {
		j++
	}
	k, n := c.at(text, j)
	switch {
	case k == number && digitsApart:
		if j == i {
			return i + n
		}
	case k != space:
		return c.run(text, j+n, k)
	}
	end, last := c.spaces(text, i)
	if end == len(text) || last == i {
		return end
	}
	if digitsApart {
		if k, _ := c.at(text, end); k == number {
			return end // the text ends here as far as the look-ahead can see
		}
	}
	return last
}

// scanLlama3: (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
func scanLlama3(c *classTable, text string, i int) int {
	return scanLines(c, text, i, 3)
}

// scanQwen2 is scanLlama3 with \p{N} in place of \p{N}{1,3}.
func scanQwen2(c *classTable, text string, i int) int {
	return scanLines(c, text, i, 1)
}

// scanQwen35: (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
//
// That is scanQwen2 by a table in which marks are letters: a mark may be the one character before the letters or the first
// of them, and the word is the same.
func scanQwen35(c *classTable, text string, i int) int {
	return scanLines(c, text, i, 1)
}

func scanLines(c *classTable, text string, i, digits int) int {
	if text[i] == '\'' {
		if n := contraction(text, i, true); n > 0 {
			return i + n
		}
	}
	return scanUncontracted(c, text, i, digits)
}

// scanUncontracted is the expression without its first part, the contractions.
func scanUncontracted(c *classTable, text string, i, digits int) int {
	b := text[i]
	k, n := c.at(text, i)
	switch {
	case k == letter:
		return c.run(text, i+n, letter)
	case k == number:
		return c.runUpTo(text, i+n, number, digits-1)
	case b != '\r' && b != '\n' && i+n < len(text):
		if k, m := c.at(text, i+n); k == letter {
			return c.run(text, i+n+m, letter)
		}
	}
	j := i
	if b == ' ' && i+1 < len(text) {
		j++
		k, _ = c.at(text, j)
	}
	if k == other {
		end := c.run(text, j, other)
		for end < len(text) && (text[end] == '\r' || text[end] == '\n') {
			end++
		}
		return end
	}
	return scanSpaces(c, text, i)
}

// scanSpaces: \s*[\r\n]+|\s+(?!\S)|\s+
func scanSpaces(c *classTable, text string, i int) int {
	end, last := c.spaces(text, i)
	if nl := strings.LastIndexAny(text[i:end], "\r\n"); nl >= 0 {
		return i + nl + 1
	}
	if end == len(text) || last == i {
		return end
	}
	return last
}
