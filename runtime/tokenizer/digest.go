package tokenizer

import (
	"crypto/sha256"
	"encoding/binary"
)

// Digest names what the ids stand for: two tokenizers of one Digest have the same tokens, texts and kinds, under the same ids.
func (t *Tokenizer) Digest() [sha256.Size]byte {
	h := sha256.New()
	for i, text := range t.texts {
		var head [10]byte
		binary.LittleEndian.PutUint64(head[:], uint64(len(text)))
		binary.LittleEndian.PutUint16(head[8:], uint16(t.attrs[i]))
		h.Write(head[:])
		h.Write([]byte(text))
	}
	return [sha256.Size]byte(h.Sum(nil))
}
