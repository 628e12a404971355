package gguf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
)

// raw builds files byte by byte, so that tests can say what no writer would.
type raw struct{ b []byte }

func (r *raw) u8(v uint8) *raw     { r.b = append(r.b, v); return r }
func (r *raw) u32(v uint32) *raw   { r.b = binary.LittleEndian.AppendUint32(r.b, v); return r }
func (r *raw) u64(v uint64) *raw   { r.b = binary.LittleEndian.AppendUint64(r.b, v); return r }
func (r *raw) text(s string) *raw  { r.b = appendText(r.b, s); return r }
func (r *raw) bytes(s string) *raw { r.b = append(r.b, s...); return r }

// start begins a file of version 3 with the given counts.
func start(tensors, keys uint64) *raw { return new(raw).bytes(magic).u32(3).u64(tensors).u64(keys) }

func (r *raw) key(name string, k Kind) *raw { return r.text(name).u32(uint32(k)) }

func (r *raw) tensor(name string, id uint32, offset uint64, dims ...uint64) *raw {
	r.text(name).u32(uint32(len(dims)))
	for _, d := range dims {
		r.u64(d)
	}
	return r.u32(id).u64(offset)
}

// data pads to the default alignment and appends n bytes.
func (r *raw) data(n int) *raw {
	r.b = append(r.b, make([]byte, int(pad(uint64(len(r.b)), DefaultAlignment))-len(r.b)+n)...)
	return r
}

func parse(b []byte) (*Header, error) {
	return ParseHeader(bytes.NewReader(b), int64(len(b)), DefaultLimits())
}

// wantRefusal checks the class of a refusal and that its message holds all of says.
func wantRefusal(t *testing.T, err, class error, says ...string) {
	t.Helper()
	if !errors.Is(err, class) {
		t.Fatalf("error is %v, want one that is %v", err, class)
	}
	if !strings.HasPrefix(err.Error(), "gguf: ") {
		t.Errorf("message %q does not begin with the package's name", err)
	}
	for _, s := range says {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("message %q does not say %q", err, s)
		}
	}
}
