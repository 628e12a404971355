package tokenizer

// shrinks is how many times shorter a text may become before it is encoded, rounded up: NFC makes one byte of three, as a sign for a space does.
const shrinks = 4

// longest returns how many bytes of text one token can stand for, or 0 where there is no bound: a token may take all whitespace beside it, a
// byte may have no token and be left out, words and whitespace of any length may become one token or none.
func (t *Tokenizer) longest() int {
	if t.enc != nil || t.spaceless {
		return 0
	}
	most := t.maxPiece
	for _, id := range t.special.order {
		if t.attrs[id]&(attrLStrip|attrRStrip) != 0 {
			return 0
		}
		most = max(most, len(t.texts[id]))
	}
	symbols := &t.byteIDs
	if t.pairs != nil && !t.plain {
		symbols = &t.byteSyms
	} else if t.unknown >= 0 {
		return shrinks * max(most, 4) // an unknown character
	}
	for _, id := range symbols {
		if !t.valid(id) {
			return 0
		}
	}
	return shrinks * most
}

// AtLeast returns a number of tokens that every text of so many bytes has, special tokens counted; 0 where nothing can be said. What is far too
// long is told by it without being encoded.
func (t *Tokenizer) AtLeast(bytes int) int {
	if t.mostBytes == 0 {
		return 0
	}
	return bytes / t.mostBytes
}
