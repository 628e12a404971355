package cpu

import (
	"fmt"
	"testing"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/kernels/kerneltest"
	"github.com/weft-run/weft/kernels/quant"
)

// stepShape is a model as far as the operations of its steps go.
type stepShape struct {
	name                               string
	layers, width, heads, kvHeads, ffn int
	vocab                              int
	linear, output                     quant.Type
}

// BenchmarkStep runs the operations of whole steps of real models' shapes with random weights, at several depths:
// tokens/s without tokenizer, sampler and scheduler.
func BenchmarkStep(b *testing.B) {
	for _, s := range []stepShape{
		{"smollm2-135m", 30, 576, 9, 3, 1536, 49152, quant.Q4_1, quant.Q8_0},
		{"tinyllama-1.1b", 22, 2048, 32, 4, 5632, 32000, quant.Q4_0, quant.Q8_0},
		{"tinyllama-1.1b-k", 22, 2048, 32, 4, 5632, 32000, quant.Q4_K, quant.Q6_K},
	} {
		for _, run := range []struct{ rows, depth int }{{1, 0}, {1, 4096}, {8, 0}, {512, 0}} {
			b.Run(fmt.Sprintf("%s/rows=%d/depth=%d", s.name, run.rows, run.depth), func(b *testing.B) {
				benchmarkStep(b, s, run.rows, run.depth)
			})
		}
	}
}

func benchmarkStep(b *testing.B, s stepShape, rows, depth int) {
	d, err := NewDevice(Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	backend := d.Open()
	defer backend.Close()
	dim := s.width / s.heads
	layout := kernels.CacheLayout{Layers: s.layers, KVHeads: s.kvHeads, HeadDim: dim, PageTokens: 16, Pages: (depth+rows)/16 + 1}
	cache, err := backend.NewCache(layout)
	if err != nil {
		b.Fatal(err)
	}
	defer cache.Free()
	buffer := func(rows, cols int) kernels.Matrix {
		return kernels.NewMatrix(backend.NewBuffer(rows*cols), rows, cols)
	}
	x, n, q, k, v := buffer(rows, s.width), buffer(rows, s.width), buffer(rows, s.width), buffer(rows, dim*s.kvHeads), buffer(rows, dim*s.kvHeads)
	gate, up, angles, logits := buffer(rows, s.ffn), buffer(rows, s.ffn), buffer(rows, dim), buffer(1, s.vocab)
	backend.Write(x, kerneltest.Floats(kerneltest.Rand(), kerneltest.Normal, rows*s.width))
	type layer struct{ qkv, o, mlp, down []kernels.Projection }
	layers := make([]layer, s.layers)
	for i := range layers {
		p := func(dst kernels.Matrix, cols int) kernels.Projection {
			return kernels.Projection{Dst: dst, W: tensor(s.linear, dst.Cols, cols)}
		}
		layers[i] = layer{
			qkv:  []kernels.Projection{p(q, s.width), p(k, s.width), p(v, s.width)},
			o:    []kernels.Projection{p(n, s.width)},
			mlp:  []kernels.Projection{p(gate, s.width), p(up, s.width)},
			down: []kernels.Projection{p(n, s.ffn)},
		}
	}
	norm := tensor(quant.F32, 1, s.width)
	out := []kernels.Projection{{Dst: logits, W: tensor(s.output, s.vocab, s.width)}}
	slots, pages, freqs := make([]int32, rows), make([]int32, layout.Pages), make([]float64, dim/2)
	for i := range pages {
		pages[i] = int32(i)
	}
	for i := range slots {
		slots[i] = int32(depth + i)
	}
	fill(backend, cache, layout)
	spans := []kernels.Span{{Count: rows, Pos: depth, Pages: pages}}
	if depth == 0 && rows < 16 { // a batch of sequences
		spans = spans[:0]
		for i := range rows {
			spans = append(spans, kernels.Span{First: i, Count: 1, Pages: pages})
		}
	}
	for b.Loop() {
		backend.RotaryAngles(angles, slots, freqs, 1)
		for i := range layers {
			l := &layers[i]
			backend.RMSNorm(n, x, norm, 1e-5)
			backend.Project(n, l.qkv)
			backend.Rotate(q, angles, dim, kernels.PairAdjacent)
			backend.Rotate(k, angles, dim, kernels.PairAdjacent)
			backend.StoreKV(cache, i, k, v, slots)
			backend.Attend(n, q, cache, i, spans, kernels.Attention{Scale: 0.125})
			backend.Project(n, l.o)
			backend.Add(x, n)
			backend.RMSNorm(n, x, norm, 1e-5)
			backend.Project(n, l.mlp)
			backend.SiluMul(gate, gate, up)
			backend.Project(gate, l.down)
			backend.Add(x, n)
		}
		backend.Project(n.Head(1), out)
		if err := backend.Sync(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*float64(rows)/b.Elapsed().Seconds(), "tokens/s")
}

// fill writes every page, or reading them would only read the one page of zeros that untouched memory is.
func fill(b kernels.Backend, c kernels.Cache, l kernels.CacheLayout) {
	const rows = 16
	values := kerneltest.Floats(kerneltest.Rand(), kerneltest.Normal, rows*l.KVHeads*l.HeadDim)
	m := kernels.NewMatrix(b.NewBuffer(len(values)), rows, l.KVHeads*l.HeadDim)
	b.Write(m, values)
	slots := make([]int32, rows)
	for layer := range l.Layers {
		for first := 0; first < l.Pages*l.PageTokens; first += rows {
			for i := range slots {
				slots[i] = int32(first + i)
			}
			b.StoreKV(c, layer, m, m, slots)
		}
	}
	_ = b.Sync()
}
