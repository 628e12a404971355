package gguf

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/weft-run/weft/kernels/quant"
)

// TensorSpec describes a tensor to be written. Dims are in ggml's order: Dims[0] is the row length.
type TensorSpec struct {
	Name string
	Type quant.Type
	Dims []uint64
}

// TensorData is a tensor to be written with its bytes, blocks of Type in row order.
type TensorData struct {
	TensorSpec
	Data []byte
}

// Writer writes one file: the header at once, then the data of the tensors in their order through Write, in pieces of any
// size. It pads what must be padded. Close says whether all was there.
type Writer struct {
	w       io.Writer
	tensors []TensorInfo
	align   uint64
	at      uint64 // position in the tensor data
	next    int    // tensor that at lies in or in front of
}

// Write writes a whole file. The alignment is that of the key general.alignment, or DefaultAlignment.
func Write(w io.Writer, meta []KV, tensors []TensorData) error {
	specs := make([]TensorSpec, len(tensors))
	for i, t := range tensors {
		specs[i] = t.TensorSpec
	}
	out, err := NewWriter(w, meta, specs)
	if err != nil {
		return err
	}
	for i, t := range tensors {
		if want := out.tensors[i].Bytes; uint64(len(t.Data)) != want {
			return refuse(ErrFormat, "tensor %q: has %d bytes of data, its dimensions %d in %s take %d", t.Name, len(t.Data), t.Dims, t.Type, want)
		}
		if _, err := out.Write(t.Data); err != nil {
			return err
		}
	}
	return out.Close()
}

// NewWriter checks and writes the header. It refuses what ParseHeader with DefaultLimits refuses, in the same words.
func NewWriter(w io.Writer, meta []KV, tensors []TensorSpec) (*Writer, error) {
	m, err := NewMetadata(meta...)
	if err != nil {
		return nil, err
	}
	align, err := m.Uint(keyAlignment, DefaultAlignment)
	if err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	head := le.AppendUint32([]byte(magic), Version)
	head = le.AppendUint64(head, uint64(len(tensors)))
	head = le.AppendUint64(head, uint64(len(meta)))
	for _, key := range m.Keys() {
		v, _ := m.Get(key)
		head = appendPair(head, key, v)
	}
	lim := DefaultLimits()
	offset := uint64(0)
	for _, t := range tensors {
		head = appendText(head, t.Name)
		head = le.AppendUint32(head, uint32(len(t.Dims)))
		for _, d := range t.Dims {
			head = le.AppendUint64(head, d)
		}
		head = le.AppendUint32(head, uint32(t.Type))
		head = le.AppendUint64(head, offset)
		size, err := specBytes(t)
		if err != nil {
			return nil, err
		}
		// Neither term is above 2^63, so the sum does not wrap before it is compared.
		if offset+size > lim.FileBytes {
			return nil, refuse(ErrFormat, "tensor %q: offset %d and size %d are beyond the limit of %d bytes for one file", t.Name, offset, size, lim.FileBytes)
		}
		offset = pad(offset+size, max(align, 1))
	}
	// The reader is the judge of what is a healthy header. Padding is not read, so the bytes after the header need not be there.
	size := int64(pad(uint64(len(head)), lim.Alignment) + offset)
	h, err := ParseHeader(headerOnly{bytes.NewReader(head)}, size, lim)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(head); err != nil {
		return nil, err
	}
	out := &Writer{w: w, tensors: h.Tensors, align: h.Alignment}
	return out, out.zeros(uint64(h.DataOffset) - uint64(len(head)))
}

// headerOnly reads zeros behind the bytes it has, as if the tensor data were there.
type headerOnly struct{ r *bytes.Reader }

func (h headerOnly) ReadAt(p []byte, off int64) (int, error) {
	clear(p)
	if off < h.r.Size() {
		if _, err := h.r.ReadAt(p, off); err != nil && err != io.EOF {
			return 0, err
		}
	}
	return len(p), nil
}

func specBytes(t TensorSpec) (uint64, error) {
	if len(t.Dims) < 1 || len(t.Dims) > maxDims {
		return 0, refuse(ErrFormat, "tensor %q: %d dimensions, want 1 to %d", t.Name, len(t.Dims), maxDims)
	}
	for i, d := range t.Dims {
		if d == 0 {
			return 0, refuse(ErrFormat, "tensor %q: dimension %d is 0, want 1 or more", t.Name, i)
		}
	}
	return tensorBytes(fmt.Sprintf("tensor %q", t.Name), uint32(t.Type), t.Dims, "")
}

// Tensors are the tensors with the offsets that they get.
func (w *Writer) Tensors() []TensorInfo { return w.tensors }

// Write takes the next bytes of the tensors' data, without padding.
func (w *Writer) Write(p []byte) (int, error) {
	done := 0
	for done < len(p) {
		if w.next == len(w.tensors) {
			return done, refuse(ErrFormat, "%d bytes of data behind the last tensor", len(p)-done)
		}
		t := &w.tensors[w.next]
		take := min(uint64(len(p)-done), t.Offset+t.Bytes-w.at)
		n, err := w.w.Write(p[done : done+int(take)])
		done += n
		w.at += uint64(n)
		if err != nil {
			return done, err
		}
		if w.at == t.Offset+t.Bytes {
			w.next++
			if err := w.zeros(pad(w.at, w.align) - w.at); err != nil {
				return done, err
			}
			w.at = pad(w.at, w.align)
		}
	}
	return done, nil
}

// Close says which tensor lacks data, if one does. It does not close the file below.
func (w *Writer) Close() error {
	if w.next < len(w.tensors) {
		t := w.tensors[w.next]
		return refuse(ErrTruncated, "tensor %q: only %d of %d bytes were written", t.Name, w.at-t.Offset, t.Bytes)
	}
	return nil
}

func (w *Writer) zeros(n uint64) error {
	var z [4096]byte
	for n > 0 {
		k := min(n, uint64(len(z)))
		if _, err := w.w.Write(z[:k]); err != nil {
			return err
		}
		n -= k
	}
	return nil
}
