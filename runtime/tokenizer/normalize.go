package tokenizer

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// normalize appends what SentencePiece's normalizer makes of a text.
func (u *unigram) normalize(dst []byte, text string) []byte {
	if u.mergeSpaces {
		for text != "" {
			normal, n := u.charsmap.prefix(text)
			if normal != " " {
				break
			}
			text = text[n:]
		}
	}
	if text == "" {
		return dst
	}
	if u.spacePrefix {
		dst = append(dst, ' ')
	}
	afterSpace := u.mergeSpaces // and spaces that follow go
	for text != "" {
		if n := u.plainRun(text); n > 0 {
			dst = append(dst, text[:n]...)
			text, afterSpace = text[n:], false
			continue
		}
		normal, n := u.charsmap.prefix(text)
		text = text[n:]
		if afterSpace {
			normal = strings.TrimLeft(normal, " ")
		}
		if normal == "" {
			continue
		}
		afterSpace = u.mergeSpaces && normal[len(normal)-1] == ' '
		if strings.Contains(normal, spmSpace) {
			normal = strings.ReplaceAll(normal, spmSpace, " ")
		}
		dst = append(dst, normal...)
	}
	if u.mergeSpaces {
		dst = bytes.TrimRight(dst, " ")
	}
	return dst
}

// plainRun returns how many characters text begins with that are no space and certain to stay as they are.
func (u *unigram) plainRun(text string) int {
	n := 0
	for n < len(text) && u.plain[text[n]] {
		n++
	}
	look(n)
	if n > 0 && n < len(text) && text[n] >= utf8.RuneSelf {
		n-- // a mark may follow
	}
	return n
}
