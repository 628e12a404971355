package cpu

// mergeRows merges what a round left, for the rows of sequences first to last-1, and divides after the last.
func mergeRows(b *backend, _ *rowOp, _ *scratch, first, last int) {
	t := &b.attend
	dim := t.cache.layout.HeadDim
	for i := first; i < last; i++ {
		span := &t.spans[i]
		for n := range span.Count {
			r := span.First + n
			dst := row(t.dst, r)
			from, to := t.stretches(span, n, n+1)
			for h := range t.group * t.cache.layout.KVHeads {
				at := t.part(r, h)
				out := t.parts[at*dim : (at+1)*dim]
				for part := max(from, t.round); part < min(to, t.round+roundParts); part++ {
					left := at + 1 + part - t.round
					sum := t.parts[left*dim : (left+1)*dim]
					if part == from {
						copy(out, sum)
						t.states[at] = t.states[left]
					} else {
						b.table.merge(out, &t.states[at], sum, &t.states[left])
					}
				}
				if t.round < to && to <= t.round+roundParts {
					b.table.divide(dst[h*dim:(h+1)*dim], out, t.states[at].Sum)
				}
			}
		}
	}
}
