package cpu

import (
	"testing"

	"github.com/weft-run/weft/kernels"
)

// TestCut: the chunks of a product are of whole panels, cover all rows, and none of a long step holds up the others for long.
func TestCut(t *testing.T) {
	const most = 32 << 20
	for _, c := range []struct{ threads, rows, cols, batch, per int }{
		{2, 2048, 2048, 1, 80},      // a row: twelve chunks a thread
		{2, 11264, 2048, 16, 464},   // a few
		{2, 11264, 2048, 512, 32},   // many: what a chunk computes is bounded
		{2, 2048, 5632, 512, 16},    // a panel at least
		{16, 32000, 8192, 2048, 16}, // a panel, though it is more
		{64, 256, 256, 1, 256},      // a small one is not cut
	} {
		task := &projectTask{
			b: &backend{device: &Device{threads: c.threads}}, x: kernels.Matrix{Rows: c.batch, Cols: c.cols},
			out: []kernels.Projection{{W: kernels.Tensor{Rows: c.rows, Cols: c.cols}}},
		}
		task.cut(c.rows, c.cols/2)
		if task.per != c.per {
			t.Errorf("%+v: chunks of %d rows", c, task.per)
		}
		if work := task.per * c.cols * c.batch; work > max(most, 16*c.cols*c.batch) {
			t.Errorf("%+v: a chunk of %d multiply-adds", c, work)
		}
		if chunks := task.last[0]; (chunks-1)*task.per >= c.rows || chunks*task.per < c.rows {
			t.Errorf("%+v: %d chunks of %d rows", c, chunks, task.per)
		}
	}
}
