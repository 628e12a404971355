package synthetic

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/weft-run/weft/kernels/quant"
)

// role is what a matrix is for, and the middle of its name.
type role string

const (
	tokenEmbd  role = "token_embd"
	output     role = "output"
	attnQ      role = "attn_q"
	attnK      role = "attn_k"
	attnV      role = "attn_v"
	attnOutput role = "attn_output"
	ffnGate    role = "ffn_gate"
	ffnUp      role = "ffn_up"
	ffnDown    role = "ffn_down"
)

// mix is a choice of types that quantizers offer under one name: most matrices have one type, those that matter more have
// more bits. The choices are llama.cpp's (llama-quant.cpp, without an importance matrix), so that a file has the proportions of
// those in use.
type mix struct {
	base quant.Type
	file uint32 // general.file_type
	// more returns the type of a matrix that is not of the base type. May be nil.
	more func(s Shape, r role, layer int) (quant.Type, bool)
}

// Mixes returns the names of the mixes in the order of the alphabet.
func Mixes() []string { return slices.Sorted(maps.Keys(mixes)) }

func unknownMix(name string) error {
	return fmt.Errorf("synthetic: unknown type %q; known are %s", name, strings.Join(Mixes(), ", "))
}

var mixes = map[string]mix{
	"f32":    {base: quant.F32, file: 0},
	"f16":    {base: quant.F16, file: 1},
	"bf16":   {base: quant.BF16, file: 32},
	"q4_0":   {base: quant.Q4_0, file: 2},
	"q4_1":   {base: quant.Q4_1, file: 3},
	"q5_0":   {base: quant.Q5_0, file: 8},
	"q5_1":   {base: quant.Q5_1, file: 9},
	"q8_0":   {base: quant.Q8_0, file: 7},
	"q2_k":   {base: quant.Q2_K, file: 10, more: moreQ2},
	"q3_k_s": {base: quant.Q3_K, file: 11},
	"q3_k_m": {base: quant.Q3_K, file: 12, more: moreQ3},
	"q4_k_s": {base: quant.Q4_K, file: 14, more: moreQ4Small},
	"q4_k_m": {base: quant.Q4_K, file: 15, more: moreSomeLayers},
	"q5_k_s": {base: quant.Q5_K, file: 16},
	"q5_k_m": {base: quant.Q5_K, file: 17, more: moreSomeLayers},
	"q6_k":   {base: quant.Q6_K, file: 18},
	"iq4_nl": {base: quant.IQ4_NL, file: 25, more: moreIQ4},
	"iq4_xs": {base: quant.IQ4_XS, file: 30, more: moreIQ4},
	// Files in use have this type in the matrices of experts alone; here all of a layer's have it.
	"mxfp4": {base: quant.MXFP4, file: 38},
}

// typeOf is the type of a matrix with rows of cols weights.
func (m mix) typeOf(s Shape, r role, layer, cols int) quant.Type {
	if m.base.Info().BlockLen == 1 {
		return m.base
	}
	return fitting(m.wanted(s, r, layer), cols)
}

// wanted is the type of a matrix of any length of rows.
func (m mix) wanted(s Shape, r role, layer int) quant.Type {
	switch {
	case r == output || r == tokenEmbd && s.Tied:
		if m.base == quant.Q8_0 || m.base == quant.MXFP4 {
			return quant.Q8_0
		}
		return quant.Q6_K
	case r == tokenEmbd && m.base == quant.MXFP4:
		return quant.Q8_0
	case m.more == nil:
		return m.base
	}
	if t, ok := m.more(s, r, layer); ok {
		return t
	}
	return m.base
}

// fitting replaces a type whose blocks rows of cols weights do not fill.
func fitting(t quant.Type, cols int) quant.Type {
	if cols%t.Info().BlockLen != 0 {
		switch t {
		case quant.IQ4_XS:
			t = quant.IQ4_NL
		case quant.Q2_K, quant.Q3_K:
			t = quant.Q4_0
		case quant.Q4_K:
			t = quant.Q5_0
		case quant.Q5_K:
			t = quant.Q5_1
		case quant.Q6_K:
			t = quant.Q8_0
		}
	}
	if cols%t.Info().BlockLen != 0 {
		return quant.F16
	}
	return t
}

func moreQ2(s Shape, r role, _ int) (quant.Type, bool) {
	if r == attnV && s.Heads/s.KVHeads >= 4 {
		return quant.Q4_K, true
	}
	return quant.Q3_K, r == attnV || r == ffnDown || r == attnOutput
}

func moreQ3(s Shape, r role, layer int) (quant.Type, bool) {
	if r == attnV && layer < 2 || r == ffnDown && layer < s.Layers/16 {
		return quant.Q5_K, true
	}
	return quant.Q4_K, r == attnV || r == ffnDown || r == attnOutput
}

func moreQ4Small(s Shape, r role, layer int) (quant.Type, bool) {
	return quant.Q5_K, r == attnV && layer < 4 || r == ffnDown && layer < s.Layers/8
}

// moreSomeLayers gives the first and the last eighth of the layers, and every third between, more bits.
func moreSomeLayers(s Shape, r role, layer int) (quant.Type, bool) {
	eighth := s.Layers / 8
	some := layer < eighth || layer >= 7*s.Layers/8 || (layer-eighth)%3 == 2
	return quant.Q6_K, some && (r == attnV || r == ffnDown)
}

func moreIQ4(s Shape, r role, layer int) (quant.Type, bool) {
	return quant.Q5_K, r == attnV && s.Heads/s.KVHeads >= 4 || r == ffnDown && layer < s.Layers/8
}
