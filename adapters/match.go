package adapters

import (
	"fmt"
	"slices"
	"strings"

	"github.com/weft-run/weft/runtime/models"
)

// naming says what Hugging Face calls the modules of an architecture.
type naming struct {
	layer   string            // before a layer's number
	inLayer map[string]string // behind it: module -> target
	outside map[string]string
}

// namings has the architectures to which PEFT's names are matched.
var namings = map[string]naming{
	"llama": {
		layer: "model.layers.",
		inLayer: map[string]string{
			"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
			"mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
		},
		outside: map[string]string{"model.embed_tokens": "token_embd", "lm_head": "output"},
	},
}

// target returns the name of the target that a module is, "" where the architecture has no such module. The number of a layer is text
// all the way: one that no model has finds nothing.
func (n naming) target(module string) string {
	if name, ok := n.outside[module]; ok {
		return name
	}
	rest, ok := strings.CutPrefix(module, n.layer)
	if !ok {
		return ""
	}
	layer, rest, _ := strings.Cut(rest, ".")
	name, ok := n.inLayer[rest]
	if !ok {
		return ""
	}
	return "blk." + layer + "." + name
}

// module is the reverse of target, for those who write files.
func (n naming) module(target string) string {
	for module, name := range n.outside {
		if name == target {
			return module
		}
	}
	layer, rest, _ := strings.Cut(strings.TrimPrefix(target, "blk."), ".")
	for module, name := range n.inLayer {
		if name == rest {
			return n.layer + layer + "." + module
		}
	}
	return ""
}

// piece is a part with the target that it changes.
type piece struct {
	*part
	target models.Target
	// paired says that the part's rows are in the checkpoint's order and the target's are not.
	paired bool
}

// match finds the target of every part and compares all shapes. What is wrong is told together, by class.
func (s *Source) match(arch string, targets []models.Target) ([]piece, error) {
	names, known := namings[arch]
	switch {
	case s.Format == GGUF && s.Architecture != arch:
		return nil, refuse(ErrUnfit, "it is made for the architecture %q, and the base is %q", s.Architecture, arch)
	case s.Format == PEFT && !known:
		return nil, refuse(ErrUnsupported, "adapters of PEFT for the architecture %q are not read", arch)
	}
	index := make(map[string]models.Target, len(targets))
	vocab := 0
	for _, t := range targets {
		index[t.Name] = t
		if t.Name == "token_embd" {
			vocab = t.Rows
		}
	}
	var pieces []piece
	var unmatched, misshapen, biased []string
	for i := range s.parts {
		p := &s.parts[i]
		name := p.module
		if s.Format == PEFT {
			name = names.target(p.module)
		}
		target, ok := index[name]
		if !ok {
			unmatched = append(unmatched, fmt.Sprintf("%q", p.tensors()[0].name))
			continue
		}
		piece := piece{part: p, target: target, paired: s.Format == PEFT && target.PairHeads > 0}
		misshapen = append(misshapen, piece.misshapen()...)
		if p.bias != nil && target.Bias == nil {
			biased = append(biased, fmt.Sprintf("%q", p.bias.name))
		}
		pieces = append(pieces, piece)
	}
	switch {
	case len(pieces) == 0:
		return nil, refuse(ErrUnfit, "none of its %d modules is one of the base, the first are %s; made for another base?", len(s.parts), named(unmatched))
	case len(unmatched) > 0:
		return nil, refuse(ErrUnfit, "%d of its %d modules are none of the base: %s; made for another base?", len(unmatched), len(s.parts), named(unmatched))
	case len(misshapen) > 0:
		return nil, refuse(ErrUnfit, "%d tensors have other shapes than the base's weights: %s; made for another base?", len(misshapen), named(misshapen))
	case len(biased) > 0:
		return nil, refuse(ErrUnfit, "%d biases belong to weights to which the base adds none: %s; made for another base?", len(biased), named(biased))
	}
	for _, id := range s.Invocation {
		if vocab > 0 && int(id) >= vocab {
			return nil, refuse(ErrUnfit, "its invocation token %d is not one of the base's vocabulary of %d; made for another base?", id, vocab)
		}
	}
	slices.SortFunc(pieces, func(a, b piece) int { return strings.Compare(a.target.Name, b.target.Name) })
	return pieces, nil
}

// misshapen compares the shapes with the target's and says which are other ones. That A and B have the part's rank is known already.
func (p *piece) misshapen() (list []string) {
	inputs, outputs := uint64(p.target.Cols), uint64(p.target.Rows)
	if p.target.Name == "token_embd" {
		inputs, outputs = outputs, inputs
	}
	compare := func(t *tensor, want []uint64) {
		if t != nil && !slices.Equal(t.shape, want) {
			list = append(list, fmt.Sprintf("%q is %d, want %d", t.name, t.shape, want))
		}
	}
	rank := uint64(p.rank)
	a := []uint64{rank, inputs}
	if p.turned() {
		a = []uint64{inputs, rank}
	}
	compare(p.a, a)
	compare(p.b, []uint64{outputs, rank})
	compare(p.magnitude, []uint64{outputs})
	compare(p.bias, []uint64{outputs})
	return list
}

// turned says whether A is kept by inputs: GGUF does so with the embedding, whose rows are picked.
func (p *piece) turned() bool { return p.target.Name == "token_embd" && !p.embedding }

// delta makes what the model takes of the values of all. It may change them.
func (p *piece) delta(values [4][]float32) models.Delta {
	a, b, magnitude, bias := values[0], values[1], values[2], values[3]
	d := models.Delta{Target: p.target.Name, Rank: p.rank, Scale: p.scale}
	if p.rank > 0 {
		d.A, d.B = a, p.rows(b, p.rank)
		if p.turned() {
			d.A = transpose(d.A, p.rank)
		}
	}
	if p.magnitude != nil {
		d.Magnitude = p.rows(magnitude, 1)
	}
	if p.bias != nil {
		d.Bias = p.rows(bias, 1)
		for i, own := range p.target.Bias {
			d.Bias[i] -= own
		}
	}
	return d
}

// rows returns x [target rows, cols] in the order of the base's rows.
func (p *piece) rows(x []float32, cols int) []float32 {
	if !p.paired {
		return x
	}
	return pairRows(x, p.target.PairHeads, cols)
}

// pairRows puts the rows of each head from halves to adjacent pairs, as converters do with the rows of q and k for the rotation of GGUF's
// Llama: of a head of 2n rows, row j becomes row 2j and row n+j row 2j+1.
func pairRows(x []float32, heads, cols int) []float32 {
	out := make([]float32, len(x))
	half := len(x) / cols / heads / 2
	for head := range heads {
		from, to := x[head*2*half*cols:], out[head*2*half*cols:]
		for j := range half {
			copy(to[2*j*cols:(2*j+1)*cols], from[j*cols:])
			copy(to[(2*j+1)*cols:(2*j+2)*cols], from[(half+j)*cols:])
		}
	}
	return out
}

// transpose turns x [len/cols, cols].
func transpose(x []float32, cols int) []float32 {
	out := make([]float32, len(x))
	rows := len(x) / cols
	for i := range rows {
		for j := range cols {
			out[j*rows+i] = x[i*cols+j]
		}
	}
	return out
}
