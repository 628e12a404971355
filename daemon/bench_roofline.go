package daemon

import (
	"fmt"
	"strings"

	"github.com/weft-run/weft/kernels/cpu"
	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/runtime/gguf"
	"github.com/weft-run/weft/runtime/models"
)

// benchRoofline is a test beside the limits that were measured right before it. Rates are a second.
type benchRoofline struct {
	ReadLimit  float64 `json:"read_bytes_per_second"` // of memory
	BytesLimit float64 `json:"int8_multiply_adds_per_second"`
	BytesBy    string  `json:"int8_by"`
	FloatLimit float64 `json:"float32_multiply_adds_per_second"`
	FloatBy    string  `json:"float32_by"`

	Read  float64 `json:"bytes_read_per_token"` // weights, and cache in decode
	Bytes float64 `json:"int8_multiply_adds_per_token"`
	Float float64 `json:"float32_multiply_adds_per_token"` // of weights; those of attention are not counted

	ReadFraction    float64 `json:"read_fraction"`
	ComputeFraction float64 `json:"compute_fraction"`
	rate            float64 // tokens
}

// memory is "27.1 of 34.2 (79 %)".
func (r *benchRoofline) memory() string {
	return fmt.Sprintf("%.1f of %.1f (%.0f %%)", r.Read*r.rate/1e9, r.ReadLimit/1e9, 100*r.ReadFraction)
}

// arithmetic is the same for the unit that does most of the work.
func (r *benchRoofline) arithmetic() string {
	done, limit, by := r.Bytes, r.BytesLimit, r.BytesBy
	if r.Float > r.Bytes {
		done, limit, by = r.Float, r.FloatLimit, r.FloatBy
	}
	return fmt.Sprintf("%.1f of %.1f by %s (%.0f %%)", done*r.rate/1e9, limit/1e9, by, 100*r.ComputeFraction)
}

// products are multiply-adds by the unit that does them.
type products struct{ bytes, floats float64 }

func (p products) plus(q products, times float64) products {
	return products{p.bytes + q.bytes*times, p.floats + q.floats*times}
}

// benchCost is what a step of a model must read and multiply.
type benchCost struct {
	weights  float64  // bytes of all matrices that a step reads whole
	every    products // for each row of a step
	wanted   products // for each row whose logits are wanted: the head, and of the last layer what follows its attention
	position float64  // bytes of cache for each position that a row looks back at
	step     int      // most rows of a step
}

// costOf adds up the matrices of a file by their names, which GGUF fixes.
func costOf(f *gguf.File, c models.Config, plan benchPlan) benchCost {
	page := c.CacheLayout(1, benchPageTokens, plan.cache).Bytes()
	cost := benchCost{position: float64(page) / benchPageTokens, step: plan.stepTokens}
	_, untied := f.Tensor("output.weight")
	last := fmt.Sprintf("blk.%d.", c.Layers-1)
	for _, t := range f.Tensors() {
		if len(t.Dims) < 2 || t.Name == "token_embd.weight" && untied {
			continue // of the embedding one row is read
		}
		n := products{bytes: float64(t.Dims[0]) * float64(t.Dims[1])}
		if t.Type == quant.F32 || t.Type == quant.F16 || t.Type == quant.BF16 {
			n.bytes, n.floats = 0, n.bytes
		}
		cost.weights += float64(t.Bytes)
		name, ofLast := strings.CutPrefix(t.Name, last)
		switch {
		case t.Name == "token_embd.weight" || t.Name == "output.weight":
			cost.wanted = cost.wanted.plus(n, 1)
		case ofLast && name != "attn_q.weight" && name != "attn_k.weight" && name != "attn_v.weight":
			cost.wanted = cost.wanted.plus(n, 1)
		default:
			cost.every = cost.every.plus(n, 1)
		}
	}
	return cost
}

// against compares the rate of a test, in tokens a second, with the limits.
func (c benchCost) against(limits cpu.Roofline, t benchTest, rate float64) *benchRoofline {
	r := &benchRoofline{
		ReadLimit: limits.ReadBytes, BytesLimit: limits.Bytes, BytesBy: limits.BytesBy, FloatLimit: limits.Floats, FloatBy: limits.FloatsBy, rate: rate,
	}
	work := c.every.plus(c.wanted, 1)
	if t.prompt > 0 {
		steps := (t.prompt + c.step - 1) / c.step
		r.Read = c.weights * float64(steps) / float64(t.prompt)
		work = c.every.plus(c.wanted, 1/float64(t.prompt))
	} else {
		// Each sequence has a cache of its own; the rows of a step share the weights.
		r.Read = c.weights/float64(t.batch) + c.position*(float64(t.depth)+float64(t.output-1)/2)
	}
	r.Bytes, r.Float = work.bytes, work.floats
	r.ReadFraction = r.Read * rate / r.ReadLimit
	// What the two units do, they do one after the other.
	r.ComputeFraction = rate * (r.Bytes/r.BytesLimit + r.Float/r.FloatLimit)
	return r
}
