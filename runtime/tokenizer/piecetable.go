package tokenizer

import (
	"hash/maphash"
	"math/bits"
)

// pieceTable finds a token by its bytes: a hash table with open addressing that holds ids alone, a third of what a map of strings takes
// and nothing that the collector must look at. The seed is random, so that no file can be made to have all of its pieces in one place.
type pieceTable struct {
	v       *vocab // has the bytes
	seed    maphash.Seed
	shift   int // of a hash to a place
	entries []pieceSlot
}

type pieceSlot struct {
	check uint32 // bits of the hash that chose no place
	id    int32  // plus 1; 0: free
}

func newPieceTable(v *vocab) pieceTable {
	size := bits.Len(uint(2 * len(v.texts)))
	return pieceTable{v, maphash.MakeSeed(), 64 - size, make([]pieceSlot, 1<<size)}
}

// slot returns the slot of a piece, or the free one where it would be.
func (p *pieceTable) slot(piece string) (s *pieceSlot, check uint32) {
	hash := maphash.String(p.seed, piece)
	mask := uint64(len(p.entries) - 1)
	check = uint32(hash)
	for i := hash >> p.shift; ; i = (i + 1) & mask {
		s := &p.entries[i]
		if s.id == 0 || s.check == check && p.v.piece(s.id-1) == piece {
			return s, check
		}
	}
}

// find returns the token of these bytes.
func (p *pieceTable) find(piece string) (id int32, ok bool) {
	s, _ := p.slot(piece)
	return s.id - 1, s.id != 0
}

// add enters a token; of two of the same bytes the first stays.
func (p *pieceTable) add(id int32) (added bool) {
	s, check := p.slot(p.v.piece(id))
	if s.id != 0 {
		return false
	}
	*s = pieceSlot{check, id + 1}
	return true
}
