package kerneltest

import (
	"fmt"
	"math"
	"testing"

	"github.com/weft-run/weft/kernels/ref"
)

// lengths are those of element-wise operations.
const lengths = 67

// TestRMSNorm holds a level's RMSNorm against ref.RMSNorm.
func TestRMSNorm(t *testing.T, f func(dst, x, weight []float32, eps float32)) {
	r := Rand()
	for _, k := range Kinds() {
		for n := 1; n <= lengths; n++ {
			x, weight := Floats(r, k, n), Floats(r, Normal, n)
			want := make([]float32, n)
			ref.RMSNorm(want, x, weight, 1e-5)
			got, check := Guarded(n, n%9, mark)
			f(got, shift(x, n%5), shift(weight, n%3), 1e-5)
			what := fmt.Sprintf("%d %s values", n, k)
			Equal(t, what, got, want)
			check(t, what)
			f(x, x, weight, 1e-5)
			Equal(t, what+" in place", x, want)
		}
	}
}

// TestSiluMul holds a level's SiluMul against ref.SiluMul.
func TestSiluMul(t *testing.T, f func(dst, gate, up []float32)) {
	r := Rand()
	for _, k := range Kinds() {
		for n := range lengths {
			gate, up := Floats(r, k, n), Floats(r, k, n)
			want := make([]float32, n)
			ref.SiluMul(want, gate, up)
			got, check := Guarded(n, n%9, mark)
			f(got, shift(gate, n%5), shift(up, n%3))
			what := fmt.Sprintf("%d %s values", n, k)
			Equal(t, what, got, want)
			check(t, what)
			f(up, gate, up)
			Equal(t, what+" in place", up, want)
		}
	}
	// Every exponent and the borders of exp.
	gate := []float32{-88, -87.33654, -87.3365479, -87.4, 87.33654, 88.72283, 88.7228394, 88.73, -104, 104}
	for e := -149; e < 128; e++ {
		v := float32(math.Ldexp(1.37, e))
		gate = append(gate, v, -v)
	}
	for range 20000 {
		gate = append(gate, float32(r.Float64()*180-90))
	}
	up := Floats(r, Normal, len(gate))
	want, got := make([]float32, len(gate)), make([]float32, len(gate))
	ref.SiluMul(want, gate, up)
	f(got, gate, up)
	Equal(t, "all exponents", got, want)
}

// TestDivide holds a level's Divide against ref.Divide.
func TestDivide(t *testing.T, f func(dst, x []float32, by float32)) {
	r := Rand()
	for _, k := range Kinds() {
		for n := range lengths {
			x := Floats(r, k, n)
			for _, by := range append(Floats(r, k, 3), 3, 0, 1e-42, float32(math.Inf(1)), float32(math.NaN())) {
				want := make([]float32, n)
				ref.Divide(want, x, by)
				got, check := Guarded(n, n%9, mark)
				f(got, shift(x, n%5), by)
				what := fmt.Sprintf("%d %s values by %v", n, k, by)
				Equal(t, what, got, want)
				check(t, what)
			}
		}
	}
}

// TestAdd holds a level's Add against ref.Add.
func TestAdd(t *testing.T, f func(dst, x []float32)) {
	r := Rand()
	for _, k := range Kinds() {
		for n := range lengths {
			a, x := Floats(r, k, n), Floats(r, k, n)
			want := append([]float32(nil), a...)
			ref.Add(want, x)
			got, check := Guarded(n, n%9, mark)
			copy(got, a)
			f(got, shift(x, n%5))
			what := fmt.Sprintf("%d %s values", n, k)
			Equal(t, what, got, want)
			check(t, what)
		}
	}
}

// TestRotate holds a level's RotateAdjacent or RotateHalves against the reference's.
func TestRotate(t *testing.T, f, reference func(x, cos, sin []float32)) {
	r := Rand()
	for _, k := range Kinds() {
		for n := range lengths {
			x, cos, sin := Floats(r, k, 2*n), Floats(r, Normal, n), Floats(r, Normal, n)
			want := append([]float32(nil), x...)
			reference(want, cos, sin)
			got, check := Guarded(2*n, n%9, mark)
			copy(got, x)
			f(got, shift(cos, n%5), shift(sin, n%3))
			what := fmt.Sprintf("%d pairs of %s values", n, k)
			Equal(t, what, got, want)
			check(t, what)
		}
	}
}

// TestHalvesToFloats holds a level's HalvesToFloats against ref.HalvesToFloats, for every half.
func TestHalvesToFloats(t *testing.T, f func(dst []float32, stride int, src []uint16, cols int)) {
	all := make([]uint16, 1<<16)
	for i := range all {
		all[i] = uint16(i)
	}
	for _, cols := range []int{1, 5, 8, 16, 24, 64, 1 << 12} {
		rows := min(len(all)/cols, 100)
		if cols == 1<<12 {
			rows = 16
		}
		for _, gap := range []int{0, 3} {
			want, _ := Guarded(rows*(cols+gap), 0, mark)
			ref.HalvesToFloats(want, cols+gap, all[:rows*cols], cols)
			got, check := Guarded(rows*(cols+gap), cols%9, mark)
			f(got, cols+gap, shift(all[:rows*cols], cols%5), cols)
			what := fmt.Sprintf("%d rows of %d halves", rows, cols)
			Equal(t, what, got, want)
			check(t, what)
		}
	}
}

// TestFloatsToHalves holds a level's FloatsToHalves against ref.FloatsToHalves.
func TestFloatsToHalves(t *testing.T, f func(dst []uint16, src []float32)) {
	r := Rand()
	var src []float32
	for _, k := range Kinds() {
		src = append(src, Floats(r, k, 500)...)
	}
	for range 5000 { // of the magnitudes that halves have, ties included
		v := float32(math.Ldexp(r.NormFloat64(), r.IntN(44)-27))
		bits := math.Float32bits(v)
		src = append(src, v, math.Float32frombits(bits&^0x1fff), math.Float32frombits(bits&^0x1fff|0x1000))
	}
	for n := range lengths {
		floatsToHalves(t, f, src[n:2*n])
	}
	floatsToHalves(t, f, src)
}

func floatsToHalves(t *testing.T, f func(dst []uint16, src []float32), src []float32) {
	n := len(src)
	want := make([]uint16, n)
	ref.FloatsToHalves(want, src)
	got, check := Guarded[uint16](n, n%17, 7777)
	f(got, shift(src, n%5))
	what := fmt.Sprintf("%d values", n)
	check(t, what)
	for i := range want {
		if nan := src[i] != src[i]; nan && got[i]&0x7fff > 0x7c00 {
			continue
		}
		if got[i] != want[i] {
			t.Fatalf("%s: %g becomes %#04x, want %#04x", what, src[i], got[i], want[i])
		}
	}
}
