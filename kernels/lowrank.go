package kernels

// FactorPanel is the number of outputs in a panel of Factors.B.
const FactorPanel = 16

// Factors are the two thin matrices whose product B A changes a weight matrix of Out outputs and In inputs. They are halves
// (F16), which whoever makes them may have scaled by powers of two: LowRank.Scale takes that back.
type Factors struct {
	Rank, In, Out int // of rank 0 there are no factors, and B A is 0
	// A is [Rank, In]; of a change to an embedding, whose inputs are ids, it is [In, Rank], so that what an id needs lies together.
	A []byte
	// B is [panels, Rank, FactorPanel]: the outputs 16p to 16p+15 are panel p, the last one filled up with zeros. So a vector holds
	// outputs, and the chunks of a product, which are whole panels, read one piece of memory.
	B []byte
}

// LowRank changes Count rows of a result from row First on: y becomes (y + B (Scale * A x)) * Gain + Bias.
type LowRank struct {
	First, Count int
	*Factors
	Scale float32
	Gain  []float32 // [Out]; nil: 1
	Bias  []float32 // [Out]; nil: none
}

// check panics when c does not change rows rows of out outputs computed of in inputs.
func (c *LowRank) check(op string, rows, in, out int) {
	must(c.First >= 0 && c.Count >= 0 && c.First+c.Count <= rows, op, "a change of rows %d to %d of %d", c.First, c.First+c.Count, rows)
	must(c.Rank >= 0 && c.In == in && c.Out == out, op, "a change of rank %d, [%d, %d], want [%d, %d]", c.Rank, c.Out, c.In, out, in)
	panels := (out + FactorPanel - 1) / FactorPanel
	must(len(c.A) == 2*c.Rank*in && len(c.B) == 2*c.Rank*panels*FactorPanel, op, "factors of %d and %d bytes", len(c.A), len(c.B))
	must(c.Gain == nil || len(c.Gain) == out, op, "a gain of %d elements, want %d", len(c.Gain), out)
	must(c.Bias == nil || len(c.Bias) == out, op, "a change's bias of %d elements, want %d", len(c.Bias), out)
}
