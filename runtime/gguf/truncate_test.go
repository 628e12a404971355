package gguf

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// sample is a file with every kind of value, several tensors and a vocabulary of some KiB.
func sample(t testing.TB) []byte {
	t.Helper()
	pieces := make([]string, 700)
	for i := range pieces {
		pieces[i] = fmt.Sprintf("piece%d", i)
	}
	meta := []KV{
		{"general.architecture", "llama"},
		{"general.alignment", uint32(64)},
		{"u8", uint8(255)},
		{"i8", int8(-128)},
		{"u16", uint16(65535)},
		{"i16", int16(-32768)},
		{"u32", uint32(1 << 31)},
		{"i32", int32(-1)},
		{"f32", float32(0.5)},
		{"yes", true},
		{"no", false},
		{"u64", uint64(1 << 63)},
		{"i64", int64(-1 << 63)},
		{"f64", 0.1},
		{"empty", ""},
		{"tokens", pieces},
		{"scores", []float32{1, -2, 0.25}},
		{"types", []int32{1, 2, 3}},
		{"bytes", []uint8{1, 2}},
		{"i8s", []int8{-1}},
		{"u16s", []uint16{7}},
		{"i16s", []int16{-7}},
		{"u32s", []uint32{8}},
		{"u64s", []uint64{9}},
		{"i64s", []int64{-9}},
		{"f64s", []float64{1.5}},
		{"flags", []bool{true, false}},
		{"none", []string{}},
		{"nested", []any{[]string{"a", "b"}, []uint8{1}, []any{[]float32{2}}}},
	}
	var tensors []TensorData
	for i, spec := range []TensorSpec{
		{"token_embd.weight", 0, []uint64{32, 20}},
		{"blk.0.attn_q.weight", 2, []uint64{64, 3}},
		{"blk.0.attn_norm.weight", 0, []uint64{7}},
		{"blk.0.ffn_up.weight", 8, []uint64{32, 2, 2, 2}},
		{"output.weight", 1, []uint64{5, 1}},
	} {
		n, err := specBytes(spec)
		if err != nil {
			t.Fatal(err)
		}
		tensors = append(tensors, TensorData{spec, bytes.Repeat([]byte{byte(i + 1)}, int(n))})
	}
	var b bytes.Buffer
	if err := Write(&b, meta, tensors); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// H11: wherever a healthy file is cut, that is what the error says, so that whoever copies it may go on.
func TestH11TruncationAtEveryByteIsTold(t *testing.T) {
	whole := sample(t)
	h, err := parse(whole)
	if err != nil {
		t.Fatal(err)
	}
	last := h.Tensors[len(h.Tensors)-1]
	end := int(uint64(h.DataOffset) + last.Offset + last.Bytes)
	for n := range end {
		if _, err := parse(whole[:n]); !errors.Is(err, ErrTruncated) {
			t.Fatalf("cut at %d of %d bytes: error is %v, want one that is ErrTruncated", n, end, err)
		}
	}
	if _, err := parse(whole[:end]); err != nil {
		t.Errorf("without the padding behind the last tensor: %v", err)
	}
}

func TestH11TruncatedFilesAreNotMapped(t *testing.T) {
	whole := sample(t)
	path := filepath.Join(t.TempDir(), "m.gguf")
	for n := 0; n < len(whole)-DefaultAlignment*2; n += 1024 {
		if err := os.WriteFile(path, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path, DefaultLimits()); !errors.Is(err, ErrTruncated) {
			t.Fatalf("cut at %d of %d bytes: error is %v, want one that is ErrTruncated", n, len(whole), err)
		}
	}
}

// shrinking is a file that loses its end between the look at its size and the reading.
type shrinking struct{ *bytes.Reader }

func TestH11FileThatShrinksWhileItIsRead(t *testing.T) {
	whole := sample(t)
	_, err := ParseHeader(shrinking{bytes.NewReader(whole[:2000])}, int64(len(whole)), DefaultLimits())
	wantRefusal(t, err, ErrTruncated, "shrank")
}
