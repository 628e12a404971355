package models

import "testing"

// TestTargets: every matrix of the model is a target of its shape, with the first layer whose keys and values it reaches, the heads
// whose rows are paired, and the bias that the base adds. The head is one also where it shares the embedding.
func TestTargets(t *testing.T) {
	for _, untied := range []bool{false, true} {
		m := with(small, func(m *tiny) { m.Biases, m.Untied = true, untied }).build(5)
		model, err := Load(m.open(t))
		if err != nil {
			t.Fatal(err)
		}
		targets := model.Targets()
		if n := 2 + 7*m.Layers; len(targets) != n {
			t.Fatalf("%d targets, want %d", len(targets), n)
		}
		byName := map[string]Target{}
		for _, target := range targets {
			byName[target.Name] = target
		}
		q, kv := m.Heads*m.HeadDim, m.KVHeads*m.HeadDim
		for _, want := range []Target{
			{Name: "token_embd", Layer: 0, Rows: m.VocabSize, Cols: m.Width},
			{Name: "output", Layer: m.Layers, Rows: m.VocabSize, Cols: m.Width},
			{Name: "blk.0.attn_q", Layer: 1, Rows: q, Cols: m.Width, PairHeads: m.Heads},
			{Name: "blk.1.attn_k", Layer: 1, Rows: kv, Cols: m.Width, PairHeads: m.KVHeads},
			{Name: "blk.1.attn_v", Layer: 1, Rows: kv, Cols: m.Width},
			{Name: "blk.2.attn_output", Layer: 3, Rows: m.Width, Cols: q},
			{Name: "blk.0.ffn_gate", Layer: 1, Rows: m.FFN, Cols: m.Width},
			{Name: "blk.1.ffn_up", Layer: 2, Rows: m.FFN, Cols: m.Width},
			{Name: "blk.2.ffn_down", Layer: 3, Rows: m.Width, Cols: m.FFN},
		} {
			got := byName[want.Name]
			bias := got.Bias
			got.Bias = nil
			if got.Name != want.Name || got.Layer != want.Layer || got.Rows != want.Rows || got.Cols != want.Cols || got.PairHeads != want.PairHeads {
				t.Errorf("target %+v, want %+v", got, want)
			}
			values := m.values[want.Name+".bias"]
			if len(bias) != len(values) {
				t.Fatalf("%s: bias of %d, want %d", want.Name, len(bias), len(values))
			}
			for i, b := range bias {
				if float64(b) != values[i] {
					t.Fatalf("%s: bias %d is %v, want %v", want.Name, i, b, values[i])
				}
			}
		}
	}
}
