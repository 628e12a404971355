package cpu

import (
	"math"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/kernels/ref"
)

// unitQueries is about how many queries, rows times heads of a group, share one reading of keys and values.
const unitQueries = 64

// attendTask is one Attend, cut into units.
type attendTask struct {
	b     *backend
	dst   kernels.Matrix
	q     kernels.Matrix
	cache *cache
	layer int
	spans []kernels.Span
	scale float32
	units []unit
}

// unit is consecutive rows of one span with the query heads of one key/value head.
type unit struct {
	span  int
	first int // row within the span
	rows  int
	head  int // key/value head
}

// softmax is the running state of one query: the largest score yet and the sum of weights.
type softmax struct {
	m, l float32
}

func (b *backend) Attend(dst, q kernels.Matrix, kv kernels.Cache, layer int, spans []kernels.Span, scale float32) {
	c := kv.(*cache)
	if kernels.Invariants {
		kernels.CheckAttend(dst, q, c.layout, layer, spans)
	}
	b.begin()
	t := &b.attend
	t.dst, t.q, t.cache, t.layer, t.spans, t.scale = dst, q, c, layer, spans, scale
	t.cut()
	if len(t.units) > 0 {
		b.device.pool.dispatch(t, len(t.units))
	}
	t.cache, t.spans = nil, nil
	t.dst, t.q = kernels.Matrix{}, kernels.Matrix{}
}

// cut lists the units, those that see the most positions first.
func (t *attendTask) cut() {
	l := &t.cache.layout
	group := t.q.Cols / (l.HeadDim * l.KVHeads)
	per := max(1, unitQueries/group)
	t.units = t.units[:0]
	for i := range t.spans {
		count := t.spans[i].Count
		for first := (count - 1) / per * per; first >= 0 && count > 0; first -= per {
			for h := range l.KVHeads {
				t.units = append(t.units, unit{span: i, first: first, rows: min(per, count-first), head: h})
			}
		}
	}
}

func (t *attendTask) tensorAt(uintptr) (string, bool) { return "", false }

// run computes one unit tile by tile, as ref.Attend does for each of its queries.
func (t *attendTask) run(s *scratch, chunk int) {
	u, l := t.units[chunk], &t.cache.layout
	span := &t.spans[u.span]
	dim := l.HeadDim
	group := t.q.Cols / (dim * l.KVHeads)
	queries := u.rows * group
	s.keys, s.values = grow(s.keys, dim*ref.Tile), grow(s.values, dim*ref.Tile)
	s.states, s.outputs = grow(s.states, queries), grow(s.outputs, queries*dim)
	for i := range s.states {
		s.states[i] = softmax{m: float32(math.Inf(-1))}
	}
	clear(s.outputs)
	table := t.b.table
	positions := span.Pos + u.first + u.rows // the last row sees this many
	for first := 0; first < positions; first += ref.Tile {
		t.cache.tile(s, table, t.layer, u.head, span.Pages, first, min(ref.Tile, positions-first))
		for i := range queries {
			r := u.first + i/group
			valid := min(ref.Tile, span.Pos+r+1-first)
			if valid <= 0 {
				continue
			}
			at := (u.head*group + i%group) * dim
			q := row(t.q, span.First+r)[at : at+dim]
			state, acc := &s.states[i], s.outputs[i*dim:(i+1)*dim]
			table.scores(&s.probs, q, s.keys, t.scale)
			m, correction, sum := table.weights(&s.probs, valid, state.m)
			state.m, state.l = m, float32(state.l*correction)+sum
			table.mix(acc, &s.probs, s.values, valid, correction)
		}
	}
	for i := range queries {
		at := (u.head*group + i%group) * dim
		dst := row(t.dst, span.First+u.first+i/group)[at : at+dim]
		for d, v := range s.outputs[i*dim : (i+1)*dim] {
			dst[d] = v / s.states[i].l
		}
	}
}
