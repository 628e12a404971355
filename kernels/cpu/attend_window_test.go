package cpu

import (
	"fmt"
	"testing"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/kernels/kerneltest"
	"github.com/weft-run/weft/kernels/ref"
)

// Windows whose edges lie on and beside those of pages and tiles, and soft caps: the bits of the definition.
func TestAttendWindowsAndSoftCaps(t *testing.T) {
	for _, h := range []history{newHistory(4, 2, 8, 140), newHistory(2, 2, 16, 70)} {
		all := h.want(kernels.CacheF16, kernels.Attention{Scale: 0.25})
		for _, how := range []kernels.Attention{
			{Scale: 0.25, Window: 1},
			{Scale: 0.25, Window: 15},
			{Scale: 0.25, Window: 16},
			{Scale: 0.25, Window: 63},
			{Scale: 0.25, Window: 64},
			{Scale: 0.25, Window: 65},
			{Scale: 0.25, Window: h.n},
			{Scale: 0.25, SoftCap: 0.5},
			{Scale: 0.25, Window: 33, SoftCap: 30},
		} {
			want := h.want(kernels.CacheF16, how)
			if how.Window >= h.n {
				kerneltest.Equal(t, "a window as long as the context", want, all)
			}
			devices(t, func(t *testing.T, d *Device) {
				b := open(t, d)
				for _, tokens := range []int{16, 64} {
					layout := kernels.CacheLayout{
						Layers: 1, KVHeads: h.kvHeads, HeadDim: h.dim, PageTokens: tokens, Pages: (h.n+tokens-1)/tokens + 1,
					}
					for _, chunk := range []int{1, 5, 50, h.n} {
						what := fmt.Sprintf("%+v, pages of %d, chunks of %d", how, tokens, chunk)
						kerneltest.Equal(t, what, h.run(t, b, layout, chunk, how), want)
					}
				}
			})
		}
	}
}

// Windows over the edges of stretches, in one piece and by stretches that are shared out.
func TestAttendWindowsOverStretches(t *testing.T) {
	if testing.Short() {
		t.Skip("over a second on the reference")
	}
	h := newHistory(2, 1, 8, 2*ref.Stretch+40)
	for _, window := range []int{1, ref.Stretch - 1, ref.Stretch, ref.Stretch + 1, 600, h.n} {
		how := kernels.Attention{Scale: 0.25, Window: window}
		want := h.want(kernels.CacheF16, how)
		devices(t, func(t *testing.T, d *Device) {
			b := open(t, d)
			layout := kernels.CacheLayout{Layers: 1, KVHeads: 1, HeadDim: 8, PageTokens: 64, Pages: 18}
			kerneltest.Equal(t, fmt.Sprintf("window of %d, in one piece", window), h.run(t, b, layout, h.n, how), want)
			kerneltest.Equal(t, fmt.Sprintf("window of %d, in small chunks", window), h.run(t, b, layout, 1, how), want)
		})
	}
}

// More stretches than a round shares out: the same bits as a device of one thread that takes them one by one.
func TestAttendRounds(t *testing.T) {
	const n, dim = (2*roundParts+1)*ref.Stretch + 5, 16
	var want []float32
	for threads := 1; threads <= 3; threads++ {
		for _, kvHeads := range []int{1, 12} { // few heads are split into stretches, many are not; all have the same keys
			got := longAttention(t, threads, kvHeads, dim, n, nil)
			if want == nil {
				want = got
			}
			for h := 0; h < len(got); h += dim {
				kerneltest.Equal(t, fmt.Sprintf("%d threads, %d heads", threads, kvHeads), got[h:h+dim], want)
			}
		}
	}
}

// The memory that attention needs does not grow with the context.
func TestAttendScratchDoesNotGrow(t *testing.T) {
	sizes := func(n int) (size [6]int) {
		longAttention(t, 1, 1, 32, n, func(d *Device, b *backend) {
			s, a := &d.pool.caller.scratch, &b.attend
			size = [6]int{
				cap(s.keys) + cap(s.values) + cap(s.queries) + cap(s.probs), cap(s.sums), cap(s.outputs),
				cap(a.parts), cap(a.states), cap(a.units),
			}
		})
		return size
	}
	short, long := sizes(ref.Stretch), sizes(64*ref.Stretch)
	short[2], long[2] = 0, 0 // only in use where nothing is shared out
	if short != long {
		t.Errorf("contexts of %d and %d take %v and %v elements", ref.Stretch, 64*ref.Stretch, short, long)
	}
}

// longAttention returns the attention of one row at position n-1 whose heads all have the same query and the same
// history, every page of it being one of two. look sees the state afterwards.
func longAttention(t *testing.T, threads, kvHeads, dim, n int, look func(d *Device, b *backend)) []float32 {
	t.Helper()
	d, err := NewDevice(Options{Threads: threads})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	b := open(t, d)
	layout := kernels.CacheLayout{Layers: 1, KVHeads: kvHeads, HeadDim: dim, PageTokens: 64, Pages: 2}
	c, err := b.NewCache(layout)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Free()
	r, same := kerneltest.Rand(), func(s []float32) (all []float32) {
		for ; len(s) > 0; s = s[dim:] {
			for range kvHeads {
				all = append(all, s[:dim]...)
			}
		}
		return all
	}
	slots := make([]int32, 128)
	for i := range slots {
		slots[i] = int32(i)
	}
	k := same(kerneltest.Floats(r, kerneltest.Normal, 128*dim))
	v := same(kerneltest.Floats(r, kerneltest.Normal, 128*dim))
	b.StoreKV(c, 0, matrix(b, k, 128, 0), matrix(b, v, 128, 0), slots)
	pages := make([]int32, (n+63)/64)
	for i := range pages {
		pages[i] = int32(i * i % 3 % 2)
	}
	q := matrix(b, same(kerneltest.Floats(r, kerneltest.Normal, dim)), 1, 0)
	b.Attend(q, q, c, 0, []kernels.Span{{Count: 1, Pos: n - 1, Pages: pages}}, kernels.Attention{Scale: 0.3})
	if err := b.Sync(); err != nil {
		t.Fatal(err)
	}
	if look != nil {
		look(d, b.(*backend))
	}
	return read(b, q)
}
