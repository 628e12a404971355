package tokenizer

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// The expressions of this file are those of one or two models each; most differ in little from one that many use.

// scanUfakzeka is scanQwen2 without the contractions: Turkish writes its endings behind an apostrophe.
func scanUfakzeka(c *classTable, text string, i int) int { return scanUncontracted(c, text, i, 1) }

// scanSeedCoder is scanQwen2 where newlines behind signs are words of their own: ` ?[^\s\p{L}\p{N}\r\n]+` without `[\r\n]*`.
func scanSeedCoder(c *classTable, text string, i int) int {
	end := scanQwen2(c, text, i)
	look(end - i)
	signs := strings.TrimRight(text[i:end], "\r\n")
	if r, _ := utf8.DecodeLastRuneInString(signs); signs != "" && c.class(r) != space {
		return i + len(signs)
	}
	return end // newlines, with whitespace before them or without
}

// scanExaoneMoE: (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+
//
// A word goes on over single spaces, so it is many words.
func scanExaoneMoE(c *classTable, text string, i int) int {
	if text[i] == '\'' {
		if n := contraction(text, i, true); n > 0 {
			return i + n
		}
	}
	k, n := c.at(text, i)
	start := i
	if k != letter && k != number && text[i] != '\r' && text[i] != '\n' {
		start += n
	}
	if end := exaoneWords(c, text, start); end > start {
		return end
	}
	if k == number {
		return i + n
	}
	j := i
	if text[i] == ' ' && i+1 < len(text) {
		j++
	}
	if k, n := c.at(text, j); k == other {
		end := c.run(text, j+n, other)
		if end < len(text) && (text[end] == '\r' || text[end] == '\n' || text[end] == '/') {
			end++
		}
		return end
	}
	return scanSpaces(c, text, i)
}

// exaoneWords returns the end of (?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+ at i, or i.
func exaoneWords(c *classTable, text string, i int) int {
	end := i
	for j := i; j < len(text); {
		if text[j] == ' ' && end > i {
			j++
			if j == len(text) {
				break
			}
		}
		k, n := c.at(text, j)
		if k != letter {
			break
		}
		j += n
		for j < len(text) && text[j] >= utf8.RuneSelf { // no mark is in ASCII
			r, n := utf8.DecodeRuneInString(text[j:])
			if !unicode.In(r, marks...) {
				break
			}
			j += n
		}
		end = j
	}
	return end
}

// scanJais2 is scanLlama3 with \s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S)|\s{8}(?!\S)|\s{4}(?!\S)|\s{1,2}(?!\S)|\s{1}
// in place of \s+(?!\S)|\s+.
func scanJais2(c *classTable, text string, i int) int {
	k, n := c.at(text, i)
	if k == space && i+n < len(text) {
		k, _ = c.at(text, i+n)
	}
	if k != space {
		return scanLlama3(c, text, i) // one character of whitespace at most
	}
	// Where the character before is of the same run, the run has been searched for newlines from there: without this, each
	// 512 characters of a long run would look at all of it.
	if r, _ := utf8.DecodeLastRuneInString(text[:i]); i == 0 || c.class(r) != space || r == '\r' || r == '\n' {
		end, _ := c.spaces(text, i)
		if nl := strings.LastIndexAny(text[i:end], "\r\n"); nl >= 0 {
			return i + nl + 1
		}
	}
	const widest = 512
	var ends [widest + 1]int // where the first n characters end
	ends[0] = i
	count := 0
	last := false // the text ends with the run
	for count < widest {
		if last = ends[count] == len(text); last {
			break
		}
		k, n := c.at(text, ends[count])
		if k != space {
			break
		}
		ends[count+1] = ends[count] + n
		count++
	}
	if count == widest {
		if last = ends[count] == len(text); !last {
			k, _ := c.at(text, ends[count])
			last = k == space // more of the run follows: as good as its end
		}
	}
	if !last {
		count = max(1, count-1) // what stands before another character is left for it
	}
	for _, width := range []int{512, 256, 128, 64, 32, 16, 8, 4, 2} {
		if count >= width {
			return ends[width]
		}
	}
	return ends[1]
}

// scanSpark is scanDeepSeek3 where newlines are words of their own: ` ?[\p{P}\p{S}]+|[\r\n]|\s+(?!\S)|\s+` at its end.
func scanSpark(c *classTable, text string, i int) int {
	if end := deepSeekWord(c, text, i); end > i {
		return end
	}
	if text[i] == '\r' || text[i] == '\n' {
		return i + 1
	}
	end, last := c.spaces(text, i)
	if end == len(text) || last == i {
		return end
	}
	return last
}

// scanYoutu: [가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|[一-龥぀-ゟ゠-ヿ]+
func scanYoutu(c *classTable, text string, i int) int {
	for _, chars := range youtuRuns {
		if end := chars.run(c, text, i); end > i {
			return end
		}
	}
	return i
}

var youtuRuns = []*charSet{
	newCharSet(func(_ *classTable, r rune) bool { return '가' <= r && r <= '힣' || 'ㄱ' <= r && r <= 'ㆎ' }),
	newCharSet(func(_ *classTable, r rune) bool {
		return strings.ContainsRune("！…“”‘’—：；，", r) || '、' <= r && r <= '〿' || '︰' <= r && r <= '﹏'
	}),
	newCharSet(func(_ *classTable, r rune) bool { return 'ㄅ' <= r && r <= 'ㄯ' }),
	newCharSet(isHanKana),
}

// isAsian: [一-鿿㐀-䶿豈-﫿぀-ゟ゠-ヿ･-ﾟ⼀-⿟เ-๿຀-໿ក-៿က-႟ꩠ-ꩿꧠ-꧿가-힯ᄀ-ᇿ]
func isAsian(_ *classTable, r rune) bool { return unicode.Is(asian, r) }

var asian = &unicode.RangeTable{R16: []unicode.Range16{
	{0x0e40, 0x0eff, 1},
	{0x1000, 0x109f, 1},
	{0x1100, 0x11ff, 1},
	{0x1780, 0x17ff, 1},
	{0x2f00, 0x2fdf, 1},
	{0x3040, 0x30ff, 1},
	{0x3400, 0x4dbf, 1},
	{0x4e00, 0x9fff, 1},
	{0xa9e0, 0xa9ff, 1},
	{0xaa60, 0xaa7f, 1},
	{0xac00, 0xd7af, 1},
	{0xf900, 0xfaff, 1},
	{0xff65, 0xff9f, 1},
}}

// sentinel finds <sentinel:[0-9]+>, imageToken (IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z, tabOrSpaces ([\t\n]|    |  ): Chameleon's.
func sentinel(_ *classTable, text string, i int) int {
	const head = "<sentinel:"
	if !strings.HasPrefix(text[i:], head) {
		return i
	}
	j := i + len(head)
	for j < len(text) && '0' <= text[j] && text[j] <= '9' {
		j++
	}
	if j > i+len(head) && j < len(text) && text[j] == '>' {
		return j + 1
	}
	return i
}

func imageToken(_ *classTable, text string, i int) int {
	const head = "IMGIMG"
	if !strings.HasPrefix(text[i:], head) {
		return i
	}
	j := i + len(head)
	for j < len(text) && 'A' <= text[j] && text[j] <= 'I' {
		j++
	}
	if n := j - i - len(head); 1 <= n && n <= 4 && j < len(text) && text[j] == 'Z' {
		return j + 1
	}
	return i
}

func tabOrSpaces(_ *classTable, text string, i int) int {
	switch {
	case text[i] == '\t' || text[i] == '\n':
		return i + 1
	case strings.HasPrefix(text[i:], "    "):
		return i + 4
	case strings.HasPrefix(text[i:], "  "):
		return i + 2
	}
	return i
}

// isChameleonPunct: [\p{P}!-/:-@\[-`{-~]
func isChameleonPunct(_ *classTable, r rune) bool {
	return unicode.IsPunct(r) || r < utf8.RuneSelf && unicode.IsSymbol(r)
}

// lineOrNewlines: [^\n]+|[\n]+
func lineOrNewlines(_ *classTable, text string, i int) int {
	end := len(text)
	if text[i] == '\n' {
		end -= len(strings.TrimLeft(text[i:], "\n"))
	} else if n := strings.IndexByte(text[i:], '\n'); n >= 0 {
		end = i + n
	}
	look(end - i)
	return end
}

// spaceless is the stage \S+ of tokenizers that throw whitespace away.
func spaceless(c *classTable, text string, piece func(string)) {
	for i := 0; i < len(text); {
		end, _ := c.spaces(text, i)
		if end == i {
			for end < len(text) {
				k, n := c.at(text, end)
				if k == space {
					break
				}
				end += n
			}
			piece(text[i:end])
		}
		i = end
	}
}
