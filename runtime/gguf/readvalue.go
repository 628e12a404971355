package gguf

import (
	"encoding/binary"
	"fmt"
	"math"
)

// readValue reads the kind and the value of a key.
func readValue(c *cursor, key string, lim Limits) (Value, error) {
	what := fmt.Sprintf("key %q", key)
	k, err := readKind(c, what)
	if err != nil {
		return Value{}, err
	}
	switch k {
	case KindString:
		b, err := c.text(nil, lim.TextBytes, what)
		return Value{kind: k, str: string(b)}, err
	case KindArray:
		return readArray(c, what, lim, 1)
	}
	at := c.off
	var raw [8]byte
	n := kindInfo[k].size
	if err := c.read(raw[:n], what); err != nil {
		return Value{}, err
	}
	v := Value{kind: k, bits: binary.LittleEndian.Uint64(raw[:])}
	switch k {
	case KindInt8:
		v.bits = uint64(int8(v.bits))
	case KindInt16:
		v.bits = uint64(int16(v.bits))
	case KindInt32:
		v.bits = uint64(int32(v.bits))
	case KindBool:
		if v.bits > 1 {
			return Value{}, refuse(ErrFormat, "%s: bool at offset %d is %d, want 0 or 1", what, at, v.bits)
		}
	}
	return v, nil
}

func readKind(c *cursor, what string) (Kind, error) {
	at := c.off
	n, err := c.uint32(what)
	if err != nil {
		return 0, err
	}
	if k := Kind(n); k.known() {
		return k, nil
	}
	return 0, refuse(ErrUnsupported, "%s: value kind %d at offset %d is unknown, the highest is %d", what, n, at, len(kindInfo)-1)
}

// valueHeapBytes is what one Value of an array of arrays costs, with its slice's allocation.
const valueHeapBytes = 128

func readArray(c *cursor, what string, lim Limits, depth int) (Value, error) {
	if depth > lim.ArrayDepth {
		return Value{}, refuse(ErrFormat, "%s: arrays nested %d deep at offset %d, the limit is %d", what, depth, c.off, lim.ArrayDepth)
	}
	elem, err := readKind(c, what)
	if err != nil {
		return Value{}, err
	}
	n, err := c.count(what+": array length", lim.ArrayLen, kindInfo[elem].size)
	if err != nil {
		return Value{}, err
	}
	v := Value{kind: KindArray, elem: elem, n: int(n)}
	switch elem {
	case KindString:
		v.list, err = readStrings(c, what, n, lim)
	case KindArray:
		if err := c.charge(n*valueHeapBytes, what); err != nil {
			return Value{}, err
		}
		list := make([]Value, n)
		for i := range list {
			if list[i], err = readArray(c, fmt.Sprintf("%s[%d]", what, i), lim, depth+1); err != nil {
				return Value{}, err
			}
		}
		v.list = list
	default:
		v.list, err = readScalars(c, what, elem, n)
	}
	return v, err
}

// readStrings reads n strings into one allocation that all of them share: a vocabulary has 10^5 of them.
func readStrings(c *cursor, what string, n uint64, lim Limits) ([]string, error) {
	const headerBytes = 16 + 8 + 8 // a string's header and, while reading, its end and the first guess at its bytes
	if err := c.charge(n*headerBytes, what); err != nil {
		return nil, err
	}
	ends := make([]int, n)
	// The bytes that follow bound what the strings can hold; a vocabulary's pieces have about 8 bytes each.
	buf := make([]byte, 0, min(c.remain(), n*8))
	var err error
	for i := range ends {
		if buf, err = c.text(buf, lim.TextBytes, what); err != nil {
			return nil, fmt.Errorf("%w (string %d of %d)", err, i, n)
		}
		ends[i] = len(buf)
	}
	all := string(buf)
	out := make([]string, n)
	start := 0
	for i, end := range ends {
		out[i] = all[start:end]
		start = end
	}
	return out, nil
}

func readScalars(c *cursor, what string, elem Kind, n uint64) (any, error) {
	le := binary.LittleEndian
	switch elem {
	case KindUint8:
		return readList(c, what, n, 1, func(b []byte) uint8 { return b[0] })
	case KindInt8:
		return readList(c, what, n, 1, func(b []byte) int8 { return int8(b[0]) })
	case KindUint16:
		return readList(c, what, n, 2, le.Uint16)
	case KindInt16:
		return readList(c, what, n, 2, func(b []byte) int16 { return int16(le.Uint16(b)) })
	case KindUint32:
		return readList(c, what, n, 4, le.Uint32)
	case KindInt32:
		return readList(c, what, n, 4, func(b []byte) int32 { return int32(le.Uint32(b)) })
	case KindFloat32:
		return readList(c, what, n, 4, func(b []byte) float32 { return math.Float32frombits(le.Uint32(b)) })
	case KindBool:
		return readBools(c, what, n)
	case KindUint64:
		return readList(c, what, n, 8, le.Uint64)
	case KindInt64:
		return readList(c, what, n, 8, func(b []byte) int64 { return int64(le.Uint64(b)) })
	case KindFloat64:
		return readList(c, what, n, 8, func(b []byte) float64 { return math.Float64frombits(le.Uint64(b)) })
	}
	panic("BUG: gguf: scalar of kind " + elem.String())
}

func readList[T any](c *cursor, what string, n uint64, size int, get func([]byte) T) ([]T, error) {
	if err := c.charge(n*uint64(size), what); err != nil {
		return nil, err
	}
	out := make([]T, n)
	var chunk [4096]byte
	for done := 0; done < len(out); {
		take := min(len(out)-done, len(chunk)/size)
		raw := chunk[:take*size]
		if err := c.read(raw, what); err != nil {
			return nil, err
		}
		for i := range take {
			out[done+i] = get(raw[i*size:])
		}
		done += take
	}
	return out, nil
}

func readBools(c *cursor, what string, n uint64) ([]bool, error) {
	at := c.off
	raw, err := readList(c, what, n, 1, func(b []byte) uint8 { return b[0] })
	if err != nil {
		return nil, err
	}
	out := make([]bool, n)
	for i, b := range raw {
		if b > 1 {
			return nil, refuse(ErrFormat, "%s[%d]: bool at offset %d is %d, want 0 or 1", what, i, at+int64(i), b)
		}
		out[i] = b == 1
	}
	return out, nil
}
