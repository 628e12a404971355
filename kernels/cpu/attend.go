package cpu

import (
	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/kernels/ref"
)

// unitQueries is about how many queries, rows times heads of a group, share one reading of keys and values.
const unitQueries = 64

// Pages before a tile that kernels.Attention.Sees leaves out may be gone: both packages must mean the same tile.
var _ [ref.Tile]struct{} = [kernels.TileTokens]struct{}{}

// roundParts is how many stretches are shared out at once before they are merged, so that the memory for their sums does
// not grow with the context: 4096 positions, enough for many threads.
const roundParts = 8

// attendTask is one Attend, cut into units. A unit takes all positions of some queries, stretch after stretch; when there are
// too few such units for the threads and the context is long, a unit takes one stretch, leaves its sums in parts, and a
// second pass merges them, round after round. Both ways merge in the same order.
type attendTask struct {
	b     *backend
	dst   kernels.Matrix
	q     kernels.Matrix
	cache *cache
	layer int
	spans []kernels.Span
	how   kernels.Attention
	units []unit

	group  int // query heads that share a key/value head
	split  bool
	round  int       // the first stretch of the round, when split
	parts  []float32 // [rows][heads][1+roundParts][HeadDim]: what is merged yet, then what a round left
	states []ref.Softmax
}

// unit is consecutive rows of one sequence with the query heads of one key/value head.
type unit struct {
	span        int // of attendTask.spans
	first, rows int // rows within it
	head        int // key/value head
	part        int // the stretch to take, when split
}

func (b *backend) Attend(dst, q kernels.Matrix, kv kernels.Cache, layer int, spans []kernels.Span, how kernels.Attention) {
	c := kv.(*cache)
	if kernels.Invariants {
		kernels.CheckAttend(dst, q, c.layout, layer, spans, how)
	}
	b.begin()
	t := &b.attend
	t.dst, t.q, t.cache, t.layer, t.spans, t.how = dst, q, c, layer, spans, how
	t.group = q.Cols / (c.layout.HeadDim * c.layout.KVHeads)
	first, last := t.plan()
	if !t.split {
		t.cut(0, 1)
		t.dispatch()
	}
	for t.round = first; t.split && t.round < last; t.round += roundParts {
		t.cut(t.round, min(t.round+roundParts, last))
		t.dispatch()
		b.eachRow(rowOp{run: mergeRows}, len(t.spans), chunkWork)
	}
	t.cache, t.spans = nil, nil
	t.dst, t.q = kernels.Matrix{}, kernels.Matrix{}
}

func (t *attendTask) dispatch() {
	if len(t.units) > 0 {
		t.b.device.pool.dispatch(t, len(t.units))
	}
}

// stretches returns which stretches rows first to last-1 of s see: from the first's first on, up to the last's last.
func (t *attendTask) stretches(s *kernels.Span, first, last int) (from, to int) {
	return t.from(s.Pos+first) / ref.Stretch, (s.Pos + last + ref.Stretch - 1) / ref.Stretch
}

// from returns the first position that one at pos sees.
func (t *attendTask) from(pos int) int {
	if t.how.Window == 0 {
		return 0
	}
	return max(0, pos+1-t.how.Window)
}

// plan decides whether stretches are shared out, and returns those that are seen by any row then.
func (t *attendTask) plan() (first, last int) {
	l := &t.cache.layout
	rows, most := 0, 0
	first = int(^uint(0) >> 1)
	for i := range t.spans {
		s := &t.spans[i]
		if s.Count == 0 {
			continue
		}
		rows += s.Count
		from, to := t.stretches(s, 0, s.Count)
		first, last, most = min(first, from), max(last, to), max(most, to-from)
	}
	few := rows*l.KVHeads < 4*t.b.device.threads
	t.split = few && most > 1
	if few { // in a short context too, so that memory does not grow with it
		n := t.q.Rows * t.group * l.KVHeads * (1 + roundParts)
		t.states, t.parts = grow(t.states, n), grow(t.parts, n*l.HeadDim)
		if n := rows * l.KVHeads * roundParts; cap(t.units) < n {
			t.units = make([]unit, 0, n)
		}
	}
	return first, last
}

// cut lists the units, those that see the most positions first: when split, those of stretches first to last-1.
func (t *attendTask) cut(first, last int) {
	per, kvHeads := max(1, unitQueries/t.group), t.cache.layout.KVHeads
	if t.split {
		per = 1
	}
	t.units = t.units[:0]
	for i := range t.spans {
		s := &t.spans[i]
		for at := (s.Count - 1) / per * per; at >= 0 && s.Count > 0; at -= per {
			u := unit{span: i, first: at, rows: min(per, s.Count-at)}
			from, to := 0, 1
			if t.split {
				from, to = t.stretches(s, at, at+1)
				from, to = max(from, first), min(to, last)
			}
			for u.part = from; u.part < to; u.part++ {
				for u.head = range kvHeads {
					t.units = append(t.units, u)
				}
			}
		}
	}
}

func (t *attendTask) tensorAt(uintptr) (string, bool) { return "", false }

// queries returns the queries of row n of a unit, [group, HeadDim], as they lie in m.
func (t *attendTask) queries(m kernels.Matrix, u *unit, n int) []float32 {
	wide := t.group * t.cache.layout.HeadDim
	return row(m, t.spans[u.span].First+u.first+n)[u.head*wide : (u.head+1)*wide]
}

// run computes one unit.
func (t *attendTask) run(s *scratch, chunk int) {
	u := &t.units[chunk]
	dim, queries := t.cache.layout.HeadDim, u.rows*t.group
	s.keys, s.values = grow(s.keys, dim*ref.Tile), grow(s.values, dim*ref.Tile)
	s.probs, s.corrections = grow(s.probs, queries*ref.Tile), grow(s.corrections, queries)
	s.states, s.sums, s.queries = grow(s.states, queries), grow(s.sums, queries*dim), grow(s.queries, queries*dim)
	wide := t.group * dim
	for n := range u.rows {
		copy(s.queries[n*wide:], t.queries(t.q, u, n))
	}
	if t.split {
		t.stretch(s, chunk, u.part)
		r := t.spans[u.span].First + u.first
		for i := range queries {
			at := t.part(r, u.head*t.group+i) + 1 + u.part - t.round
			t.states[at] = s.states[i]
			copy(t.parts[at*dim:(at+1)*dim], s.sums[i*dim:(i+1)*dim])
		}
		return
	}
	s.totals, s.outputs = grow(s.totals, queries), grow(s.outputs, queries*dim)
	span := &t.spans[u.span]
	from, to := t.stretches(span, u.first, u.first+u.rows)
	for part := from; part < to; part++ {
		t.stretch(s, chunk, part)
		for i := range queries {
			sum, out := s.sums[i*dim:(i+1)*dim], s.outputs[i*dim:(i+1)*dim]
			own := u.first + i/t.group
			switch first, last := t.stretches(span, own, own+1); {
			case part == first:
				copy(out, sum)
				s.totals[i] = s.states[i]
			case part > first && part < last:
				t.b.table.merge(out, &s.totals[i], sum, &s.states[i])
			}
		}
	}
	for n := range u.rows {
		dst := t.queries(t.dst, u, n)
		for h := range t.group {
			i := n*t.group + h
			t.b.table.divide(dst[h*dim:(h+1)*dim], s.outputs[i*dim:(i+1)*dim], s.totals[i].Sum)
		}
	}
}

// part returns the index of what is merged yet of a query head of a row; what a round left lies behind it.
func (t *attendTask) part(r, head int) int {
	return (r*t.group*t.cache.layout.KVHeads + head) * (1 + roundParts)
}

// stretch computes the sums of a unit's queries over one stretch, tile by tile, as ref.Attend does.
func (t *attendTask) stretch(s *scratch, chunk, part int) {
	for i := range s.states {
		s.states[i] = ref.Empty
	}
	clear(s.sums)
	u := &t.units[chunk]
	first, end := t.tiles(u, part)
	if t.inPlace(u) {
		t.stretchInPlace(s, chunk, part, first, end)
		return
	}
	s.direct = false
	span := &t.spans[u.span]
	for ; first < end; first += ref.Tile {
		t.cache.tile(s, t.b.table, t.layer, u.head, span.Pages, first, min(ref.Tile, end-first))
		s.next, s.nextEnd = first+ref.Tile, min(end, first+2*ref.Tile)
		t.tile(s, u, first)
		for s.next < s.nextEnd {
			t.expect(s, u)
		}
	}
}

// tiles returns where the tiles of a stretch begin that a unit sees something of, and where what it sees ends.
func (t *attendTask) tiles(u *unit, part int) (first, end int) {
	pos := t.spans[u.span].Pos + u.first
	return max(part*ref.Stretch, t.from(pos)/ref.Tile*ref.Tile), min((part+1)*ref.Stretch, pos+u.rows)
}

// seen returns which positions of the tile that begins at first a row of a unit sees: none when to is not above from.
func (t *attendTask) seen(u *unit, n, first int) (from, to int) {
	pos := t.spans[u.span].Pos + u.first + n
	return max(0, t.from(pos)-first), min(ref.Tile, pos+1-first)
}

// tile adds one tile to the sums of a unit's queries: rows that see the same positions of it together.
func (t *attendTask) tile(s *scratch, u *unit, first int) {
	dim, table := t.cache.layout.HeadDim, t.b.table
	for n := 0; n < u.rows; {
		from, to := t.seen(u, n, first)
		last := n + 1
		for ; last < u.rows; last++ {
			if f, l := t.seen(u, last, first); f != from || l != to {
				break
			}
		}
		if from < to {
			a, b := n*t.group, last*t.group
			p, corrections := s.probs[a*ref.Tile:b*ref.Tile], s.corrections[a:b]
			t.expect(s, u)
			if s.direct {
				t.cache.inPlace.scores(p, s.queries[a*dim:b*dim], &s.pagedTiles[0], &s.pagedTiles[1], s.keys, dim, t.how.Scale)
			} else {
				table.scores(p, s.queries[a*dim:b*dim], s.keys, dim, t.how.Scale)
			}
			if t.how.SoftCap != 0 {
				for i := 0; i < len(p); i += ref.Tile {
					ref.SoftCap(p[i+from:i+to], t.how.SoftCap)
				}
			}
			t.expect(s, u)
			table.weights(p, from, to, s.states[a:b], corrections)
			t.expect(s, u)
			if s.direct {
				t.cache.inPlace.mix(s.sums[a*dim:b*dim], p, &s.pagedTiles[0], &s.pagedTiles[1], s.keys, dim, from, to, corrections)
			} else {
				table.mix(s.sums[a*dim:b*dim], p, s.values, dim, from, to, corrections)
			}
		}
		n = last
	}
}

// expect asks for the memory of a page of the next tile. That is done page by page between the steps of a tile:
// in one burst it is slower when the cache comes from memory (kernels/_gen/README.md), presumably as part of it is dropped.
func (t *attendTask) expect(s *scratch, u *unit) {
	if s.next < s.nextEnd {
		tokens := t.cache.layout.PageTokens
		t.b.table.prefetch(t.cache.page(t.layer, int(t.spans[u.span].Pages[s.next/tokens]), u.head))
		s.next += tokens
	}
}
