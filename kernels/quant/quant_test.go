package quant

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// computable returns the types that Decode and Encode know.
func computable() (types []Type) {
	for _, info := range infos {
		if info.Computable {
			types = append(types, info.Type)
		}
	}
	return types
}

func TestLookup(t *testing.T) {
	for id, info := range infos {
		if info.Name == "" {
			t.Errorf("id %d has no entry", id)
			continue
		}
		if int(info.Type) != id || info.BlockLen < 1 || info.BlockBytes < 1 || info.Computable && info.Removed {
			t.Errorf("id %d: %+v is not consistent", id, info)
		}
		for _, name := range []string{info.Name, strings.ToLower(info.Name)} {
			if typ, ok := Parse(name); !ok || typ != info.Type {
				t.Errorf("Parse(%q) = %v, %v", name, typ, ok)
			}
		}
		if got := info.Type.String(); got != info.Name {
			t.Errorf("String of id %d is %q, want %q", id, got, info.Name)
		}
	}
	for _, id := range []uint32{uint32(len(infos)), 99, 134, math.MaxUint32} {
		if info, ok := Lookup(id); ok {
			t.Errorf("Lookup(%d) = %+v, want nothing", id, info)
		}
	}
	if got := Type(99).String(); got != "type 99" {
		t.Errorf("Type(99) is %q", got)
	}
	if _, ok := Parse("type 99"); ok {
		t.Error("Parse knows type 99")
	}
	if n := len(computable()); n != 16 {
		t.Errorf("%d types are computable, want 16", n)
	}
}

func TestRowBytes(t *testing.T) {
	for _, c := range []struct {
		t    Type
		cols int
		want int
	}{{F32, 3, 12}, {Q4_1, 64, 40}, {Q6_K, 512, 420}, {Q8_0, 0, 0}} {
		if got := c.t.RowBytes(c.cols); got != c.want {
			t.Errorf("%s.RowBytes(%d) = %d, want %d", c.t, c.cols, got, c.want)
		}
	}
	defer func() {
		if r := recover(); r == nil || !strings.HasPrefix(r.(string), "BUG: ") {
			t.Errorf("RowBytes of half a block: recovered %v, want a BUG panic", r)
		}
	}()
	Q4_0.RowBytes(48)
}

func TestHalfRoundTrip(t *testing.T) {
	for h := range 1 << 16 {
		v := F16ToF32(uint16(h))
		if v != v {
			if h&0x7c00 != 0x7c00 || h&0x3ff == 0 {
				t.Fatalf("F16ToF32(%#x) is NaN", h)
			}
			if back := F32ToF16(v); F16ToF32(back) == F16ToF32(back) {
				t.Fatalf("F32ToF16 of the NaN %#x is %#x", h, back)
			}
		} else if back := F32ToF16(v); int(back) != h {
			t.Fatalf("F32ToF16(F16ToF32(%#x)) = %#x", h, back)
		}
		b := BF16ToF32(uint16(h))
		if back := F32ToBF16(b); int(back) != h && b == b {
			t.Fatalf("F32ToBF16(BF16ToF32(%#x)) = %#x", h, back)
		}
	}
}

// TestHalfRounding compares with the definition: of the two halves around a number the nearer one, of two as near the even.
func TestHalfRounding(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	check := func(f float32) {
		got := F32ToF16(f)
		a := math.Abs(float64(f))
		switch v := float64(F16ToF32(got &^ 0x8000)); {
		case math.Signbit(float64(f)) != (got&0x8000 != 0):
			t.Fatalf("F32ToF16(%x) lost the sign: %#x", f, got)
		case a >= 65520:
			if !math.IsInf(v, 1) {
				t.Fatalf("F32ToF16(%x) = %#x, want an infinity", f, got)
			}
		default:
			below, above := math.Inf(-1), float64(F16ToF32(got&0x7fff+1))
			if got&0x7fff > 0 {
				below = float64(F16ToF32(got&0x7fff - 1))
			}
			if math.IsInf(above, 1) {
				above = 65536
			}
			d := math.Abs(a - v)
			if other := min(math.Abs(a-below), math.Abs(a-above)); d > other || d == other && got&1 != 0 {
				t.Fatalf("F32ToF16(%x) = %#x, which is not the nearest", f, got)
			}
		}
	}
	for range 200_000 {
		check(math.Float32frombits(rng.Uint32() & 0xbfffffff))
		h := float64(F16ToF32(uint16(rng.UintN(0x7bff))))
		next := float64(F16ToF32(F32ToF16(float32(h)) + 1))
		check(float32((h + next) / 2))
		check(math.Nextafter32(float32((h+next)/2), 0))
		check(-math.Nextafter32(float32((h+next)/2), 1e9))
	}
	check(0)
	check(float32(math.Copysign(0, -1)))
	check(65519.996)
	check(65520)
}

// errorLimits are the largest root mean square errors, relative to that of the weights, that Encode may make on weights
// drawn from a normal distribution.
var errorLimits = map[Type]float64{
	F32: 0, F16: 2.5e-4, BF16: 1.8e-3, Q8_0: 0.0056, Q4_0: 0.088, Q4_1: 0.082, Q5_0: 0.044, Q5_1: 0.0395,
	Q2_K: 0.345, Q3_K: 0.163, Q4_K: 0.082, Q5_K: 0.040, Q6_K: 0.0196, IQ4_NL: 0.083, IQ4_XS: 0.083, MXFP4: 0.121,
}

func TestEncodeErrors(t *testing.T) {
	for _, typ := range computable() {
		t.Run(typ.String(), func(t *testing.T) {
			limit, ok := errorLimits[typ]
			if !ok {
				t.Fatal("no limit is stated")
			}
			for _, scale := range []float32{1, 0.02, 300} {
				rng := rand.New(rand.NewPCG(2, 3))
				src := make([]float32, 64*superBlock)
				var power float64
				for i := range src {
					src[i] = float32(rng.NormFloat64()) * scale
					power += float64(src[i]) * float64(src[i])
				}
				got := roundTrip(typ, src)
				var noise float64
				for i := range src {
					d := float64(src[i]) - float64(got[i])
					noise += d * d
				}
				if e := math.Sqrt(noise / power); e > limit {
					t.Errorf("scale %v: relative error %.5f, limit %v", scale, e, limit)
				} else {
					t.Logf("scale %v: relative error %.5f", scale, e)
				}
			}
		})
	}
}

func roundTrip(typ Type, src []float32) []float32 {
	blocks := make([]byte, typ.RowBytes(len(src)))
	Encode(typ, blocks, src)
	got := make([]float32, len(src))
	Decode(typ, got, blocks)
	return got
}

// TestEncodeOdd encodes what an encoder may stumble on: every result must be finite where the weights are.
func TestEncodeOdd(t *testing.T) {
	fill := func(f func(i int) float32) []float32 {
		src := make([]float32, superBlock)
		for i := range src {
			src[i] = f(i)
		}
		return src
	}
	cases := map[string][]float32{
		"zero":     fill(func(int) float32 { return 0 }),
		"constant": fill(func(int) float32 { return 0.25 }),
		"negative": fill(func(i int) float32 { return -1 - float32(i)/64 }),
		"positive": fill(func(i int) float32 { return 1 + float32(i)/64 }),
		"tiny":     fill(func(i int) float32 { return float32(i-128) * 1e-12 }),
		"subnormal": fill(func(i int) float32 {
			return math.Float32frombits(uint32(i))
		}),
		"one": fill(func(i int) float32 {
			if i == 77 {
				return -3
			}
			return 0
		}),
	}
	for name, src := range cases {
		for _, typ := range computable() {
			for i, v := range roundTrip(typ, src) {
				if v-v != 0 {
					t.Errorf("%s in %s: weight %d is %v", name, typ, i, v)
					break
				}
				if name == "zero" && v != 0 || name == "one" && i != 77 && math.Abs(float64(v)) > 0.25 {
					t.Errorf("%s in %s: weight %d is %v", name, typ, i, v)
					break
				}
			}
		}
	}
	// Not finite: nothing is promised but an end.
	inf := float32(math.Inf(1))
	for _, bad := range []float32{inf, -inf, float32(math.NaN()), math.MaxFloat32} {
		for _, typ := range computable() {
			roundTrip(typ, fill(func(i int) float32 { return bad * float32(i%3) }))
		}
	}
}

// FuzzDecode decodes any bytes as every type, and checks that a row is its blocks: decoding one by one gives the same.
func FuzzDecode(f *testing.F) {
	seed := make([]byte, 420)
	rng := rand.New(rand.NewPCG(4, 5))
	for i := 0; i < len(seed); i += 4 {
		binary.LittleEndian.PutUint32(seed[i:], rng.Uint32())
	}
	for _, typ := range computable() {
		f.Add(uint32(typ), seed)
	}
	f.Fuzz(func(t *testing.T, id uint32, src []byte) {
		info, ok := Lookup(id)
		if !ok || !info.Computable {
			return
		}
		blocks := len(src) / info.BlockBytes
		src = src[:blocks*info.BlockBytes]
		row := make([]float32, blocks*info.BlockLen)
		Decode(info.Type, row, src)
		one := make([]float32, info.BlockLen)
		for b := range blocks {
			Decode(info.Type, one, src[b*info.BlockBytes:(b+1)*info.BlockBytes])
			for i, v := range one {
				if !sameBits(v, row[b*info.BlockLen+i]) {
					t.Fatalf("%s: block %d alone differs at weight %d", info.Name, b, i)
				}
			}
		}
		back := make([]byte, len(src))
		Encode(info.Type, back, row)
	})
}

func BenchmarkDecode(b *testing.B) {
	src := make([]float32, 16*superBlock)
	rng := rand.New(rand.NewPCG(6, 7))
	for i := range src {
		src[i] = float32(rng.NormFloat64())
	}
	for _, typ := range computable() {
		b.Run(typ.String(), func(b *testing.B) {
			blocks := make([]byte, typ.RowBytes(len(src)))
			Encode(typ, blocks, src)
			dst := make([]float32, len(src))
			b.SetBytes(int64(len(blocks)))
			for b.Loop() {
				Decode(typ, dst, blocks)
			}
		})
	}
}
