package quant

import (
	"bufio"
	"encoding/hex"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"
)

// lines returns the fields of each line of a file in testdata that testdata/golden.py wrote.
func lines(t *testing.T, name string) [][]string {
	t.Helper()
	f, err := os.Open("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out [][]string
	scan := bufio.NewScanner(f)
	scan.Buffer(nil, 1<<20)
	for scan.Scan() {
		if line := scan.Text(); !strings.HasPrefix(line, "#") {
			out = append(out, strings.Fields(line))
		}
	}
	if err := scan.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func weights(t *testing.T, fields []string) []float32 {
	t.Helper()
	out := make([]float32, len(fields))
	for i, f := range fields {
		if f == "nan" {
			out[i] = float32(math.NaN())
			continue
		}
		bits, err := strconv.ParseUint(f, 16, 32)
		if err != nil {
			t.Fatal(err)
		}
		out[i] = math.Float32frombits(uint32(bits))
	}
	return out
}

// sameBits compares weights with NaN as one class.
func sameBits(a, b float32) bool {
	return math.Float32bits(a) == math.Float32bits(b) || a != a && b != b
}

func TestDecodeGolden(t *testing.T) {
	seen := map[Type]int{}
	for _, line := range lines(t, "decode.txt") {
		typ, ok := Parse(line[0])
		if !ok {
			t.Fatalf("type %q is not known", line[0])
		}
		src, want := unhex(t, line[1]), weights(t, line[2:])
		got := make([]float32, len(want))
		Decode(typ, got, src)
		for i := range want {
			if !sameBits(got[i], want[i]) {
				t.Errorf("%s: block %s: weight %d is %x, want %x", typ, line[1][:8], i, got[i], want[i])
				break
			}
		}
		seen[typ]++
	}
	for _, info := range infos {
		if info.Computable && info.Type != F32 && seen[info.Type] == 0 {
			t.Errorf("decode.txt has no block of %s", info.Name)
		}
	}
}

func TestEncodeGolden(t *testing.T) {
	var input []float32
	for _, line := range lines(t, "encode.txt") {
		if line[0] == "input" {
			input = weights(t, line[1:])
			continue
		}
		typ, _ := Parse(line[0])
		want := unhex(t, line[1])
		got := make([]byte, typ.RowBytes(len(input)))
		Encode(typ, got, input)
		if hex.EncodeToString(got) != line[1] {
			t.Errorf("%s of %x...:\n got %x\nwant %x", typ, input[0], got, want)
		}
	}
}
