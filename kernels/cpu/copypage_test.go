package cpu

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/kernels/kerneltest"
)

// A page that was read out of one cache and written to another place of another is the same page: attention gives the same bits. It is
// its own bytes only, of every layer.
func TestPagesMoveAsBytes(t *testing.T) {
	for _, typ := range kernels.CacheTypes() {
		devices(t, func(t *testing.T, d *Device) {
			b := open(t, d)
			layout := kernels.CacheLayout{Layers: 3, KVHeads: 2, HeadDim: 32, PageTokens: 16, Pages: 4, Type: typ}
			from, to := filled(t, b, layout), filled(t, b, layout)
			page, other, before := make([]byte, layout.PageBytes()), make([]byte, layout.PageBytes()), make([]byte, layout.PageBytes())
			b.ReadPage(page, from, 1)
			b.ReadPage(before, to, 3)
			b.WritePage(to, 2, page)
			if b.ReadPage(other, to, 2); !bytes.Equal(page, other) {
				t.Errorf("%s: what is read is not what was written", typ)
			}
			if b.ReadPage(other, to, 3); !bytes.Equal(before, other) {
				t.Errorf("%s: writing page 2 changed page 3", typ)
			}
			q := matrix(b, kerneltest.Floats(kerneltest.Rand(), kerneltest.Normal, 4*32), 1, 0)
			for layer := range layout.Layers {
				attend := func(c kernels.Cache, page int32) []float32 {
					dst := matrix(b, make([]float32, q.Cols), 1, 0)
					b.Attend(dst, q, c, layer, []kernels.Span{{Count: 1, Pos: 15, Pages: []int32{page}}}, kernels.Attention{Scale: 0.1})
					return read(b, dst)
				}
				kerneltest.Equal(t, "attention on a moved page", attend(to, 2), attend(from, 1))
			}
			if err := b.Sync(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// filled returns a cache with something in every page.
func filled(t *testing.T, b kernels.Backend, layout kernels.CacheLayout) kernels.Cache {
	t.Helper()
	c, err := b.NewCache(layout)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Free)
	rows := layout.Pages * layout.PageTokens
	slots := make([]int32, rows)
	for i := range slots {
		slots[i] = int32(i)
	}
	for layer := range layout.Layers {
		x := func() kernels.Matrix {
			values := make([]float32, rows*layout.KVHeads*layout.HeadDim)
			for i := range values {
				values[i] = rand.Float32()
			}
			return matrix(b, values, rows, 0)
		}
		b.StoreKV(c, layer, x(), x(), slots)
	}
	if err := b.Sync(); err != nil {
		t.Fatal(err)
	}
	return c
}

// The bytes of a page are in the order that kernels.PageFormat names: the value of layer 1, head 1, token 5, element 3 is where it says.
func TestPageFormat(t *testing.T) {
	d, err := NewDevice(Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	b := open(t, d)
	layout := kernels.CacheLayout{Layers: 2, KVHeads: 2, HeadDim: 4, PageTokens: 16, Pages: 2, Type: kernels.CacheF32}
	c, err := b.NewCache(layout)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Free()
	k, v := make([]float32, 8), make([]float32, 8)
	k[4+3], v[4+3] = 7, 9
	b.StoreKV(c, 1, matrix(b, k, 1, 0), matrix(b, v, 1, 0), []int32{16 + 5})
	page := make([]byte, layout.PageBytes())
	b.ReadPage(page, c, 1)
	element := func(i int) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(page[4*i:])) }
	head := (1*2 + 1) * 2 * 4 * 16
	if key, value := element(head+3*16+5), element(head+4*16+5*4+3); key != 7 || value != 9 {
		t.Errorf("key %g and value %g, want 7 and 9", key, value)
	}
	c.(*cache).swap(page)
	if got := binary.BigEndian.Uint32(page[4*(head+3*16+5):]); math.Float32frombits(got) != 7 {
		t.Errorf("turned around, the key reads %#x", got)
	}
}
