package gguf

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/weft-run/weft/kernels/quant"
)

// weightsFile is a file of tensors of several types, all zero but for what damage does to the data of one of them.
func weightsFile(t *testing.T, tensor string, damage func(data []byte)) []byte {
	t.Helper()
	var tensors []TensorData
	for _, spec := range []TensorSpec{
		{"norm", quant.F32, []uint64{7}},
		{"q4_0", quant.Q4_0, []uint64{64, 3}},
		{"integers", 26, []uint64{5}},
		{"q6_k", quant.Q6_K, []uint64{256, 2}},
		{"bf16", quant.BF16, []uint64{3, 3}},
	} {
		n, err := specBytes(spec)
		if err != nil {
			t.Fatal(err)
		}
		data := make([]byte, n)
		if spec.Name == "integers" {
			data = bytes.Repeat([]byte{0xff}, int(n)) // as float32 these would be no numbers
		}
		if spec.Name == tensor {
			damage(data)
		}
		tensors = append(tensors, TensorData{spec, data})
	}
	var b bytes.Buffer
	if err := Write(&b, nil, tensors); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// H18: whatever the pieces in which a file is read, the first damaged block is found and named.
func TestH18DamagedWeightsAreNamed(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 18))
	for name, c := range map[string]struct {
		tensor string
		at     int // byte of the tensor from which two are 0xff
		says   []string
	}{
		"nothing":           {"", 0, nil},
		"only weights":      {"q4_0", 2, nil},
		"norm":              {"norm", 18, says(`tensor "norm"`, "block 4 of type F32 (row 0, weight 4)", "weight that is infinite or not a number", "convert it again")},
		"scale of a block":  {"q4_0", 18 * 3, says(`tensor "q4_0"`, "block 3 of type Q4_0 (row 1, weight 32)", "a scale that is infinite")},
		"last block":        {"q4_0", 18 * 5, says("block 5", "row 2")},
		"super-block":       {"q6_k", 2*210 - 2, says(`tensor "q6_k"`, "block 1 of type Q6_K (row 1, weight 0)")},
		"last of the file":  {"bf16", 16, says(`tensor "bf16"`, "block 8 of type BF16 (row 2, weight 2)")},
		"first of the file": {"norm", 2, says("block 0")},
	} {
		t.Run(name, func(t *testing.T) {
			file := weightsFile(t, c.tensor, func(data []byte) { data[c.at], data[c.at+1] = 0xff, 0xff })
			path := filepath.Join(t.TempDir(), "m.gguf")
			if err := os.WriteFile(path, file, 0o600); err != nil {
				t.Fatal(err)
			}
			f, err := Open(path, DefaultLimits())
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			for range 50 {
				check := f.CheckWeights(0)
				var found error
				most := 1 + random.IntN(300)
				for rest := file; len(rest) > 0 && found == nil; {
					n := min(1+random.IntN(most), len(rest))
					_, found = check.Write(rest[:n])
					rest = rest[n:]
				}
				if c.says == nil {
					if found != nil {
						t.Fatal(found)
					}
					continue
				}
				wantRefusal(t, found, ErrDamaged, c.says...)
				if _, again := check.Write([]byte{0}); !errors.Is(again, ErrDamaged) {
					t.Fatalf("behind the damage: %v", again)
				}
			}
		})
	}
}

func BenchmarkCheckWeights(b *testing.B) {
	const mib = 1 << 20
	piece := make([]byte, mib)
	for _, kind := range []quant.Type{quant.F32, quant.Q4_0} {
		b.Run(fmt.Sprint(kind), func(b *testing.B) {
			info := kind.Info()
			b.SetBytes(mib)
			for b.Loop() {
				c := &WeightCheck{tensors: []TensorInfo{{Name: "t", Type: kind, Dims: []uint64{uint64(info.BlockLen)}, Bytes: uint64(mib / info.BlockBytes * info.BlockBytes)}}}
				if _, err := c.Write(piece); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
