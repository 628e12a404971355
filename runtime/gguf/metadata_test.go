package gguf

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func metadata(t *testing.T, pairs ...KV) Metadata {
	t.Helper()
	m, err := NewMetadata(pairs...)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestGettersGiveDefaultsForAbsentKeys(t *testing.T) {
	var m Metadata
	if n, err := m.Uint("k", 7); n != 7 || err != nil {
		t.Error(n, err)
	}
	if s, err := m.Str("k", "d"); s != "d" || err != nil {
		t.Error(s, err)
	}
	if x, err := m.F32("k", 0.5); x != 0.5 || err != nil {
		t.Error(x, err)
	}
	if b, err := m.Bool("k", true); !b || err != nil {
		t.Error(b, err)
	}
	if l, err := m.Strings("k"); l != nil || err != nil {
		t.Error(l, err)
	}
	if l, err := m.F32s("k"); l != nil || err != nil {
		t.Error(l, err)
	}
	if l, err := m.I32s("k"); l != nil || err != nil {
		t.Error(l, err)
	}
	if m.Has("k") || len(m.Keys()) != 0 {
		t.Error("the zero value holds a key")
	}
}

func TestUintTakesAnyWidth(t *testing.T) {
	for _, x := range []any{uint8(5), int8(5), uint16(5), int16(5), uint32(5), int32(5), uint64(5), int64(5)} {
		if n, err := metadata(t, KV{"k", x}).Uint("k", 0); n != 5 || err != nil {
			t.Errorf("%T: %d, %v", x, n, err)
		}
	}
	for _, x := range []any{int8(-1), int16(-1), int32(-1), int64(-1)} {
		_, err := metadata(t, KV{"k", x}).Uint("k", 0)
		wantRefusal(t, err, ErrFormat, `key "k" is -1`)
	}
}

func TestGettersNameKeyFoundAndWanted(t *testing.T) {
	m := metadata(t, KV{"s", "text"}, KV{"n", uint32(1)}, KV{"l", []string{"a"}}, KV{"f", []float32{1, 2}}, KV{"x", 0.5})
	_, err := m.Uint("s", 0)
	wantRefusal(t, err, ErrFormat, `key "s" is string, want an integer`)
	_, err = m.Str("n", "")
	wantRefusal(t, err, ErrFormat, `key "n" is uint32, want a string`)
	_, err = m.F32("n", 0)
	wantRefusal(t, err, ErrFormat, `key "n" is uint32, want a float32`)
	_, err = m.Bool("l", false)
	wantRefusal(t, err, ErrFormat, `key "l" is array of 1 string, want a bool`)
	_, err = m.Strings("f")
	wantRefusal(t, err, ErrFormat, `key "f" is array of 2 float32, want an array of strings`)
	_, err = m.F32s("l")
	wantRefusal(t, err, ErrFormat, "want an array of float32")
	_, err = m.I32s("f")
	wantRefusal(t, err, ErrFormat, "want an array of integers")
	if x, err := m.F32("x", 0); x != 0.5 || err != nil {
		t.Errorf("a float64 as float32: %v, %v", x, err)
	}
}

func TestI32sTakesAnyWidthThatFits(t *testing.T) {
	want := []int32{1, 2}
	for _, x := range []any{[]uint8{1, 2}, []int8{1, 2}, []uint16{1, 2}, []int16{1, 2}, []uint32{1, 2}, []int32{1, 2}, []uint64{1, 2}, []int64{1, 2}} {
		got, err := metadata(t, KV{"k", x}).I32s("k")
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%T: %s %v", x, diff, err)
		}
	}
	for _, x := range []any{[]uint32{0, 1 << 31}, []uint64{0, math.MaxUint64}, []int64{0, math.MinInt64}, []int64{0, 1 << 32}} {
		_, err := metadata(t, KV{"k", x}).I32s("k")
		wantRefusal(t, err, ErrFormat, `key "k": element 1 is`, "int32")
	}
}

func TestKindNames(t *testing.T) {
	if s := Kind(99).String(); s != "kind 99" {
		t.Error(s)
	}
	v, err := ValueOf([]int8{1, 2, 3})
	if err != nil || v.Kind() != KindArray || v.Elem() != KindInt8 || v.Len() != 3 || v.TypeName() != "array of 3 int8" {
		t.Errorf("%v %v", v.TypeName(), err)
	}
}
