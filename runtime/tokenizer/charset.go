package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// charSet is the characters that a predicate accepts, with a table of those in ASCII, which are most of most texts. A byte that is no
// character belongs to no set.
type charSet struct {
	ascii [utf8.RuneSelf]bool
	is    func(c *classTable, r rune) bool
}

func newCharSet(is func(c *classTable, r rune) bool) *charSet {
	s := &charSet{is: is}
	for b := range s.ascii {
		s.ascii[b] = is(asciiClasses, rune(b))
	}
	return s
}

// size returns the length of the character at byte i of text, which is inside it, or 0 if the set has it not.
func (s *charSet) size(c *classTable, text string, i int) int {
	look(1)
	if b := text[i]; b < utf8.RuneSelf {
		if s.ascii[b] {
			return 1
		}
		return 0
	}
	if r, n := utf8.DecodeRuneInString(text[i:]); n > 1 && s.is(c, r) {
		return n
	}
	return 0
}

// run returns the end of the run of characters of the set that begins at i.
func (s *charSet) run(c *classTable, text string, i int) int {
	for i < len(text) {
		n := s.size(c, text, i)
		if n == 0 {
			break
		}
		i += n
	}
	return i
}

// runOf finds runs of characters that is says belong: [...]+. With spaced, one character of whitespace may stand before: \s?[...]+.
func runOf(is func(c *classTable, r rune) bool, spaced bool) finder {
	set := newCharSet(is)
	if !spaced {
		return finder{beginsWith(is), set.run}
	}
	return finder{beginsWith(is, isSpace), func(c *classTable, text string, i int) int {
		if k, n := c.at(text, i); k == space {
			if end := set.run(c, text, i+n); end > i+n {
				return end
			}
		}
		return set.run(c, text, i)
	}}
}

// upTo finds pieces of a run of at most n characters.
func upTo(n int, is func(c *classTable, r rune) bool) finder {
	set := newCharSet(is)
	return finder{beginsWith(is), func(c *classTable, text string, i int) int {
		for range n {
			if i == len(text) {
				break
			}
			size := set.size(c, text, i)
			if size == 0 {
				break
			}
			i += size
		}
		return i
	}}
}

// anywhere is a finder of matches that may begin with any byte.
func anywhere(find func(c *classTable, text string, i int) int) finder {
	return finder{beginsWith(func(*classTable, rune) bool { return true }), find}
}

// startingWith is a finder of matches that begin with one of these ASCII characters or outside ASCII.
func startingWith(ascii string, find func(c *classTable, text string, i int) int) finder {
	return finder{beginsWith(func(_ *classTable, r rune) bool { return strings.ContainsRune(ascii, r) }), find}
}

// beginsWith says of each byte whether it begins a character that one of the predicates accepts; of those outside ASCII it says so of
// all.
func beginsWith(is ...func(c *classTable, r rune) bool) *[256]bool {
	var t [256]bool
	for b := range t {
		t[b] = b >= utf8.RuneSelf
		for _, is := range is {
			t[b] = t[b] || is(asciiClasses, rune(b))
		}
	}
	return &t
}
