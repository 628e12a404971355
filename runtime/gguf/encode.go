package gguf

import (
	"bytes"
	"encoding/binary"
	"math"
)

// appendText appends a length and the bytes.
func appendText(b []byte, s string) []byte {
	b = binary.LittleEndian.AppendUint64(b, uint64(len(s)))
	return append(b, s...)
}

// appendPair appends a key, the kind of its value, and the value.
func appendPair(b []byte, key string, v Value) []byte {
	b = appendText(b, key)
	b = binary.LittleEndian.AppendUint32(b, uint32(v.kind))
	return appendValue(b, v)
}

func appendValue(b []byte, v Value) []byte {
	switch v.kind {
	case KindString:
		return appendText(b, v.str)
	case KindArray:
		b = binary.LittleEndian.AppendUint32(b, uint32(v.elem))
		b = binary.LittleEndian.AppendUint64(b, uint64(v.n))
		return appendList(b, v.list)
	}
	return appendBits(b, v.bits, int(kindInfo[v.kind].size))
}

// appendBits appends the low size bytes of x.
func appendBits(b []byte, x uint64, size int) []byte {
	var raw [8]byte
	binary.LittleEndian.PutUint64(raw[:], x)
	return append(b, raw[:size]...)
}

func appendList(b []byte, list any) []byte {
	switch list := list.(type) {
	case []uint8:
		return append(b, list...)
	case []int8:
		return appendInts(b, list, 1)
	case []uint16:
		return appendInts(b, list, 2)
	case []int16:
		return appendInts(b, list, 2)
	case []uint32:
		return appendInts(b, list, 4)
	case []int32:
		return appendInts(b, list, 4)
	case []uint64:
		return appendInts(b, list, 8)
	case []int64:
		return appendInts(b, list, 8)
	case []float32:
		for _, x := range list {
			b = appendBits(b, uint64(math.Float32bits(x)), 4)
		}
		return b
	case []float64:
		for _, x := range list {
			b = appendBits(b, math.Float64bits(x), 8)
		}
		return b
	case []bool:
		for _, x := range list {
			if x {
				b = append(b, 1)
			} else {
				b = append(b, 0)
			}
		}
		return b
	case []string:
		for _, x := range list {
			b = appendText(b, x)
		}
		return b
	case []Value:
		for _, x := range list {
			b = appendValue(b, x)
		}
		return b
	}
	panic("BUG: gguf: array of a Go type that no kind has")
}

func appendInts[T int8 | uint16 | int16 | uint32 | int32 | uint64 | int64](b []byte, list []T, size int) []byte {
	for _, x := range list {
		b = appendBits(b, uint64(x), size)
	}
	return b
}

// equal says whether two values are the same bytes in a file.
func (v Value) equal(w Value) bool {
	return v.kind == w.kind && bytes.Equal(appendValue(nil, v), appendValue(nil, w))
}
