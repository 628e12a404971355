package tokenizer

import (
	"slices"
	"unicode"
	"unicode/utf8"
)

// class is what a regular expression asks of a character.
type class uint8

const (
	other  class = iota // none of the below: punctuation, symbols, marks, bytes that are no character
	letter              // \p{L}
	number              // \p{N}
	space               // \s: the Unicode property White_Space
)

// classTable gives the class of a character: by a table in the basic plane, by search above it.
type classTable struct {
	basic   [1 << 16]class
	letters []*unicode.RangeTable
}

// newClassTable makes the table; with marks, \p{M} counts as letter, for expressions that say [\p{L}\p{M}] throughout.
func newClassTable(withMarks bool) *classTable {
	c := &classTable{letters: letters}
	if withMarks {
		c.letters = slices.Concat(letters, marks)
	}
	fill := func(t *unicode.RangeTable, k class) {
		for _, r := range t.R16 {
			for x := uint32(r.Lo); x <= uint32(r.Hi); x += uint32(r.Stride) {
				c.basic[x] = k
			}
		}
	}
	for _, t := range c.letters {
		fill(t, letter)
	}
	for _, t := range numbers {
		fill(t, number)
	}
	fill(unicode.White_Space, space)
	return c
}

// asciiClasses is a table of which only ASCII is filled, which is the same in all: what tables of predicates are made with.
var asciiClasses = func() *classTable {
	c := &classTable{}
	for b := range rune(utf8.RuneSelf) {
		switch {
		case unicode.IsLetter(b):
			c.basic[b] = letter
		case unicode.IsNumber(b):
			c.basic[b] = number
		case unicode.IsSpace(b):
			c.basic[b] = space
		}
	}
	return c
}()

// letters and numbers are the classes as of Unicode 16, the version of the tokenizers that models are made with; Go 1.26
// has 15.0, so the characters that came since are added.
var (
	letters = []*unicode.RangeTable{unicode.L, {
		R16: []unicode.Range16{{0x1c89, 0x1c8a, 1}, {0xa7cb, 0xa7cd, 1}, {0xa7da, 0xa7dc, 1}},
		R32: []unicode.Range32{
			{0x105c0, 0x105f3, 1},
			{0x10d4a, 0x10d65, 1},
			{0x10d6f, 0x10d85, 1},
			{0x10ec2, 0x10ec4, 1},
			{0x11380, 0x11389, 1},
			{0x1138b, 0x1138b, 1},
			{0x1138e, 0x1138e, 1},
			{0x11390, 0x113b5, 1},
			{0x113b7, 0x113b7, 1},
			{0x113d1, 0x113d1, 1},
			{0x113d3, 0x113d3, 1},
			{0x11bc0, 0x11be0, 1},
			{0x13460, 0x143fa, 1},
			{0x16100, 0x1611d, 1},
			{0x16d40, 0x16d6c, 1},
			{0x18cff, 0x18cff, 1},
			{0x1e5d0, 0x1e5ed, 1},
			{0x1e5f0, 0x1e5f0, 1},
			{0x2ebf0, 0x2ee5d, 1},
		},
	}}
	numbers = []*unicode.RangeTable{unicode.N, {
		R32: []unicode.Range32{
			{0x10d40, 0x10d49, 1},
			{0x116d0, 0x116e3, 1},
			{0x11bf0, 0x11bf9, 1},
			{0x16130, 0x16139, 1},
			{0x16d70, 0x16d79, 1},
			{0x1ccf0, 0x1ccf9, 1},
			{0x1e5f1, 0x1e5fa, 1},
		},
	}}
)

// marks are \p{M} as of Unicode 16.
var marks = []*unicode.RangeTable{unicode.M, {
	R16: []unicode.Range16{{0x0897, 0x0897, 1}},
	R32: []unicode.Range32{
		{0x10d69, 0x10d6d, 1},
		{0x10efc, 0x10efc, 1},
		{0x113b8, 0x113c0, 1},
		{0x113c2, 0x113c2, 1},
		{0x113c5, 0x113c5, 1},
		{0x113c7, 0x113ca, 1},
		{0x113cc, 0x113d0, 1},
		{0x113d2, 0x113d2, 1},
		{0x113e1, 0x113e2, 1},
		{0x11f5a, 0x11f5a, 1},
		{0x1611e, 0x1612f, 1},
		{0x1e5ee, 0x1e5ef, 1},
	},
}}

// at returns the class and the length of the character at byte i of text, which is inside it.
func (c *classTable) at(text string, i int) (class, int) {
	look(1)
	if b := text[i]; b < utf8.RuneSelf {
		return c.basic[b], 1
	}
	r, n := utf8.DecodeRuneInString(text[i:])
	return c.class(r), n
}

// class returns the class of a character.
func (c *classTable) class(r rune) class {
	switch {
	case r < 1<<16:
		return c.basic[r]
	case unicode.In(r, c.letters...):
		return letter
	case unicode.In(r, numbers...):
		return number
	}
	return other // no White_Space above the basic plane
}

// run returns the end of the run of characters of class k that begins at i.
func (c *classTable) run(text string, i int, k class) int {
	for i < len(text) {
		if b := text[i]; b < utf8.RuneSelf { // most of most texts, and quickly told
			look(1)
			if c.basic[b] != k {
				break
			}
			i++
			continue
		}
		got, n := c.at(text, i)
		if got != k {
			break
		}
		i += n
	}
	return i
}

// runUpTo returns the end of the run at i of at most most characters of class k.
func (c *classTable) runUpTo(text string, i int, k class, most int) int {
	for range most {
		if i == len(text) {
			break
		}
		got, n := c.at(text, i)
		if got != k {
			break
		}
		i += n
	}
	return i
}

// spaces returns the end of the run of whitespace at i and where its last character begins.
func (c *classTable) spaces(text string, i int) (end, last int) {
	end, last = i, i
	for end < len(text) {
		got, n := c.at(text, end)
		if got != space {
			break
		}
		last = end
		end += n
	}
	return end, last
}
