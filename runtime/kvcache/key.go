package kvcache

import (
	"crypto/sha256"
	"encoding/binary"
	"math"

	"github.com/weft-run/weft/kernels"
)

// Key names what a full page holds: the tokens of the page and of all pages before it, and everything else that decides
// their keys and values. Pages of equal Key hold equal bits (docs/numerics.md), so one may stand for the other. It is a
// sha256, because whoever could make two token lists collide would read another's conversation.
type Key [sha256.Size]byte

// Identity is what decides the bits of a cache beside its tokens, and who may share them.
type Identity struct {
	Base       string // the loaded generation, in memory; the content digest, on disk
	Numerics   int    // the version of docs/numerics.md
	Type       kernels.CacheType
	PageTokens int
	// Domain separates callers who must not learn of each other: pages are never shared between two domains, so that the
	// time an answer takes tells nothing of another domain's prompts.
	Domain   string
	Adapters []AdapterUse // in the order of application
}

// AdapterUse is one adapter of a sequence.
type AdapterUse struct {
	Digest string
	Scale  float32
}

// Root is the Key before the first page. All fields are length-prefixed, so that no two identities have one encoding.
func (id *Identity) Root() Key {
	text := func(b []byte, s string) []byte {
		return append(binary.LittleEndian.AppendUint64(b, uint64(len(s))), s...)
	}
	number := func(b []byte, n int) []byte { return binary.LittleEndian.AppendUint64(b, uint64(n)) }
	b := text(nil, "weft kv 1")
	b = text(b, id.Base)
	b = number(b, id.Numerics)
	b = number(b, int(id.Type))
	b = number(b, id.PageTokens)
	b = text(b, id.Domain)
	b = number(b, len(id.Adapters))
	for _, a := range id.Adapters {
		b = text(b, a.Digest)
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(a.Scale))
	}
	return sha256.Sum256(b)
}

// Turn is the Key from which a chain goes on where what decides keys and values changes inside it: at position from, which is in the
// page to come, an adapter that is activated by tokens of the prompt begins. to is the Root of the identity from there on.
func (k Key) Turn(from int, to Key) Key {
	b := append([]byte("weft kv turn"), k[:]...)
	b = binary.LittleEndian.AppendUint64(b, uint64(from))
	return sha256.Sum256(append(b, to[:]...))
}

// Next is the Key of the page behind the one of k, which holds these tokens: a whole page of them.
func (k Key) Next(tokens []int32) Key {
	var buf [sha256.Size + 4*MaxPageTokens]byte
	b := append(buf[:0], k[:]...)
	for _, t := range tokens {
		b = binary.LittleEndian.AppendUint32(b, uint32(t))
	}
	return sha256.Sum256(b)
}
