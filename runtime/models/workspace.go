package models

import (
	"fmt"

	"github.com/weft-run/weft/kernels"
)

// Workspace is all scratch memory of Forward, allocated once. It belongs to one goroutine and one Backend, which frees it.
type Workspace struct {
	rows, logitRows int

	x, h     kernels.Matrix // residual stream and what is added to it [rows, Width]
	q        kernels.Matrix // queries [rows, QWidth]
	k, v     kernels.Matrix // keys and values [rows, KVWidth]
	att      kernels.Matrix // what attention read [rows, QWidth]
	angles   kernels.Matrix // cos and sin of RoPE [rows, Rope.Dims]
	gate, up kernels.Matrix // feed-forward layer [rows, FFN]
	logits   kernels.Matrix // [logitRows, Vocab]

	// Arguments of Project and what runs of adapted rows become, so that no call allocates them.
	projections []kernels.Projection
	lowRank     []kernels.LowRank
	adapted     []Adapted
}

// NewWorkspace allocates scratch for batches of up to maxRows rows, maxLogitRows of which want logits.
func NewWorkspace(b kernels.Backend, c Config, maxRows, maxLogitRows int) *Workspace {
	rows := func(n, cols int) kernels.Matrix { return kernels.NewMatrix(b.NewBuffer(n*cols), n, cols) }
	return &Workspace{
		rows: maxRows, logitRows: maxLogitRows,
		x: rows(maxRows, c.Width), h: rows(maxRows, c.Width),
		q: rows(maxRows, c.QWidth()), k: rows(maxRows, c.KVWidth()), v: rows(maxRows, c.KVWidth()),
		att: rows(maxRows, c.QWidth()), angles: rows(maxRows, c.Rope.Dims),
		gate: rows(maxRows, c.FFN), up: rows(maxRows, c.FFN),
		logits:      rows(maxLogitRows, c.Vocab),
		projections: make([]kernels.Projection, 0, 3),
	}
}

// WorkspaceBytes is the memory that NewWorkspace takes.
func WorkspaceBytes(c Config, maxRows, maxLogitRows int) int64 {
	perRow := 2*c.Width + 2*c.QWidth() + 2*c.KVWidth() + c.Rope.Dims + 2*c.FFN
	return 4 * (int64(maxRows)*int64(perRow) + int64(maxLogitRows)*int64(c.Vocab))
}

// products makes the argument of Project in memory that is used again and again; the Backend does not keep it. Nor does it
// keep the changes, whose memory the next argument takes.
func (ws *Workspace) products(p ...kernels.Projection) []kernels.Projection {
	ws.projections = append(ws.projections[:0], p...)
	ws.lowRank = ws.lowRank[:0]
	return ws.projections
}

// check stops a batch that does not fit, which would be a mistake of ours in the scheduler.
func (ws *Workspace) check(batch *Batch) {
	rows := len(batch.Tokens)
	if rows == 0 || rows > ws.rows || len(batch.LogitRows) > min(rows, ws.logitRows) ||
		len(batch.Positions) != rows || len(batch.Slots) != rows {
		panic(fmt.Sprintf("BUG: models: batch of %d tokens, %d positions, %d slots, %d logit rows in a workspace of %d rows, %d logit rows",
			rows, len(batch.Positions), len(batch.Slots), len(batch.LogitRows), ws.rows, ws.logitRows))
	}
	checkAdapted(batch)
}

func (batch *Batch) probe(layer int, x kernels.Matrix) {
	if batch.Probe != nil {
		batch.Probe(layer, x)
	}
}
