package cpu

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/kernels/quant"
)

// BenchmarkLowRank computes the products of a layer of the 1.1 B shape with 8 rows, turn by turn without adapters, with one of rank 16 for
// all rows, and with one for each; it says the sum of the least times of each call, as the machine may be in use. Weights and factors come from memory.
func BenchmarkLowRank(b *testing.B) {
	for _, threads := range []int{1, 2} {
		b.Run(fmt.Sprintf("threads=%d", threads), func(b *testing.B) {
			d, err := NewDevice(Options{Threads: threads, Level: os.Getenv("WEFT_CPU")})
			if err != nil {
				b.Fatal(err)
			}
			defer d.Close()
			backend := d.Open()
			defer backend.Close()
			var layers [4][]changedProducts
			for i := range layers {
				layers[i] = changedLayer(backend)
			}
			var least [3][4]time.Duration // of each of a layer's calls of Project
			for b.Loop() {
				for i := range least {
					for _, products := range layers {
						for n, p := range products {
							for j := range p.outs {
								p.outs[j].LowRank = p.changes[i][j]
							}
							start := time.Now()
							backend.Project(p.x, p.outs)
							if spent := time.Since(start); least[i][n] == 0 || spent < least[i][n] {
								least[i][n] = spent
							}
							if err := backend.Sync(); err != nil {
								b.Fatal(err)
							}
						}
					}
				}
			}
			for i, name := range []string{"none", "one", "eight"} {
				var sum time.Duration
				for _, t := range least[i] {
					sum += t
				}
				b.ReportMetric(float64(sum.Microseconds()), "us-"+name)
			}
		})
	}
}

// changedProducts is one Project, and for each turn the changes of its products.
type changedProducts struct {
	x       kernels.Matrix
	outs    []kernels.Projection
	changes [3][][]kernels.LowRank
}

func changedLayer(backend kernels.Backend) (all []changedProducts) {
	const rows, rank = 8, 16
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
