package cpu

import "github.com/weft-run/weft/kernels/ref"

// inPlace is scores and mix that meet a cache of a type where it lies. They serve heads whose size is a multiple of dims, where
// up to most queries share a tile, and with alike any number of them that see the same positions of it. Where many see
// different ones and meet it apart, converting it once costs less. They ask for the memory of the next tile on their way, line by
// line. room is for a tile of float32, in which some leave what they convert.
type inPlace struct {
	dims, most int
	alike      bool
	scores     func(dst, q []float32, t, next *ref.PagedTile, room []float32, dim int, scale float32)
	mix        func(acc, p []float32, t, next *ref.PagedTile, room []float32, dim, first, last int, corrections []float32)
}

// inPlace says whether a unit meets tiles where they lie, without float32 between.
func (t *attendTask) inPlace(u *unit) bool {
	p := t.cache.inPlace
	return p != nil && (p.alike || u.rows*t.group <= p.most)
}

// direct says whether such a unit meets the tile that begins at first so.
func (t *attendTask) direct(u *unit, first int) bool {
	if u.rows*t.group <= t.cache.inPlace.most {
		return true
	}
	from, to := t.seen(u, 0, first)
	lastFrom, lastTo := t.seen(u, u.rows-1, first)
	return from == lastFrom && to == lastTo // and so does each row between
}

// stretchInPlace adds the tiles of a stretch, from first to end, to the sums of a unit's queries.
func (t *attendTask) stretchInPlace(s *scratch, chunk, part, first, end int) {
	u, here := &t.units[chunk], &s.pagedTiles[0]
	for t.place(here, u, first, end); first < end; first += ref.Tile {
		next := &s.pagedTiles[1]
		*next = *here
		if first+ref.Tile < end {
			t.place(next, u, first+ref.Tile, end)
		} else {
			t.placeAfter(next, chunk, part)
		}
		s.direct = t.direct(u, first)
		if !s.direct {
			t.cache.tile(s, t.b.table, t.layer, u.head, t.spans[u.span].Pages, first, min(ref.Tile, end-first))
		}
		t.tile(s, u, first)
		*here = *next
	}
}

// placeAfter finds the tile after the last of a stretch: that of the unit's next stretch, or of the next unit, which the
// same thread takes as a rule. Where there is none it leaves h.
func (t *attendTask) placeAfter(h *ref.PagedTile, chunk, part int) {
	u := &t.units[chunk]
	if first, end := t.tiles(u, part+1); !t.split && first < end {
		t.place(h, u, first, end)
	} else if chunk+1 < len(t.units) {
		u = &t.units[chunk+1]
		part = u.part
		if !t.split {
			part, _ = t.stretches(&t.spans[u.span], u.first, u.first+1)
		}
		first, end = t.tiles(u, part)
		t.place(h, u, first, end)
	}
}

// place says where the tile of a unit's keys and values lies that begins at first and of which it sees positions before end.
func (t *attendTask) place(h *ref.PagedTile, u *unit, first, end int) {
	t.cache.paged(h, t.layer, u.head, t.spans[u.span].Pages, first, min(ref.Tile, end-first))
}

// paged says where the quarters of the tile that tile would read lie. A quarter that the sequence has no page for is
// that of its last page: nothing of it is seen.
func (c *cache) paged(h *ref.PagedTile, layer, head int, pages []int32, first, n int) {
	tokens := c.layout.PageTokens
	h.Tokens = tokens
	for i := range h.Keys {
		at := min(i*ref.Quarter, (n-1)/ref.Quarter*ref.Quarter)
		memory := c.page(layer, int(pages[(first+at)/tokens]), head)
		h.Keys[i], h.Values[i], h.At[i] = memory[:len(memory)/2], memory[len(memory)/2:], at%tokens
	}
}
