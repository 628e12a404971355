package ref_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weft-run/weft/kernels/kerneltest"
	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/kernels/ref"
)

var update = flag.Bool("update", false, "rewrite the golden file: only together with a change of ref.Version, once it is frozen")

// source makes inputs by integer arithmetic alone, so that they are the same on every architecture.
type source struct{ *rand.Rand }

func (s source) floats(n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(math.Ldexp(float64(int32(s.Uint32())), -30-s.IntN(5)))
	}
	return x
}

func (s source) weights(t quant.Type, rows, cols int) []byte {
	w := make([]byte, rows*t.RowBytes(cols))
	quantized := s.floats(rows * cols)
	size := t.RowBytes(cols)
	for r := range rows {
		quant.Encode(t, w[r*size:(r+1)*size], quantized[r*cols:(r+1)*cols])
	}
	return w
}

// TestGolden holds the bits of every operation against a committed list of hashes: nobody changes a result by accident,
// and all architectures have the same.
func TestGolden(t *testing.T) {
	var out bytes.Buffer
	fmt.Fprintf(&out, "# SHA-256 (16 digits) of the results of each operation on seeded inputs, %s. go test ./kernels/ref -update\n", ref.Version)
	line := func(name string, results ...[]float32) {
		h := sha256.New()
		for _, r := range results {
			_ = binary.Write(h, binary.LittleEndian, r)
		}
		fmt.Fprintf(&out, "%-16s %x\n", name, h.Sum(nil)[:8])
	}
	const rows, cols = 7, 768
	for _, typ := range quant.Computable() {
		s := source{rand.New(rand.NewPCG(1, uint64(typ)))}
		x, w, got := s.floats(cols), s.weights(typ, rows, cols), make([]float32, rows)
		if form := ref.FormOf(typ); form == ref.Float {
			ref.RowsFloat(typ, got, w, x)
		} else {
			q := kerneltest.Quants(x, 1, form.BlockLen())
			ref.RowsQuant(typ, got, w, &q)
		}
		line(typ.String(), got)
	}
	s := source{rand.New(rand.NewPCG(1, 1000))}
	x, y, got := s.floats(cols+3), s.floats(cols+3), make([]float32, cols+3)
	ref.RMSNorm(got, x, y, 1e-5)
	line("RMSNorm", got)
	ref.SiluMul(got, x, y)
	line("SiluMul", got)
	freqs := []float64{1, 0.3, 0.01, 1e-4}
	var angles []float32
	for _, p := range []int32{0, 1, 999, 1 << 20, math.MaxInt32} {
		a := make([]float32, 8)
		ref.Angles(a, p, freqs, 1.25)
		angles = append(angles, a...)
	}
	line("Angles", angles)
	adjacent, halves := append([]float32(nil), x[:32]...), append([]float32(nil), x[:32]...)
	ref.RotateAdjacent(adjacent, y[:16], y[16:32])
	ref.RotateHalves(halves, y[:16], y[16:32])
	line("Rotate", adjacent, halves)
	const dim = 64
	for _, n := range []int{1, 63, 65, 600} {
		q, k, v, dst := s.floats(dim), s.floats(n*dim), s.floats(n*dim), make([]float32, dim)
		ref.Attend(dst, q, k, v, 0.125, 0, 0)
		line(fmt.Sprintf("Attend %d", n), dst)
	}
	name := filepath.Join("testdata", "golden.txt")
	if *update {
		if err := os.WriteFile(name, out.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), out.String()); diff != "" {
		t.Errorf("results have changed (-committed +now):\n%s", diff)
	}
}
