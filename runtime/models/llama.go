package models

import (
	"fmt"
	"math"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/runtime/kvcache"
)

// llama is the decoder of Llama 2 and 3 (Touvron et al., 2023; Dubey et al., 2024), TinyLlama, SmolLM2 and Mistral (Jiang et
// al., 2023): pre-norm with RMSNorm, rotary positions, grouped-query attention, SwiGLU.
type llama struct {
	config Config
	embed  kernels.Tensor // [Vocab, Width]
	layers []llamaLayer
	norm   kernels.Tensor // [Width]
	head   linear         // [Vocab, Width]; the embedding where the file has no head of its own

	targets    []Target
	freqs      []float64 // angle per position of each rotated pair
	angleScale float32
	attnScale  float32
}

type llamaLayer struct {
	attnNorm   kernels.Tensor
	wq, wk, wv linear
	wo         linear
	ffnNorm    kernels.Tensor
	wgate, wup linear
	wdown      linear
}

func newLlama(c Config, w *weights) Model {
	m := &llama{config: c}
	m.embed = w.matrix("token_embd.weight", c.Vocab, c.Width)
	m.norm = w.vector("output_norm.weight", c.Width)
	m.head = linear{weight: m.embed}
	if w.has("output.weight") {
		m.head = w.linear("output", c.Vocab, c.Width)
	}
	m.layers = make([]llamaLayer, c.Layers)
	for i := range m.layers {
		blk := fmt.Sprintf("blk.%d.", i)
		m.layers[i] = llamaLayer{
			attnNorm: w.vector(blk+"attn_norm.weight", c.Width),
			wq:       w.linear(blk+"attn_q", c.QWidth(), c.Width),
			wk:       w.linear(blk+"attn_k", c.KVWidth(), c.Width),
			wv:       w.linear(blk+"attn_v", c.KVWidth(), c.Width),
			wo:       w.linear(blk+"attn_output", c.Width, c.QWidth()),
			ffnNorm:  w.vector(blk+"ffn_norm.weight", c.Width),
			wgate:    w.linear(blk+"ffn_gate", c.FFN, c.Width),
			wup:      w.linear(blk+"ffn_up", c.FFN, c.Width),
			wdown:    w.linear(blk+"ffn_down", c.Width, c.FFN),
		}
	}
	if len(w.complaints) == 0 { // else nobody gets the model, and its tensors are not what they should be
		m.targets = m.listTargets()
	}
	m.freqs, m.angleScale = c.Rope.Frequencies()
	m.attnScale = float32(1 / math.Sqrt(float64(c.HeadDim)))
	return m
}

func (m *llama) Config() Config { return m.config }

func (m *llama) Targets() []Target { return m.targets }

// listTargets lists the head also where the file has none of its own: an adapter changes the product with the embedding there and
// not the embedding.
func (m *llama) listTargets() []Target {
	c := &m.config
	list := make([]Target, 0, 2+7*c.Layers)
	add := func(l *linear, name string, layer, pairHeads int) {
		t := l.target(name, layer)
		t.PairHeads = pairHeads
		l.number = len(list)
		list = append(list, t)
	}
	list = append(list, Target{Name: "token_embd", Rows: c.Vocab, Cols: c.Width})
	for i := range m.layers {
		l, blk := &m.layers[i], fmt.Sprintf("blk.%d.", i)
		add(&l.wq, blk+"attn_q", i+1, c.Heads)
		add(&l.wk, blk+"attn_k", i, c.KVHeads)
		add(&l.wv, blk+"attn_v", i, 0)
		add(&l.wo, blk+"attn_output", i+1, 0)
		add(&l.wgate, blk+"ffn_gate", i+1, 0)
		add(&l.wup, blk+"ffn_up", i+1, 0)
		add(&l.wdown, blk+"ffn_down", i+1, 0)
	}
	add(&m.head, "output", c.Layers, 0)
	return list
}

func (m *llama) weight(target int) kernels.Tensor {
	if target == 0 {
		return m.embed
	}
	if target == len(m.targets)-1 {
		return m.head.weight
	}
	l := &m.layers[(target-1)/7]
	return [...]*linear{&l.wq, &l.wk, &l.wv, &l.wo, &l.wgate, &l.wup, &l.wdown}[(target-1)%7].weight
}

func (m *llama) Forward(b kernels.Backend, ws *Workspace, batch *Batch, pages *kvcache.Pages) kernels.Matrix {
	ws.check(batch)
	c, rows := &m.config, len(batch.Tokens)
	x, h := ws.x.Head(rows), ws.h.Head(rows)
	q, k, v, att := ws.q.Head(rows), ws.k.Head(rows), ws.v.Head(rows), ws.att.Head(rows)
	gate, up := ws.gate.Head(rows), ws.up.Head(rows)
	angles := ws.angles.Head(rows)
	adapted := batch.Adapted

	b.Embed(x, m.embed, batch.Tokens, ws.changes(adapted, 0))
	b.RotaryAngles(angles, batch.Positions, m.freqs, m.angleScale)
	for i := range m.layers {
		l := &m.layers[i]

		// Attention: x = x + Wo Attend(RoPE(Wq h), RoPE(Wk h), Wv h) with h = RMSNorm(x).
		b.RMSNorm(h, x, l.attnNorm, c.NormEps)
		b.Project(h, ws.products(l.wq.to(q, ws, adapted), l.wk.to(k, ws, adapted), l.wv.to(v, ws, adapted)))
		b.Rotate(q, angles, c.HeadDim, kernels.PairAdjacent)
		b.Rotate(k, angles, c.HeadDim, kernels.PairAdjacent)
		b.StoreKV(pages.Cache, i, k, v, batch.Slots)
		last := i == len(m.layers)-1
		if last && len(batch.LogitRows) == 0 {
			break // keys and values are stored, and nothing else of these rows is wanted
		}
		b.Attend(att, q, pages.Cache, i, batch.Spans, kernels.Attention{Scale: m.attnScale, Window: c.Window})
		if last {
			// What is left concerns each row alone: go on with the rows whose logits are wanted. h and q are free by now.
			rows = len(batch.LogitRows)
			b.GatherRows(h.Head(rows), x, batch.LogitRows)
			b.GatherRows(q.Head(rows), att, batch.LogitRows)
			x, h, att = h.Head(rows), x.Head(rows), q.Head(rows)
			gate, up = gate.Head(rows), up.Head(rows)
			adapted = ws.gather(batch)
		}
		b.Project(att, ws.products(l.wo.to(h, ws, adapted)))
		b.Add(x, h)

		// Feed-forward: x = x + Wdown (silu(Wgate h) * Wup h) with h = RMSNorm(x).
		b.RMSNorm(h, x, l.ffnNorm, c.NormEps)
		b.Project(h, ws.products(l.wgate.to(gate, ws, adapted), l.wup.to(up, ws, adapted)))
		b.SiluMul(gate, gate, up)
		b.Project(gate, ws.products(l.wdown.to(h, ws, adapted)))
		b.Add(x, h)
		batch.probe(i, x)
	}

	logits := ws.logits.Head(len(batch.LogitRows))
	if logits.Rows > 0 {
		b.RMSNorm(x, x, m.norm, c.NormEps)
		batch.probe(len(m.layers), x)
		b.Project(x, ws.products(m.head.to(logits, ws, adapted)))
	}
	return logits
}
