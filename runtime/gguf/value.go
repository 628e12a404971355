package gguf

import (
	"fmt"
	"math"
)

// Kind is the type of a metadata value as it stands in the file.
type Kind uint32

// The kinds of GGUF.
const (
	KindUint8 Kind = iota
	KindInt8
	KindUint16
	KindInt16
	KindUint32
	KindInt32
	KindFloat32
	KindBool
	KindString
	KindArray
	KindUint64
	KindInt64
	KindFloat64
)

// kindInfo holds the names and the sizes in the file; size is the least number of bytes that a string or array takes.
var kindInfo = [...]struct {
	name string
	size uint64
}{
	KindUint8: {"uint8", 1}, KindInt8: {"int8", 1}, KindUint16: {"uint16", 2}, KindInt16: {"int16", 2},
	KindUint32: {"uint32", 4}, KindInt32: {"int32", 4}, KindFloat32: {"float32", 4}, KindBool: {"bool", 1},
	KindString: {"string", 8}, KindArray: {"array", 12}, KindUint64: {"uint64", 8}, KindInt64: {"int64", 8},
	KindFloat64: {"float64", 8},
}

func (k Kind) known() bool { return int(k) < len(kindInfo) }

// String is the name of the kind: "uint32"; "kind 99" for an unknown one.
func (k Kind) String() string {
	if !k.known() {
		return fmt.Sprintf("kind %d", uint32(k))
	}
	return kindInfo[k].name
}

// Value is one metadata value. It is immutable: slices that it gives out are shared and must not be written.
type Value struct {
	kind Kind
	elem Kind   // of an array
	bits uint64 // of a scalar: integers sign-extended, floats as their own bits
	str  string
	list any // of an array: []uint8 ... []float64, []bool, []string, or []Value for an array of arrays
	n    int // of an array: its length
}

// Kind is the kind of the value.
func (v Value) Kind() Kind { return v.kind }

// Elem is the kind of an array's elements.
func (v Value) Elem() Kind { return v.elem }

// Len is the number of an array's elements, 0 for anything else.
func (v Value) Len() int { return v.n }

// TypeName says what the value is, as errors and `weft inspect` do: "uint32", "array of 512 float32".
func (v Value) TypeName() string {
	if v.kind == KindArray {
		return fmt.Sprintf("array of %d %s", v.n, v.elem)
	}
	return v.kind.String()
}

// Any is the value as the Go type of its kind: uint8 ... float64, bool, string, a slice of one of these, or []Value for
// an array of arrays.
func (v Value) Any() any {
	switch v.kind {
	case KindUint8:
		return uint8(v.bits)
	case KindInt8:
		return int8(v.bits)
	case KindUint16:
		return uint16(v.bits)
	case KindInt16:
		return int16(v.bits)
	case KindUint32:
		return uint32(v.bits)
	case KindInt32:
		return int32(v.bits)
	case KindFloat32:
		return math.Float32frombits(uint32(v.bits))
	case KindBool:
		return v.bits != 0
	case KindString:
		return v.str
	case KindArray:
		return v.list
	case KindUint64:
		return v.bits
	case KindInt64:
		return int64(v.bits)
	case KindFloat64:
		return math.Float64frombits(v.bits)
	}
	panic("BUG: gguf: value of unknown kind")
}

// ValueOf makes a value of a Go value: the types that Any gives, []any of slices for an array of arrays, or a Value,
// which it returns as it is. Other types are an error.
func ValueOf(x any) (Value, error) {
	switch x := x.(type) {
	case Value:
		return x, nil
	case uint8:
		return Value{kind: KindUint8, bits: uint64(x)}, nil
	case int8:
		return Value{kind: KindInt8, bits: uint64(x)}, nil
	case uint16:
		return Value{kind: KindUint16, bits: uint64(x)}, nil
	case int16:
		return Value{kind: KindInt16, bits: uint64(x)}, nil
	case uint32:
		return Value{kind: KindUint32, bits: uint64(x)}, nil
	case int32:
		return Value{kind: KindInt32, bits: uint64(x)}, nil
	case float32:
		return Value{kind: KindFloat32, bits: uint64(math.Float32bits(x))}, nil
	case bool:
		v := Value{kind: KindBool}
		if x {
			v.bits = 1
		}
		return v, nil
	case string:
		return Value{kind: KindString, str: x}, nil
	case uint64:
		return Value{kind: KindUint64, bits: x}, nil
	case int64:
		return Value{kind: KindInt64, bits: uint64(x)}, nil
	case float64:
		return Value{kind: KindFloat64, bits: math.Float64bits(x)}, nil
	}
	return arrayOf(x)
}

func arrayOf(x any) (Value, error) {
	array := func(elem Kind, n int) (Value, error) {
		return Value{kind: KindArray, elem: elem, list: x, n: n}, nil
	}
	switch x := x.(type) {
	case []uint8:
		return array(KindUint8, len(x))
	case []int8:
		return array(KindInt8, len(x))
	case []uint16:
		return array(KindUint16, len(x))
	case []int16:
		return array(KindInt16, len(x))
	case []uint32:
		return array(KindUint32, len(x))
	case []int32:
		return array(KindInt32, len(x))
	case []float32:
		return array(KindFloat32, len(x))
	case []bool:
		return array(KindBool, len(x))
	case []string:
		return array(KindString, len(x))
	case []uint64:
		return array(KindUint64, len(x))
	case []int64:
		return array(KindInt64, len(x))
	case []float64:
		return array(KindFloat64, len(x))
	case []Value:
		return array(KindArray, len(x))
	case []any:
		list := make([]Value, len(x))
		for i, e := range x {
			v, err := ValueOf(e)
			if err != nil {
				return Value{}, err
			}
			if v.kind != KindArray {
				return Value{}, fmt.Errorf("gguf: element %d of an array of arrays is a %T", i, e)
			}
			list[i] = v
		}
		return Value{kind: KindArray, elem: KindArray, list: list, n: len(list)}, nil
	}
	return Value{}, fmt.Errorf("gguf: no metadata kind for a %T", x)
}
