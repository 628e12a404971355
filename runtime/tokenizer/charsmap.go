package tokenizer

import (
	"encoding/binary"
	"strings"
	"unicode/utf8"

	"github.com/weft-run/weft/runtime/gguf"
)

// Limits of a character map. The longest replacement that Unicode's compatibility forms make is 33 bytes of 3; a map from
// anywhere must not turn a short text into a long one without bound, nor make each position look at all of the text behind it.
const (
	maxCharsmapKey         = 64
	maxCharsmapReplacement = 128
)

// charsmap says what SentencePiece's normalizer makes of characters: stretches of text and what stands for each, the
// precompiled_charsmap of a file. The nil map leaves all text as it is.
//
// The stretches are a double array: a node is the place of a unit, its child by a byte is the place offset XOR byte. The low
// eight bits of a unit repeat the byte that leads to it, bit 8 says that a stretch ends here, bits 10 to 30 are the offset of
// its children (times 256 if bit 9 is set). The unit at the offset itself holds the value of a stretch that ends, with bit 31
// set: the place of its replacement, which a zero byte ends.
type charsmap struct {
	units        []uint32
	replacements string
	plain        [utf8.RuneSelf]bool // a character that stays as it is where ASCII follows or the text ends
}

const charsmapValue = 1 << 31

// readCharsmap takes the map from the metadata: nil if there is none.
func readCharsmap(m gguf.Metadata) (*charsmap, error) {
	val, ok := m.Get(keyCharsmap)
	if !ok {
		return nil, nil
	}
	var blob []byte
	switch list := val.Any().(type) {
	case []uint8:
		blob = list
	case []int8:
		blob = make([]byte, len(list))
		for i, b := range list {
			blob[i] = byte(b)
		}
	default:
		return nil, malformed("%s is of kind %s, want an array of bytes", keyCharsmap, val.Kind())
	}
	if len(blob) == 0 {
		return nil, nil
	}
	return newCharsmap(blob)
}

// newCharsmap reads the length of the units in bytes, the units and the replacements.
func newCharsmap(blob []byte) (*charsmap, error) {
	if len(blob) < 4 {
		return nil, malformed("%s has %d bytes, its length alone takes 4", keyCharsmap, len(blob))
	}
	size, rest := uint64(binary.LittleEndian.Uint32(blob)), blob[4:]
	if size == 0 || size%4 != 0 || size > uint64(len(rest)) {
		return nil, malformed("%s says that its table has %d bytes; %d follow, and it is of units of 4", keyCharsmap, size, len(rest))
	}
	c := &charsmap{units: make([]uint32, size/4), replacements: string(rest[size:])}
	if c.replacements != "" && c.replacements[len(c.replacements)-1] != 0 {
		return nil, malformed("%s ends within a replacement", keyCharsmap)
	}
	for at := 0; at < len(c.replacements); {
		n := strings.IndexByte(c.replacements[at:], 0)
		if n > maxCharsmapReplacement {
			return nil, malformed("%s has a replacement of %d bytes at %d, at most %d are allowed", keyCharsmap, n, at, maxCharsmapReplacement)
		}
		at += n + 1
	}
	for i := range c.units {
		u := binary.LittleEndian.Uint32(rest[4*i:])
		if u&charsmapValue != 0 && u&^charsmapValue >= uint32(len(c.replacements)) {
			return nil, malformed("%s: unit %d points at byte %d of %d bytes of replacements", keyCharsmap, i, u&^charsmapValue, len(c.replacements))
		}
		c.units[i] = u
	}
	for b := range c.plain {
		c.plain[b] = c.staysBeforeASCII(byte(b))
	}
	return c, nil
}

func (c *charsmap) staysBeforeASCII(b byte) bool {
	if _, n := c.longest(string(b)); n > 0 {
		return false
	}
	pair := []byte{b, 0}
	for next := range byte(utf8.RuneSelf) {
		pair[1] = next
		if c.walks(pair) {
			return false
		}
	}
	return true
}

// walks says whether some stretch may begin with these bytes.
func (c *charsmap) walks(text []byte) bool {
	node := charsmapOffset(c.units[0])
	for _, b := range text {
		var ok bool
		if node, _, ok = c.step(node, b); !ok {
			return false
		}
	}
	return true
}

func charsmapOffset(unit uint32) uint32 { return (unit &^ charsmapValue) >> 10 << (unit >> 9 & 1 << 3) }

// step goes from a node's offset by a byte to the child's offset.
func (c *charsmap) step(offset uint32, b byte) (next uint32, ends, ok bool) {
	look(1)
	at := offset ^ uint32(b)
	if b == 0 || at >= uint32(len(c.units)) { // the place of the zero byte is the value's
		return 0, false, false
	}
	u := c.units[at]
	if u&(charsmapValue|0xff) != uint32(b) {
		return 0, false, false
	}
	return at ^ charsmapOffset(u), u>>8&1 != 0, true
}

// longest returns the replacement of the longest stretch that text begins with, and the length of that stretch: 0 if there is
// none.
func (c *charsmap) longest(text string) (replacement string, n int) {
	offset := charsmapOffset(c.units[0])
	value := uint32(0)
	for i := 0; i < len(text) && i < maxCharsmapKey; i++ {
		next, ends, ok := c.step(offset, text[i])
		if !ok {
			break
		}
		// A damaged table may say that a stretch ends and have no value there.
		if ends && next < uint32(len(c.units)) && c.units[next]&charsmapValue != 0 {
			value, n = c.units[next]&^charsmapValue, i+1
		}
		offset = next
	}
	if n == 0 {
		return "", 0
	}
	replacement = c.replacements[value:]
	return replacement[:strings.IndexByte(replacement, 0)], n
}

// prefix returns what stands for the beginning of text, which is not empty, and how many bytes of text that is: the
// replacement of the longest stretch, else one character. A byte that begins no character becomes U+FFFD.
func (c *charsmap) prefix(text string) (normal string, n int) {
	if c != nil {
		if normal, n = c.longest(text); n > 0 {
			return normal, n
		}
	}
	if n, whole := charPrefix(text); whole {
		return text[:n], n
	}
	return string(utf8.RuneError), 1
}

// stays says whether the ASCII character that text begins with is certain to be left as it is.
func (c *charsmap) stays(text string) bool {
	b := text[0]
	return b < utf8.RuneSelf && (c == nil || c.plain[b] && (len(text) == 1 || text[1] < utf8.RuneSelf))
}
