package cpu

import (
	"fmt"
	"strings"

	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/kernels/ref"
)

// table is everything that a level can do. It is filled with the functions of kernels/ref, then overlaid with those of
// each level that the machine has, up to the cap. All give the same bits.
type table struct {
	name string

	quantize       func(q []int8, scale []float32, sums []int16, x []float32, blockLen int)
	widen          func(dst []int16, q []int8)
	pack           func(x *ref.Quants, first, last int)
	rmsNorm        func(dst, x, weight []float32, eps float32)
	siluMul        func(dst, gate, up []float32)
	add            func(dst, x []float32)
	rotateAdjacent func(x, cos, sin []float32)
	rotateHalves   func(x, cos, sin []float32)

	scores         func(dst, q, keys []float32, dim int, scale float32)
	weights        func(p []float32, first, last int, states []ref.Softmax, corrections []float32)
	mix            func(acc, p, values []float32, dim, first, last int, corrections []float32)
	merge          func(acc []float32, total *ref.Softmax, later []float32, state *ref.Softmax)
	divide         func(dst, x []float32, by float32)
	halvesToFloats func(dst []float32, stride int, src []uint16, cols int)
	floatsToHalves func(dst []uint16, src []float32)
	coders         map[quant.Type]*coder   // of the quantized cache types
	inPlace        map[quant.Type]*inPlace // of the cache types that can be met where they lie

	prefetch func(memory []byte) // a hint that it will be read

	mulFloats   func(dst []float32, stride int, w, x []float32, cols int)
	mulFloats64 func(dst []float64, stride int, w, x []float32, cols int)
	products    map[quant.Type]*product

	// The two pieces of a low-rank change. shrink may ask for next, which is read after a.
	shrink func(t []float32, a []byte, x []float32, scale float32, next []byte)
	expand func(dst []float32, stride int, b []byte, t []float32, rank, outs int)

	limits limits // measure the machine; no result comes of them
}

// product is how a weight type is multiplied. rows serves a single row of activations, unpack and mul serve
// many.
type product struct {
	typ                  quant.Type
	form                 ref.Form
	panelFrom            int                                          // rows of activations from which on panels serve
	wideRows, widePanels bool                                         // rowsQuant, mul read Quants.Wide
	tiles                bool                                         // mul reads Quants.Tiles
	fours                bool                                         // mul reads Quants.Fours
	rowsFloat            func(dst []float32, w []byte, x []float32)   // float types
	decode               func(dst []float32, w []byte)                // float types: consecutive weights
	rowsQuant            func(dst []float32, w []byte, x *ref.Quants) // quantized types
	unpack               func(p *ref.Panel, w []byte, rows, cols int) // quantized types: up to ref.PanelRows rows
	mul                  func(dst []float32, stride int, p *ref.Panel, x *ref.Quants)
	// few, where a level has it, serves from fewFrom rows of activations on up to those from which panels do, in narrow tiles
	// or, with fewFours, in those of Quants.Fours. It may ask for the memory of ahead: avx2.FewRows says how that is written.
	few      func(dst []float32, stride int, w []byte, rows int, x *ref.Quants, ahead [][2]uintptr)
	fewFrom  int
	fewFours bool
}

// level is one entry of the ladder.
type level struct {
	name    string
	usable  func() bool
	overlay func(*table)
}

// Levels returns the names that a cap may have on this architecture, slowest first, whether this machine has them or not.
func Levels() []string {
	names := make([]string, len(ladder))
	for i, l := range ladder {
		names[i] = l.name
	}
	return names
}

// tableFor returns the table of the best usable level that is not above the cap.
func tableFor(limit string) (*table, error) {
	last := len(ladder) - 1
	if limit != "" {
		last = -1
		for i, l := range ladder {
			if l.name == limit {
				last = i
			}
		}
		if last < 0 {
			return nil, fmt.Errorf("cpu: unknown level %q; levels are %s", limit, strings.Join(Levels(), ", "))
		}
	}
	t := &table{}
	for _, l := range ladder[:last+1] {
		if l.usable() {
			l.overlay(t)
			t.name = l.name
		}
	}
	return t, nil
}

// overlayRef fills every entry.
func overlayRef(t *table) {
	*t = table{
		quantize:       ref.Quantize,
		widen:          ref.Widen,
		pack:           (*ref.Quants).Pack,
		rmsNorm:        ref.RMSNorm,
		siluMul:        ref.SiluMul,
		add:            ref.Add,
		rotateAdjacent: ref.RotateAdjacent,
		rotateHalves:   ref.RotateHalves,
		scores:         ref.Scores,
		weights:        ref.Weights,
		mix:            ref.Mix,
		merge: func(acc []float32, total *ref.Softmax, later []float32, state *ref.Softmax) {
			*total = ref.Merge(acc, *total, later, *state)
		},
		divide:         ref.Divide,
		halvesToFloats: ref.HalvesToFloats,
		floatsToHalves: ref.FloatsToHalves,
		prefetch:       func([]byte) {},
		mulFloats:      ref.MulFloats,
		mulFloats64:    ref.MulFloats64,
		shrink:         func(t []float32, a []byte, x []float32, scale float32, _ []byte) { ref.Shrink(t, a, x, scale) },
		expand:         ref.Expand,
		coders:         make(map[quant.Type]*coder),
		inPlace:        make(map[quant.Type]*inPlace),
		products:       make(map[quant.Type]*product),
		limits:         plainLimits,
	}
	for _, typ := range []quant.Type{quant.Q8_0, quant.Q4_0} {
		t.coders[typ] = &coder{
			encode: func(dst []byte, src []float32) { quant.Encode(typ, dst, src) },
			keys: func(dst []float32, stride int, page []byte, tokens int) {
				ref.LoadKeyQuants(typ, dst, stride, page, tokens)
			},
			values: func(dst []float32, src []byte) { quant.Decode(typ, dst, src) },
		}
	}
	for _, typ := range quant.Computable() {
		p := &product{typ: typ, form: ref.FormOf(typ), panelFrom: panelFrom}
		if p.form == ref.Float {
			p.rowsFloat = func(dst []float32, w []byte, x []float32) { ref.RowsFloat(typ, dst, w, x) }
			p.decode = func(dst []float32, w []byte) { quant.Decode(typ, dst, w) }
		} else {
			minima := typ.HasMinima()
			p.widePanels = true
			p.rowsQuant = func(dst []float32, w []byte, x *ref.Quants) { ref.RowsQuant(typ, dst, w, x) }
			p.unpack = func(panel *ref.Panel, w []byte, rows, cols int) { ref.UnpackPanel(typ, panel, w, rows, cols) }
			p.mul = func(dst []float32, stride int, panel *ref.Panel, x *ref.Quants) {
				ref.MulPanel(dst, stride, panel, x, minima)
			}
		}
		t.products[typ] = p
	}
}
