package tokenizer

// alphabet is GPT-2's way to write any byte as a printable character: the printable ones of Latin-1 stand for themselves,
// the 68 others for U+0100 and up in order.
type alphabet struct {
	runes [256]rune
	bytes [alphabetEnd]int16 // -1: no byte
}

const alphabetEnd = 256 + 68

func newAlphabet() *alphabet {
	a := &alphabet{}
	for i := range a.bytes {
		a.bytes[i] = -1
	}
	next := rune(256)
	for b := range a.runes {
		r := rune(b)
		if b < '!' || b > '~' && b < 0xA1 || b == 0xAD {
			r = next
			next++
		}
		a.runes[b] = r
		a.bytes[r] = int16(b)
	}
	return a
}

func (a *alphabet) byteOf(r rune) (byte, bool) {
	if r < alphabetEnd && a.bytes[r] >= 0 {
		return byte(a.bytes[r]), true
	}
	return 0, false
}

func (a *alphabet) covers(text string) bool {
	for _, r := range text {
		if _, ok := a.byteOf(r); !ok {
			return false
		}
	}
	return true
}

// appendBytes appends the bytes that text stands for. A text with a character outside the alphabet stands for itself, as
// added tokens do.
func (a *alphabet) appendBytes(dst []byte, text string) []byte {
	n := len(dst)
	for _, r := range text {
		b, ok := a.byteOf(r)
		if !ok {
			return append(dst[:n], text...)
		}
		dst = append(dst, b)
	}
	return dst
}
