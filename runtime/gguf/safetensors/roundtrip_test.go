package safetensors

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/weft-run/weft/kernels/quant"
)

// TestRoundTrip: what is written is read again: names, shapes, metadata, and values rounded to the type; at aligned places; equal
// arguments in any order give equal bytes.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := map[string]TensorData{}
		for range rapid.IntRange(0, 6).Draw(t, "tensors") {
			d := TensorData{
				Name: rapid.StringMatching(`[a-zß."\\_0-9]{1,20}`).Draw(t, "name"),
				Type: rapid.SampledFrom([]DType{F32, F16, BF16}).Draw(t, "type"),
			}
			n := uint64(1)
			for _, dim := range rapid.SliceOfN(rapid.Uint64Range(1, 5), 0, 4).Draw(t, "shape") {
				d.Shape = append(d.Shape, dim)
				n *= dim
			}
			for range n {
				d.Values = append(d.Values, float32(rapid.IntRange(-2048, 2048).Draw(t, "value"))/256)
			}
			want[d.Name] = d
		}
		metadata := rapid.MapOfN(rapid.String(), rapid.String(), 0, 3).Draw(t, "metadata")
		var list, turned []TensorData
		for _, d := range want {
			list = append(list, d)
		}
		turned = slices.Clone(list)
		slices.Reverse(turned)
		var a, b bytes.Buffer
		for out, in := range map[*bytes.Buffer][]TensorData{&a: list, &b: turned} {
			if err := Write(out, metadata, in); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(a.Bytes(), b.Bytes()) {
			t.Fatal("another order gives other bytes")
		}
		h, err := ParseHeader(bytes.NewReader(a.Bytes()), int64(a.Len()), DefaultLimits())
		if err != nil {
			t.Fatal(err)
		}
		if len(h.Tensors) != len(want) || len(h.Metadata) != len(metadata) {
			t.Fatalf("%d tensors, metadata %q", len(h.Tensors), h.Metadata)
		}
		data := a.Bytes()[h.DataOffset:]
		for _, got := range h.Tensors {
			d := want[got.Name]
			if got.Type != d.Type || !slices.Equal(got.Shape, d.Shape) || (uint64(h.DataOffset)+got.Offset)%(dtypeBits[got.Type]/8) != 0 {
				t.Fatalf("%v at %d, want %v", got, got.Offset, d)
			}
			for i, x := range decode(data[got.Offset:], got) {
				tolerance := float32(0)
				if d.Type == BF16 {
					tolerance = float32(math.Abs(float64(d.Values[i]))) / 256 // half of its 8 bits
				}
				if diff := x - d.Values[i]; diff > tolerance || diff < -tolerance {
					t.Fatalf("%v: value %d is %v, want %v", got, i, x, d.Values[i])
				}
			}
		}
	})
}

// decode returns the elements of a tensor that b begins with.
func decode(b []byte, tensor Tensor) []float32 {
	typ, _ := tensor.Type.Quant()
	out := make([]float32, tensor.Elements())
	quant.Decode(typ, out, b[:tensor.Bytes])
	return out
}

// TestWriteRefuses: a file that this package would not read is not written.
func TestWriteRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		tensors []TensorData
		class   error
	}{
		"type":        {[]TensorData{{"a", "I8", []uint64{1}, []float32{1}}}, ErrUnsupported},
		"twice":       {[]TensorData{{"a", F32, []uint64{1}, []float32{1}}, {"a", F32, []uint64{1}, []float32{1}}}, ErrFormat},
		"no elements": {[]TensorData{{"a", F32, []uint64{0}, nil}}, ErrFormat},
		"shape":       {[]TensorData{{"a", F32, []uint64{3}, []float32{1}}}, ErrFormat},
		"no name":     {[]TensorData{{"", F32, []uint64{1}, []float32{1}}}, ErrFormat},
		"metadata":    {[]TensorData{{"__metadata__", F32, []uint64{1}, []float32{1}}}, ErrFormat},
	} {
		if err := Write(io.Discard, map[string]string{}, c.tensors); !errors.Is(err, c.class) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// referenceFile is what Hugging Face's safetensors 0.8.0 writes for {"a": float16 [1, -2], "b": bfloat16 [[3], [0.5]]}:
// python -c 'import torch; from safetensors.torch import save; print(save({"a": torch.tensor([1, -2], dtype=torch.float16), "b": torch.tensor([[3], [0.5]], dtype=torch.bfloat16)}))'
const referenceFile = "p\x00\x00\x00\x00\x00\x00\x00" +
	`{"b":{"dtype":"BF16","shape":[2,1],"data_offsets":[0,4]},"a":{"dtype":"F16","shape":[2],"data_offsets":[4,8]}}  ` + "@@\x00?\x00<\x00\xc0"

// TestDecodesWhatTheReferenceWrites: a file of the format's own library has the values that went in.
func TestDecodesWhatTheReferenceWrites(t *testing.T) {
	b := []byte(referenceFile)
	h, err := ParseHeader(bytes.NewReader(b), int64(len(b)), DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, tensor := range h.Tensors {
		got = append(got, fmt.Sprint(tensor, decode(b[uint64(h.DataOffset)+tensor.Offset:], tensor)))
	}
	if want := []string{`tensor "b" (BF16 [2 1]) [3 0.5]`, `tensor "a" (F16 [2]) [1 -2]`}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}
