package gguf

import (
	"fmt"
	"math"
)

// KV is one key with its value, as Write and NewMetadata take them. The Go type of Value decides the kind (see ValueOf).
type KV struct {
	Key   string
	Value any
}

// Metadata is the key/value pairs of a file, in file order. It lives on the heap, apart from the file's mapping, is
// immutable, and stays valid after the file is closed. The zero value holds nothing.
//
// A getter returns its default when the key is absent, and an error that names the key, the kind found and the kind
// wanted when the value has another kind.
type Metadata struct {
	keys   []string
	values map[string]Value
}

// NewMetadata makes metadata of pairs without a file, as tests and writers need it.
func NewMetadata(pairs ...KV) (Metadata, error) {
	m := Metadata{values: make(map[string]Value, len(pairs))}
	for _, p := range pairs {
		v, err := ValueOf(p.Value)
		if err != nil {
			return Metadata{}, fmt.Errorf("gguf: key %q: %w", p.Key, err)
		}
		if m.Has(p.Key) {
			return Metadata{}, refuse(ErrFormat, "key %q is there twice", p.Key)
		}
		m.add(p.Key, v)
	}
	return m, nil
}

func (m *Metadata) add(key string, v Value) {
	m.keys = append(m.keys, key)
	m.values[key] = v
}

// Keys returns the keys in file order. The slice is shared and must not be written.
func (m Metadata) Keys() []string { return m.keys }

// Has says whether the key is there.
func (m Metadata) Has(key string) bool {
	_, ok := m.values[key]
	return ok
}

// Get returns the value of any kind.
func (m Metadata) Get(key string) (Value, bool) {
	v, ok := m.values[key]
	return v, ok
}

func mismatch(key string, v Value, want string) error {
	return refuse(ErrFormat, "key %q is %s, want %s", key, v.TypeName(), want)
}

// Uint returns an integer of any width that is not negative.
func (m Metadata) Uint(key string, def uint64) (uint64, error) {
	v, ok := m.values[key]
	if !ok {
		return def, nil
	}
	switch v.kind {
	case KindUint8, KindUint16, KindUint32, KindUint64:
		return v.bits, nil
	case KindInt8, KindInt16, KindInt32, KindInt64:
		if int64(v.bits) < 0 {
			return 0, refuse(ErrFormat, "key %q is %d, want no negative number", key, int64(v.bits))
		}
		return v.bits, nil
	}
	return 0, mismatch(key, v, "an integer")
}

// Str returns a string.
func (m Metadata) Str(key, def string) (string, error) {
	v, ok := m.values[key]
	if !ok {
		return def, nil
	}
	if v.kind != KindString {
		return "", mismatch(key, v, "a string")
	}
	return v.str, nil
}

// F32 returns a float32, or a float64 rounded to one.
func (m Metadata) F32(key string, def float32) (float32, error) {
	v, ok := m.values[key]
	if !ok {
		return def, nil
	}
	switch v.kind {
	case KindFloat32:
		return math.Float32frombits(uint32(v.bits)), nil
	case KindFloat64:
		return float32(math.Float64frombits(v.bits)), nil
	}
	return 0, mismatch(key, v, "a float32")
}

// Bool returns a truth value.
func (m Metadata) Bool(key string, def bool) (bool, error) {
	v, ok := m.values[key]
	if !ok {
		return def, nil
	}
	if v.kind != KindBool {
		return false, mismatch(key, v, "a bool")
	}
	return v.bits != 0, nil
}

// Strings returns an array of strings, nil when the key is absent. The slice is shared and must not be written.
func (m Metadata) Strings(key string) ([]string, error) {
	v, ok := m.values[key]
	if !ok {
		return nil, nil
	}
	list, ok := v.list.([]string)
	if !ok {
		return nil, mismatch(key, v, "an array of strings")
	}
	return list, nil
}

// F32s returns an array of float32, nil when the key is absent. The slice is shared and must not be written.
func (m Metadata) F32s(key string) ([]float32, error) {
	v, ok := m.values[key]
	if !ok {
		return nil, nil
	}
	list, ok := v.list.([]float32)
	if !ok {
		return nil, mismatch(key, v, "an array of float32")
	}
	return list, nil
}

// I32s returns an array of integers of any width that all fit an int32, nil when the key is absent. The slice may be
// shared and must not be written.
func (m Metadata) I32s(key string) ([]int32, error) {
	v, ok := m.values[key]
	if !ok {
		return nil, nil
	}
	switch list := v.list.(type) {
	case []int32:
		return list, nil
	case []uint8:
		return narrow(key, list)
	case []int8:
		return narrow(key, list)
	case []uint16:
		return narrow(key, list)
	case []int16:
		return narrow(key, list)
	case []uint32:
		return narrow(key, list)
	case []uint64:
		return narrow(key, list)
	case []int64:
		return narrow(key, list)
	}
	return nil, mismatch(key, v, "an array of integers")
}

func narrow[T uint8 | int8 | uint16 | int16 | uint32 | uint64 | int64](key string, list []T) ([]int32, error) {
	out := make([]int32, len(list))
	for i, x := range list {
		out[i] = int32(x)
		if T(out[i]) != x || (out[i] < 0) != (x < 0) {
			return nil, refuse(ErrFormat, "key %q: element %d is %d, which does not fit an int32", key, i, x)
		}
	}
	return out, nil
}
