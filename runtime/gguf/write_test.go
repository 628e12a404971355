package gguf

import (
	"bytes"
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/weft-run/weft/kernels/quant"
)

func TestWriterRoundTrip(t *testing.T) {
	h, err := parse(sample(t))
	if err != nil {
		t.Fatal(err)
	}
	if h.Version != 3 || h.Alignment != 64 || h.DataOffset%64 != 0 {
		t.Errorf("version %d, alignment %d, data at %d", h.Version, h.Alignment, h.DataOffset)
	}
	want := map[string]any{
		"u8": uint8(255), "i8": int8(-128), "u16": uint16(65535), "i16": int16(-32768), "u32": uint32(1 << 31),
		"i32": int32(-1), "f32": float32(0.5), "yes": true, "no": false, "u64": uint64(1 << 63), "i64": int64(-1 << 63),
		"f64": 0.1, "empty": "", "scores": []float32{1, -2, 0.25}, "types": []int32{1, 2, 3}, "bytes": []uint8{1, 2},
		"i8s": []int8{-1}, "u16s": []uint16{7}, "i16s": []int16{-7}, "u32s": []uint32{8}, "u64s": []uint64{9},
		"i64s": []int64{-9}, "f64s": []float64{1.5}, "flags": []bool{true, false}, "none": []string{},
	}
	for key, x := range want {
		v, ok := h.Meta.Get(key)
		if !ok {
			t.Errorf("key %q is lost", key)
			continue
		}
		if diff := cmp.Diff(x, v.Any()); diff != "" {
			t.Errorf("key %q: %s", key, diff)
		}
	}
	nested, _ := h.Meta.Get("nested")
	if got := nested.TypeName(); got != "array of 3 array" {
		t.Errorf("nested is %s", got)
	}
	inner := nested.Any().([]Value)[2].Any().([]Value)[0]
	if diff := cmp.Diff([]float32{2}, inner.Any()); diff != "" {
		t.Error(diff)
	}
	if keys := h.Meta.Keys(); keys[0] != "general.architecture" || len(keys) != 29 {
		t.Errorf("keys are %q", keys)
	}
}

// Whatever the writer takes, the reader gives back; what is read and written again is the same bytes.
func TestWriterRoundTripOfAnyFile(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		meta := rapid.SliceOfNDistinct(rapid.Custom(drawPair), 0, 8, func(kv KV) string { return kv.Key }).Draw(t, "meta")
		if rapid.Bool().Draw(t, "aligned") {
			meta = append(meta, KV{keyAlignment, rapid.SampledFrom([]uint32{8, 16, 32, 64, 4096}).Draw(t, "alignment")})
		}
		tensors := rapid.SliceOfNDistinct(rapid.Custom(drawTensor), 0, 6, func(d TensorData) string { return d.Name }).Draw(t, "tensors")
		var first bytes.Buffer
		if err := Write(&first, meta, tensors); err != nil {
			t.Fatal(err)
		}
		h, err := parse(first.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		var again []KV
		for i, key := range h.Meta.Keys() {
			if key != meta[i].Key {
				t.Fatalf("key %d is %q, want %q", i, key, meta[i].Key)
			}
			v, _ := h.Meta.Get(key)
			again = append(again, KV{key, v})
		}
		for i, info := range h.Tensors {
			start := uint64(h.DataOffset) + info.Offset
			if got := first.Bytes()[start : start+info.Bytes]; !bytes.Equal(got, tensors[i].Data) {
				t.Fatalf("tensor %q: data differs", info.Name)
			}
		}
		var second bytes.Buffer
		if err := Write(&second, again, tensors); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(first.Bytes(), second.Bytes()) {
			t.Fatal("written again, the file has other bytes")
		}
	})
}

func drawPair(t *rapid.T) KV {
	key := rapid.StringMatching(`[a-z]{1,4}(\.[a-z]{1,4}){0,2}`).Draw(t, "key")
	value := rapid.OneOf(
		rapid.Uint8().AsAny(), rapid.Int8().AsAny(), rapid.Uint16().AsAny(), rapid.Int16().AsAny(), rapid.Uint32().AsAny(),
		rapid.Int32().AsAny(), rapid.Float32().AsAny(), rapid.Bool().AsAny(), rapid.String().AsAny(), rapid.Uint64().AsAny(),
		rapid.Int64().AsAny(), rapid.Float64().AsAny(), rapid.SliceOf(rapid.String()).AsAny(), rapid.SliceOf(rapid.Int16()).AsAny(),
		rapid.SliceOf(rapid.Float32()).AsAny(), rapid.SliceOf(rapid.Bool()).AsAny(),
		rapid.Custom(func(t *rapid.T) []any {
			return []any{rapid.SliceOf(rapid.Uint64()).Draw(t, "inner"), []any{rapid.SliceOf(rapid.String()).Draw(t, "innermost")}}
		}).AsAny(),
	).Draw(t, "value")
	return KV{key, value}
}

func drawTensor(t *rapid.T) TensorData {
	dims := rapid.SliceOfN(rapid.Uint64Range(1, 5), 1, 4).Draw(t, "dims")
	spec := TensorSpec{Name: rapid.StringMatching(`[a-z]{1,5}`).Draw(t, "name"), Dims: dims}
	switch rapid.IntRange(0, 2).Draw(t, "type") {
	case 1:
		spec.Type = 2 // Q4_0
		dims[0] *= 32
	case 2:
		spec.Type = 14 // Q6_K
		dims[0] *= 256
	}
	n, err := specBytes(spec)
	if err != nil {
		t.Fatal(err)
	}
	return TensorData{spec, rapid.SliceOfN(rapid.Byte(), int(n), int(n)).Draw(t, "data")}
}

func TestWriterRefusesWhatTheReaderRefuses(t *testing.T) {
	ok := TensorSpec{"t", 0, []uint64{8}}
	spec := func(name string, id uint32, dims ...uint64) []TensorSpec {
		return []TensorSpec{{name, quant.Type(id), dims}}
	}
	for name, c := range map[string]struct {
		meta    []KV
		tensors []TensorSpec
		class   error
		says    []string
	}{
		"key twice":         {[]KV{{"a", true}, {"a", true}}, nil, ErrFormat, says(`key "a"`, "twice")},
		"key empty":         {[]KV{{"", true}}, nil, ErrFormat, says("empty")},
		"key too long":      {[]KV{{strings.Repeat("k", 1<<16), true}}, nil, ErrFormat, says("65536", "limit of 65535")},
		"arrays too deep":   {[]KV{{"a", []any{[]any{[]any{[]any{[]uint8{1}}}}}}}, nil, ErrFormat, says("nested 5 deep")},
		"alignment 0":       {[]KV{{keyAlignment, uint32(0)}}, nil, ErrFormat, says(keyAlignment, "is 0")},
		"alignment 3":       {[]KV{{keyAlignment, uint32(3)}}, spec("t", 0, 8), ErrFormat, says(keyAlignment, "is 3")},
		"alignment 2^63":    {[]KV{{keyAlignment, uint64(1 << 63)}}, []TensorSpec{{"a", 0, []uint64{8}}, {"b", 0, []uint64{8}}}, ErrFormat, says("beyond")},
		"tensor twice":      {nil, []TensorSpec{ok, ok}, ErrFormat, says(`tensor "t"`, "twice")},
		"tensor name empty": {nil, spec("", 0, 8), ErrFormat, says("empty")},
		"tensor name long":  {nil, spec(strings.Repeat("n", 256), 0, 8), ErrFormat, says("256", "limit of 255")},
		"no dimensions":     {nil, spec("t", 0), ErrFormat, says("0 dimensions")},
		"five dimensions":   {nil, spec("t", 0, 1, 1, 1, 1, 1), ErrFormat, says("5 dimensions")},
		"dimension 0":       {nil, spec("t", 0, 4, 0), ErrFormat, says("dimension 1", "is 0")},
		"dimension 2^63":    {nil, spec("t", 24, 1<<63), ErrFormat, says("2^63-1")},
		"size wraps":        {nil, spec("t", 0, 1<<40, 1<<40), ErrFormat, says("2^63-1")},
		"sizes add up":      {nil, []TensorSpec{{"a", 24, []uint64{math.MaxInt64}}, {"b", 24, []uint64{math.MaxInt64}}}, ErrFormat, says("limit of")},
		"half a block":      {nil, spec("t", 2, 16), ErrFormat, says("row length 16")},
		"type unknown":      {nil, spec("t", 99, 32), ErrUnsupported, says("type id 99")},
		"type removed":      {nil, spec("t", 31, 32), ErrUnsupported, says("Q4_0_4_4")},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			_, err := NewWriter(&b, c.meta, c.tensors)
			wantRefusal(t, err, c.class, c.says...)
			if b.Len() != 0 {
				t.Errorf("%d bytes were written all the same", b.Len())
			}
		})
	}
	if _, err := NewWriter(io.Discard, []KV{{"a", struct{}{}}}, nil); err == nil || !strings.Contains(err.Error(), `key "a"`) {
		t.Errorf("a value of no kind: %v", err)
	}
	if _, err := NewWriter(io.Discard, []KV{{"a", []any{1}}}, nil); err == nil {
		t.Error("an array of ints was written")
	}
	if _, err := NewWriter(io.Discard, []KV{{"a", []any{true}}}, nil); err == nil {
		t.Error("an array of any scalars was written")
	}
}

func TestWriterTakesDataInPieces(t *testing.T) {
	specs := []TensorSpec{{"a", 24, []uint64{5}}, {"b", 24, []uint64{70}}, {"c", 24, []uint64{1}}}
	data := make([]byte, 76)
	for i := range data {
		data[i] = byte(i + 1)
	}
	write := func(piece int) []byte {
		var b bytes.Buffer
		w, err := NewWriter(&b, nil, specs)
		if err != nil {
			t.Fatal(err)
		}
		if got := w.Tensors()[2].Offset; got != 128 {
			t.Errorf("third tensor is at %d", got)
		}
		for rest := data; len(rest) > 0; rest = rest[min(piece, len(rest)):] {
			if _, err := w.Write(rest[:min(piece, len(rest))]); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte{1}); !errors.Is(err, ErrFormat) {
			t.Errorf("a byte too much: %v", err)
		}
		return b.Bytes()
	}
	whole := write(len(data))
	if !bytes.Equal(write(1), whole) || !bytes.Equal(write(7), whole) {
		t.Error("the size of the pieces changes the file")
	}
	h, err := parse(whole)
	if err != nil {
		t.Fatal(err)
	}
	if at := uint64(h.DataOffset) + h.Tensors[1].Offset; !bytes.Equal(whole[at:at+70], data[5:75]) {
		t.Error("second tensor is not where it should be")
	}
}

func TestWriterNamesWhatLacks(t *testing.T) {
	err := Write(io.Discard, nil, []TensorData{{TensorSpec{"t", 0, []uint64{8}}, make([]byte, 31)}})
	wantRefusal(t, err, ErrFormat, `tensor "t"`, "31 bytes", "32")
	w, err := NewWriter(io.Discard, nil, []TensorSpec{{"t", 0, []uint64{8}}})
	check(t, err)
	_, err = w.Write(make([]byte, 30))
	check(t, err)
	wantRefusal(t, w.Close(), ErrTruncated, `tensor "t"`, "30 of 32")
}

// full is a disk that is full after n bytes.
type full struct{ n int }

func (f *full) Write(p []byte) (int, error) {
	if len(p) > f.n {
		n := f.n
		f.n = 0
		return n, errFull
	}
	f.n -= len(p)
	return len(p), nil
}

var errFull = errors.New("no space left")

func TestWriterOnAFullDisk(t *testing.T) {
	tensors := []TensorData{{TensorSpec{"t", 24, []uint64{50}}, make([]byte, 50)}}
	var b bytes.Buffer
	check(t, Write(&b, nil, tensors))
	for n := range b.Len() {
		if err := Write(&full{n}, nil, tensors); !errors.Is(err, errFull) {
			t.Fatalf("full after %d bytes: %v", n, err)
		}
	}
}
