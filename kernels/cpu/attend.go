package cpu

import (
	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/kernels/ref"
)

// unitQueries is about how many queries, rows times heads of a group, share one reading of keys and values.
const unitQueries = 64

// attendTask is one Attend, cut into units. A unit takes all positions of some queries, stretch after stretch; when there are
// too few such units for the threads and the context is long, a unit takes one stretch, leaves its sums in parts, and a
// second pass merges them. Both ways merge in the same order.
type attendTask struct {
	b     *backend
	dst   kernels.Matrix
	q     kernels.Matrix
	cache *cache
	layer int
	spans []kernels.Span
	scale float32
	units []unit

	group  int // query heads that share a key/value head
	split  bool
	most   int       // stretches in the longest sequence
	parts  []float32 // [rows][heads][most][HeadDim]
	states []ref.Softmax
}

// unit is consecutive rows of one sequence with the query heads of one key/value head.
type unit struct {
	span        int // of attendTask.spans
	first, rows int // rows within it
	head        int // key/value head
	part        int // the stretch to take, when split
}

func (b *backend) Attend(dst, q kernels.Matrix, kv kernels.Cache, layer int, spans []kernels.Span, scale float32) {
	c := kv.(*cache)
	if kernels.Invariants {
		kernels.CheckAttend(dst, q, c.layout, layer, spans)
	}
	b.begin()
	t := &b.attend
	t.dst, t.q, t.cache, t.layer, t.spans, t.scale = dst, q, c, layer, spans, scale
	t.group = q.Cols / (c.layout.HeadDim * c.layout.KVHeads)
	t.cut()
	if len(t.units) > 0 {
		b.device.pool.dispatch(t, len(t.units))
	}
	if t.split {
		b.rows = rowTask{}
		b.eachRow(b.operation.merge, len(t.spans), chunkWork)
	}
	t.cache, t.spans = nil, nil
	t.dst, t.q = kernels.Matrix{}, kernels.Matrix{}
}

// partsOf returns how many stretches the last of the first n rows of s sees.
func partsOf(s *kernels.Span, n int) int {
	return (s.Pos + n + ref.Stretch - 1) / ref.Stretch
}

// cut lists the units, those that see the most positions first.
func (t *attendTask) cut() {
	per := max(1, unitQueries/t.group)
	kvHeads, threads := t.cache.layout.KVHeads, t.b.device.threads
	t.units, t.most = t.units[:0], 0
	rows := 0
	for i := range t.spans {
		s := &t.spans[i]
		rows += s.Count
		t.most = max(t.most, partsOf(s, s.Count))
	}
	t.split = t.most > 1 && rows*kvHeads < 4*threads
	if t.split {
		per = 1
		n := t.q.Rows * t.group * kvHeads * t.most
		t.states, t.parts = grow(t.states, n), grow(t.parts, n*t.cache.layout.HeadDim)
	}
	for i := range t.spans {
		s := &t.spans[i]
		for first := (s.Count - 1) / per * per; first >= 0 && s.Count > 0; first -= per {
			u := unit{span: i, first: first, rows: min(per, s.Count-first)}
			parts := 1
			if t.split {
				parts = partsOf(s, first+1)
			}
			for u.part = range parts {
				for u.head = range kvHeads {
					t.units = append(t.units, u)
				}
			}
		}
	}
}

func (t *attendTask) tensorAt(uintptr) (string, bool) { return "", false }

// query returns the row of the batch and the first column of query i of a unit: row by row, head by head.
func (t *attendTask) query(u *unit, i int) (r, column int) {
	return t.spans[u.span].First + u.first + i/t.group, (u.head*t.group + i%t.group) * t.cache.layout.HeadDim
}

// run computes one unit.
func (t *attendTask) run(s *scratch, chunk int) {
	u := &t.units[chunk]
	dim, queries := t.cache.layout.HeadDim, u.rows*t.group
	s.keys, s.values = grow(s.keys, dim*ref.Tile), grow(s.values, dim*ref.Tile)
	s.states, s.sums = grow(s.states, queries), grow(s.sums, queries*dim)
	if t.split {
		t.stretch(s, u, u.part)
		for i := range queries {
			r, column := t.query(u, i)
			at := t.part(r, column/dim, u.part)
			t.states[at] = s.states[i]
			copy(t.parts[at*dim:(at+1)*dim], s.sums[i*dim:(i+1)*dim])
		}
		return
	}
	s.totals, s.outputs = grow(s.totals, queries), grow(s.outputs, queries*dim)
	for part := range partsOf(&t.spans[u.span], u.first+u.rows) {
		t.stretch(s, u, part)
		for i := range queries {
			sum, out := s.sums[i*dim:(i+1)*dim], s.outputs[i*dim:(i+1)*dim]
			switch {
			case part == 0:
				copy(out, sum)
				s.totals[i] = s.states[i]
			case t.position(u, i) >= part*ref.Stretch:
				s.totals[i] = ref.Merge(out, s.totals[i], sum, s.states[i])
			}
		}
	}
	for i := range queries {
		r, column := t.query(u, i)
		divide(row(t.dst, r)[column:column+dim], s.outputs[i*dim:(i+1)*dim], s.totals[i].Sum)
	}
}

// position returns the absolute position of query i of a unit.
func (t *attendTask) position(u *unit, i int) int {
	return t.spans[u.span].Pos + u.first + i/t.group
}

// part returns the index of what a query head of a row left for one stretch.
func (t *attendTask) part(r, head, part int) int {
	heads := t.group * t.cache.layout.KVHeads
	return (r*heads+head)*t.most + part
}

// stretch computes the sums of a unit's queries over one stretch, tile by tile, as ref.Attend does.
func (t *attendTask) stretch(s *scratch, u *unit, part int) {
	dim, queries, table := t.cache.layout.HeadDim, u.rows*t.group, t.b.table
	for i := range queries {
		s.states[i] = ref.Empty
	}
	clear(s.sums)
	sequence := &t.spans[u.span]
	end := min((part+1)*ref.Stretch, sequence.Pos+u.first+u.rows)
	for first := part * ref.Stretch; first < end; first += ref.Tile {
		t.cache.tile(s, table, t.layer, u.head, sequence.Pages, first, min(ref.Tile, end-first))
		t.cache.expect(table, t.layer, u.head, sequence.Pages, first+ref.Tile, min(ref.Tile, end-first-ref.Tile))
		for i := range queries {
			valid := min(ref.Tile, t.position(u, i)+1-first)
			if valid <= 0 {
				continue
			}
			r, column := t.query(u, i)
			state := &s.states[i]
			table.scores(&s.probs, row(t.q, r)[column:column+dim], s.keys, t.scale)
			m, correction, sum := table.weights(&s.probs, valid, state.Max)
			*state = ref.Softmax{Max: m, Sum: float32(state.Sum*correction) + sum}
			table.mix(s.sums[i*dim:(i+1)*dim], &s.probs, s.values, valid, correction)
		}
	}
}

// mergeRows merges what split units left, for the rows of sequences first to last-1.
func (b *backend) mergeRows(_ *scratch, first, last int) {
	t := &b.attend
	dim := t.cache.layout.HeadDim
	for i := first; i < last; i++ {
		sequence := &t.spans[i]
		for n := range sequence.Count {
			r := sequence.First + n
			dst := row(t.dst, r)
			for h := range t.group * t.cache.layout.KVHeads {
				at := t.part(r, h, 0)
				out, total := t.parts[at*dim:(at+1)*dim], t.states[at]
				for part := 1; part < partsOf(sequence, n+1); part++ {
					total = ref.Merge(out, total, t.parts[(at+part)*dim:(at+part+1)*dim], t.states[at+part])
				}
				divide(dst[h*dim:(h+1)*dim], out, total.Sum)
			}
		}
	}
}

// divide sets dst to x divided by l.
func divide(dst, x []float32, l float32) {
	for d, v := range x {
		dst[d] = v / l
	}
}
