package kernels

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/weft-run/weft/kernels/quant"
)

// Backend is a closed set: a new operation needs an ADR, and then a line here.
func TestBackendIsClosed(t *testing.T) {
	want := []string{
		"Add", "Attend", "Close", "CopyPage", "Embed", "GatherRows", "NewBuffer", "NewCache", "Project", "RMSNorm", "Read",
		"ReadPage", "RotaryAngles", "Rotate", "SiluMul", "StoreKV", "Sync", "Write", "WritePage",
	}
	var got []string
	for m := range reflect.TypeFor[Backend]().Methods() {
		got = append(got, m.Name)
	}
	if !slices.Equal(got, want) {
		t.Errorf("the operations are %v, want %v", got, want)
	}
}

type fixed int

func (f fixed) Len() int { return int(f) }

func TestChecks(t *testing.T) {
	buf, other := fixed(100), fixed(101)
	m := func(first, rows, cols, stride int) Matrix {
		return Matrix{Buf: buf, First: first, Rows: rows, Cols: cols, Stride: stride}
	}
	w := func(rows, cols int) Tensor {
		return Tensor{Name: "w", Type: quant.F32, Rows: rows, Cols: cols, Data: make([]byte, 4*rows*cols)}
	}
	layout := CacheLayout{Layers: 1, KVHeads: 1, HeadDim: 4, PageTokens: 16, Pages: 2}
	in := Matrix{Buf: other, Rows: 2, Cols: 4, Stride: 4}
	change := func(rank, first int) LowRank {
		return LowRank{First: first, Count: 2, Factors: &Factors{Rank: rank, In: 4, Out: 3, A: make([]byte, 2*rank*4), B: make([]byte, 2*rank*16)}}
	}
	for name, c := range map[string]struct {
		check func()
		want  string // part of the message; none: no panic
	}{
		"fits":              {func() { CheckSame("Add", m(0, 2, 50, 50), Matrix{Buf: other, Rows: 2, Cols: 50, Stride: 50}) }, ""},
		"in place":          {func() { CheckSame("Add", m(0, 2, 50, 50), m(0, 2, 50, 50)) }, ""},
		"interleaved":       {func() { CheckSame("Add", m(0, 2, 10, 20), m(10, 2, 10, 20)) }, ""},
		"beyond the buffer": {func() { CheckSame("Add", m(1, 2, 50, 50)) }, "ends at 101 in a buffer of 100"},
		"rows overlap":      {func() { CheckSame("Add", m(0, 2, 50, 49)) }, "stride 49"},
		"shapes differ":     {func() { CheckSame("Add", m(0, 2, 5, 5), m(0, 2, 4, 4)) }, "[2, 4], want [2, 5]"},
		"partly the same":   {func() { CheckSame("Add", m(0, 2, 5, 5), m(1, 2, 5, 5)) }, "overlaps"},
		"no buffer":         {func() { CheckSame("Add", Matrix{Rows: 1, Cols: 1}) }, "no buffer"},
		"project":           {func() { CheckProject(in, []Projection{{Dst: m(0, 2, 3, 3), W: w(3, 4)}}) }, ""},
		"project columns":   {func() { CheckProject(in, []Projection{{Dst: m(0, 2, 3, 3), W: w(3, 5)}}) }, `"w" has 5 columns, x has 4`},
		"project onto x":    {func() { CheckProject(m(0, 2, 4, 4), []Projection{{Dst: m(4, 2, 3, 3), W: w(3, 4)}}) }, "overlaps x"},
		"too little data": {func() {
			t := w(3, 4)
			t.Data = t.Data[1:]
			CheckProject(in, []Projection{{Dst: m(0, 2, 3, 3), W: t}})
		}, "47 bytes, want 48"},
		"bias": {func() {
			b := w(1, 2)
			CheckProject(in, []Projection{{Dst: m(0, 2, 3, 3), W: w(3, 4), Bias: &b}})
		}, "has 2 elements"},
		"change": {func() {
			CheckProject(in, []Projection{{Dst: m(0, 2, 3, 3), W: w(3, 4), LowRank: []LowRank{change(2, 0)}}})
		}, ""},
		"change's rows": {func() {
			CheckProject(in, []Projection{{Dst: m(0, 2, 3, 3), W: w(3, 4), LowRank: []LowRank{change(2, 1)}}})
		}, "rows 1 to 3 of 2"},
		"change's shape": {func() { CheckEmbed(m(0, 2, 4, 4), w(3, 4), []int32{0, 2}, []LowRank{change(2, 0)}) }, "[3, 4], want [4, 3]"},
		"embed":          {func() { CheckEmbed(m(0, 2, 4, 4), w(3, 4), []int32{0, 2}, nil) }, ""},
		"embed id":       {func() { CheckEmbed(m(0, 2, 4, 4), w(3, 4), []int32{0, 3}, nil) }, "id 1 is 3 of 3"},
		"norm weight":    {func() { CheckRMSNorm(in, in, w(1, 5)) }, "weight has 5 elements"},
		"angles":         {func() { CheckRotaryAngles(in, []int32{1, 2}, make([]float64, 3)) }, "want [2, 6]"},
		"rotate":         {func() { CheckRotate(in, m(0, 2, 4, 4), 2) }, "angles of 4 columns for heads of 2"},
		"slot":           {func() { CheckStoreKV(layout, 0, in, in, []int32{0, 32}) }, "slot 1 is 32 of 32"},
		"layer":          {func() { CheckStoreKV(layout, 1, in, in, []int32{0, 1}) }, "layer 1 of 1"},
		"span pages":     {func() { CheckAttend(in, in, layout, 0, []Span{{Count: 2, Pos: 15, Pages: []int32{0}}}, Attention{}) }, "1 pages, 2 are needed"},
		"span rows":      {func() { CheckAttend(in, in, layout, 0, []Span{{First: 1, Count: 2, Pages: []int32{0}}}, Attention{}) }, "rows 1 to 3 of 2"},
		"gather":         {func() { CheckGatherRows(m(0, 2, 4, 4), in, []int32{1, 2}) }, "row 1 is 2 of 2"},
		"unknown type":   {func() { CheckEmbed(in, Tensor{Name: "t", Type: 9, Rows: 1, Cols: 32}, nil, nil) }, "Q8_1"},
		"page":           {func() { CheckPageBytes("ReadPage", layout, 2, make([]byte, 256)) }, "page 0 is 2 of 2"},
		"page bytes":     {func() { CheckPageBytes("WritePage", layout, 1, make([]byte, 255)) }, "255 bytes for a page of 256"},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				got, _ := recover().(string)
				if c.want == "" && got != "" || !strings.Contains(got, c.want) || got != "" && !strings.HasPrefix(got, "BUG: kernels: ") {
					t.Errorf("panic %q, want %q", got, c.want)
				}
			}()
			c.check()
		})
	}
}
