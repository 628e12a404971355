package cpu

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/kernels/quant"
)

// BenchmarkLowRank computes the products of a layer of the 1.1 B shape with one row and with 8, turn by turn without adapters, with one of rank 16
// for all rows, and with one for each; it says the sum of the least times of each call, as the machine may be in use, and that of their
// fourths. Weights and factors come from memory.
func BenchmarkLowRank(b *testing.B) {
	for _, rows := range []int{1, 8} {
		for _, threads := range []int{1, 2} {
			b.Run(fmt.Sprintf("rows=%d/threads=%d", rows, threads), func(b *testing.B) { benchmarkLowRank(b, rows, threads) })
		}
	}
}

func benchmarkLowRank(b *testing.B, rows, threads int) {
	backend := benchBackend(b, threads)
	var layers [4][]changedProducts
	for i := range layers {
		layers[i] = changedLayer(backend, rows)
	}
	turns := []string{"none", "one", "each"}
	if rows == 1 {
		turns = turns[:2]
	}
	var spent [3][4][]time.Duration // on each of a layer's calls of Project
	for b.Loop() {
		for i := range turns {
			for _, products := range layers {
				for n, p := range products {
					for j := range p.outs {
						p.outs[j].LowRank = p.changes[i][j]
					}
					start := time.Now()
					backend.Project(p.x, p.outs)
					spent[i][n] = append(spent[i][n], time.Since(start))
					if err := backend.Sync(); err != nil {
						b.Fatal(err)
					}
				}
			}
		}
	}
	for i, name := range turns {
		var least, fourth time.Duration
		for _, times := range spent[i] {
			slices.Sort(times)
			least += times[0]
			fourth += times[len(times)/4]
		}
		b.ReportMetric(float64(least.Nanoseconds())/1e3, "us-"+name)
		b.ReportMetric(float64(fourth.Nanoseconds())/1e3, "us-fourth-"+name)
	}
}

// changedProducts is one Project, and for each turn the changes of its products.
type changedProducts struct {
	x       kernels.Matrix
	outs    []kernels.Projection
	changes [3][][]kernels.LowRank
}

func changedLayer(backend kernels.Backend, rows int) (all []changedProducts) {
	const rank = 16
	for _, s := range [][]int{{2048, 2048, 256, 256}, {2048, 2048}, {2048, 5632, 5632}, {5632, 2048}} {
		p := changedProducts{x: kernels.NewMatrix(backend.NewBuffer(rows*s[0]), rows, s[0])}
		for _, out := range s[1:] {
			p.outs = append(p.outs, kernels.Projection{
				Dst: kernels.NewMatrix(backend.NewBuffer(rows*out), rows, out), W: tensor(quant.Q4_K, out, s[0]),
			})
			for i, count := range []int{0, 1, rows} {
				var changes []kernels.LowRank
				for j := range count {
					changes = append(changes, kernels.LowRank{First: j * rows / count, Count: rows / count, Factors: lowRank(rank, s[0], out), Scale: 1})
				}
				p.changes[i] = append(p.changes[i], changes)
			}
		}
		all = append(all, p)
	}
	return all
}
