package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// Decode returns the text of ids, special tokens by their text. A SentencePiece vocabulary that puts a space before a text
// has it taken away again, so that Decode gives back what Encode was given. Ids outside the vocabulary give nothing.
func (t *Tokenizer) Decode(ids []int32) []byte {
	n := 0
	for _, id := range ids {
		if t.valid(id) {
			n += len(t.piece(id))
		}
	}
	out := make([]byte, 0, n)
	for i, id := range ids {
		if !t.valid(id) {
			continue
		}
		piece := t.piece(id)
		if i == 0 && t.spacePrefix && !t.IsSpecial(id) {
			piece = strings.TrimPrefix(piece, " ")
		}
		out = append(out, piece...)
	}
	return out
}

// NewDecoder returns a decoder of ids that come one by one as the continuation of a text. With skipSpecial, tokens that are
// no part of the text (see IsSpecial) give nothing.
func (t *Tokenizer) NewDecoder(skipSpecial bool) *StreamDecoder {
	return &StreamDecoder{t: t, skipSpecial: skipSpecial}
}

// StreamDecoder turns a stream of ids into whole characters: a token may end within one, whose bytes are then held back
// until the next tokens complete it. Bytes that can be no character become U+FFFD, one for each longest stretch that
// might have begun one, as the Unicode standard recommends and Python's errors="replace" does.
type StreamDecoder struct {
	t           *Tokenizer
	skipSpecial bool
	held        []byte // the beginning of a character, at most 3 bytes
}

// Next returns what an id completes, often all of its piece, sometimes nothing.
func (d *StreamDecoder) Next(id int32) string {
	if !d.t.valid(id) || d.skipSpecial && d.t.IsSpecial(id) {
		return ""
	}
	piece := d.t.piece(id)
	if len(d.held) == 0 && utf8.ValidString(piece) {
		return piece
	}
	text, rest := replaceInvalid(append(d.held, piece...), false)
	d.held = append(d.held[:0], rest...)
	return text
}

// Flush returns what is still held back, as U+FFFD, and makes the decoder new.
func (d *StreamDecoder) Flush() string {
	text, _ := replaceInvalid(d.held, true)
	d.held = d.held[:0]
	return text
}

// replaceInvalid returns src with U+FFFD for what is no character. Unless final, an unfinished character at the end is
// returned as rest.
func replaceInvalid(src []byte, final bool) (text string, rest []byte) {
	out := make([]byte, 0, len(src)+3)
	for i := 0; i < len(src); {
		n, whole := charPrefix(src[i:])
		switch {
		case whole:
			out = append(out, src[i:i+n]...)
		case i+n == len(src) && n > 0 && !final:
			return string(out), src[i:]
		default:
			out = utf8.AppendRune(out, utf8.RuneError)
			n = max(n, 1)
		}
		i += n
	}
	return string(out), nil
}

// charPrefix returns how many bytes at the beginning of b are, or could begin, one character (table 3-7 of the Unicode
// standard): 0 if the first byte begins none. whole says that the character is complete.
func charPrefix[T string | []byte](b T) (n int, whole bool) {
	lead := b[0]
	lo, hi := byte(0x80), byte(0xBF) // of the second byte
	var want int
	switch {
	case lead < utf8.RuneSelf:
		return 1, true
	case lead < 0xC2:
		return 0, false
	case lead < 0xE0:
		want = 2
	case lead < 0xF0:
		want = 3
		switch lead {
		case 0xE0:
			lo = 0xA0 // no overlong form
		case 0xED:
			hi = 0x9F // no surrogate
		}
	case lead < 0xF5:
		want = 4
		switch lead {
		case 0xF0:
			lo = 0x90
		case 0xF4:
			hi = 0x8F // nothing above U+10FFFF
		}
	default:
		return 0, false
	}
	for n = 1; n < want; n++ {
		if n == len(b) || b[n] < lo || b[n] > hi {
			return n, false
		}
		lo, hi = 0x80, 0xBF
	}
	return want, true
}
