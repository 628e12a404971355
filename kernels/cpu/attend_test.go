package cpu

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/kernels/kerneltest"
	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/kernels/ref"
)

// history is a sequence as attention sees it.
type history struct {
	heads, kvHeads, dim, n int
	q, k, v                []float32 // [n, heads*dim], [n, kvHeads*dim] twice
}

func newHistory(heads, kvHeads, dim, n int) history {
	r := kerneltest.Rand()
	return history{
		heads: heads, kvHeads: kvHeads, dim: dim, n: n,
		q: kerneltest.Floats(r, kerneltest.Normal, n*heads*dim),
		k: kerneltest.Floats(r, kerneltest.Normal, n*kvHeads*dim),
		v: kerneltest.Floats(r, kerneltest.Normal, n*kvHeads*dim),
	}
}

// want computes all rows by the definition.
func (h history) want(c kernels.CacheType, how kernels.Attention) []float32 {
	round := func(s []float32, head int) []float32 {
		out := make([]float32, 0, h.n*h.dim)
		for i := range h.n {
			out = append(out, rounded(c, s[(i*h.kvHeads+head)*h.dim:(i*h.kvHeads+head+1)*h.dim])...)
		}
		return out
	}
	want := make([]float32, len(h.q))
	for head := range h.heads {
		kv := head * h.kvHeads / h.heads
		keys, values := round(h.k, kv), round(h.v, kv)
		for i := range h.n {
			at := (i*h.heads + head) * h.dim
			ref.Attend(want[at:at+h.dim], h.q[at:at+h.dim], keys[:(i+1)*h.dim], values[:(i+1)*h.dim], how.Scale, how.Window, how.SoftCap)
		}
	}
	return want
}

// rounded returns what a cache of a type makes of a key or value.
func rounded(c kernels.CacheType, s []float32) []float32 {
	t, out := c.Encoding(), make([]float32, len(s))
	encoded := make([]byte, t.RowBytes(len(s)))
	quant.Encode(t, encoded, s)
	quant.Decode(t, out, encoded)
	return out
}

// run feeds the sequence in chunks through a cache with pages in random order and returns all outputs.
func (h history) run(t *testing.T, b kernels.Backend, layout kernels.CacheLayout, chunk int, how kernels.Attention) []float32 {
	t.Helper()
	c, err := b.NewCache(layout)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Free()
	pages := make([]int32, 0, layout.Pages)
	for _, p := range rand.New(rand.NewPCG(1, uint64(chunk))).Perm(layout.Pages) {
		pages = append(pages, int32(p))
	}
	var got []float32
	for first := 0; first < h.n; first += chunk {
		count := min(chunk, h.n-first)
		slots := make([]int32, count)
		for i := range slots {
			p := first + i
			slots[i] = pages[p/layout.PageTokens]*int32(layout.PageTokens) + int32(p%layout.PageTokens)
		}
		rows := func(s []float32, cols int) kernels.Matrix {
			return matrix(b, s[first*cols:(first+count)*cols], count, 0)
		}
		layer := layout.Layers - 1
		b.StoreKV(c, layer, rows(h.k, h.kvHeads*h.dim), rows(h.v, h.kvHeads*h.dim), slots)
		q := rows(h.q, h.heads*h.dim)
		dst := matrix(b, make([]float32, count*q.Cols), count, 0)
		b.Attend(dst, q, c, layer, []kernels.Span{{Count: count, Pos: first, Pages: pages}}, how)
		if err := b.Sync(); err != nil {
			t.Fatal(err)
		}
		got = append(got, read(b, dst)...)
	}
	return got
}

// Chunks, page sizes, cache types, levels and threads: the bits of the definition.
func TestAttendIsTheDefinition(t *testing.T) {
	how := kernels.Attention{Scale: 0.25}
	histories := []history{newHistory(8, 4, 8, 70), newHistory(3, 3, 12, 65)}
	if !testing.Short() {
		histories = append(histories, newHistory(2, 1, 32, 67), newHistory(6, 2, 64, 135), newHistory(4, 1, 128, 40))
	}
	for _, h := range histories {
		for _, typ := range kernels.CacheTypes() {
			if !typ.Fits(h.dim) {
				continue
			}
			want, chunks := h.want(typ, how), []int{1, 7, 64, h.n}
			if typ.Encoding().Info().BlockLen > 1 {
				chunks = []int{2, h.n}
			}
			devices(t, func(t *testing.T, d *Device) {
				b := open(t, d)
				for _, tokens := range []int{16, 32, 64} {
					layout := kernels.CacheLayout{
						Layers: 2, KVHeads: h.kvHeads, HeadDim: h.dim, PageTokens: tokens,
						Pages: (h.n+tokens-1)/tokens + 2, Type: typ,
					}
					for _, chunk := range chunks {
						what := fmt.Sprintf("%s: %d heads of %d, pages of %d, chunks of %d", typ, h.heads, h.dim, tokens, chunk)
						kerneltest.Equal(t, what, h.run(t, b, layout, chunk, how), want)
					}
				}
			})
		}
	}
}

// Sequences of one batch do not touch each other.
func TestAttendSeveralSpans(t *testing.T) {
	const tokens = 16
	how := kernels.Attention{Scale: 0.3}
	h := newHistory(4, 2, 16, 50)
	want := h.want(kernels.CacheF16, how)
	devices(t, func(t *testing.T, d *Device) {
		b := open(t, d)
		layout := kernels.CacheLayout{Layers: 1, KVHeads: 2, HeadDim: 16, PageTokens: tokens, Pages: 9}
		c, err := b.NewCache(layout)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Free()
		// The same sequence twice: once whole in pages 0-3, once from position 30 on in pages 4-7.
		slots := make([]int32, h.n)
		for half := range 2 {
			for i := range slots {
				slots[i] = int32(half*64 + i)
			}
			b.StoreKV(c, 0, matrix(b, h.k, h.n, 0), matrix(b, h.v, h.n, 0), slots)
		}
		const from = 30
		q := append(append([]float32(nil), h.q[from*64:]...), h.q...)
		rows := h.n - from + h.n
		dst := matrix(b, make([]float32, rows*64), rows, 0)
		b.Attend(dst, matrix(b, q, rows, 0), c, 0, []kernels.Span{
			{First: 0, Count: h.n - from, Pos: from, Pages: []int32{4, 5, 6, 7}},
			{First: h.n - from, Count: h.n, Pages: []int32{0, 1, 2, 3}},
		}, how)
		if err := b.Sync(); err != nil {
			t.Fatal(err)
		}
		got := read(b, dst)
		kerneltest.Equal(t, "first span", got[:(h.n-from)*64], want[from*64:])
		kerneltest.Equal(t, "second span", got[(h.n-from)*64:], want)
	})
}

// A context of several stretches, by threads that share them and by one that does not.
func TestAttendLongContext(t *testing.T) {
	how := kernels.Attention{Scale: 0.2}
	if testing.Short() {
		t.Skip("over a second on the reference")
	}
	h := newHistory(4, 2, 16, 2*ref.Stretch+77)
	want := h.want(kernels.CacheF16, how)
	devices(t, func(t *testing.T, d *Device) {
		b := open(t, d)
		layout := kernels.CacheLayout{Layers: 1, KVHeads: 2, HeadDim: 16, PageTokens: 64, Pages: 18}
		kerneltest.Equal(t, "in one piece", h.run(t, b, layout, h.n, how), want)
		kerneltest.Equal(t, "in chunks", h.run(t, b, layout, 500, how), want)
		kerneltest.Equal(t, "in small chunks", h.run(t, b, layout, 1, how), want)
	})
}

// The law of quantized caches: attention has the bits that it has on an f32 cache which holds what decoding gives. Values
// of all magnitudes, infinities and NaN take part.
func TestAttendOnAQuantizedCacheIsAttendOnWhatItDecodesTo(t *testing.T) {
	for i, k := range kerneltest.Kinds() {
		how := kernels.Attention{Scale: 0.125, Window: 70 - 20*i, SoftCap: float32(i%2) * 30}
		h := newHistory(3, 1, 32*(i+1), 90)
		r := kerneltest.Rand()
		h.k, h.v = kerneltest.Floats(r, k, len(h.k)), kerneltest.Floats(r, k, len(h.v))
		for _, typ := range []kernels.CacheType{kernels.CacheQ8_0, kernels.CacheQ4_0} {
			decoded := h
			decoded.k, decoded.v = rounded(typ, h.k), rounded(typ, h.v)
			var want []float32
			devices(t, func(t *testing.T, d *Device) {
				b := open(t, d)
				layout := kernels.CacheLayout{Layers: 2, KVHeads: h.kvHeads, HeadDim: h.dim, PageTokens: 32, Pages: 5, Type: kernels.CacheF32}
				if want == nil {
					want = decoded.run(t, b, layout, h.n, how)
				}
				for _, tokens := range []int{16, 32, 64} {
					layout.Type, layout.PageTokens, layout.Pages = typ, tokens, h.n/tokens+2
					for _, chunk := range []int{2, 41} { // met where it lies; as float32
						what := fmt.Sprintf("%s, pages of %d, chunks of %d, %s values", typ, tokens, chunk, k)
						kerneltest.Equal(t, what, h.run(t, b, layout, chunk, how), want)
					}
				}
			})
		}
	}
}

func TestNewCacheRefusesWhatCannotBe(t *testing.T) {
	d, err := NewDevice(Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	b := open(t, d)
	for _, tokens := range []int{0, 8, 24, 128} {
		if _, err := b.NewCache(kernels.CacheLayout{Layers: 1, KVHeads: 1, HeadDim: 8, PageTokens: tokens, Pages: 1}); err == nil {
			t.Errorf("pages of %d tokens were accepted", tokens)
		}
	}
	for _, l := range []kernels.CacheLayout{
		{Layers: 1, KVHeads: 1, HeadDim: 80, PageTokens: 16, Pages: 1, Type: kernels.CacheQ8_0},
		{Layers: 1, KVHeads: 1, HeadDim: 64, PageTokens: 16, Pages: 1, Type: 200},
		{Layers: 1 << 30, KVHeads: 1 << 30, HeadDim: 64, PageTokens: 16, Pages: 4},
	} {
		if _, err := b.NewCache(l); !errors.Is(err, kernels.ErrLayout) {
			t.Errorf("%+v: %v", l, err)
		}
	}
}
