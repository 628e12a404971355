package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"io"
	"math"
	"slices"

	"github.com/weft-run/weft/kernels/quant"
)

// headerAlign is what the data's beginning is aligned to, and with it, as larger types come first, every tensor.
const headerAlign = 8

// TensorData is a tensor to be written. Values are rounded to Type, which is one that is decoded.
type TensorData struct {
	Name   string
	Type   DType
	Shape  []uint64
	Values []float32
}

type entry struct {
	Type    DType     `json:"dtype"`
	Shape   []uint64  `json:"shape"`
	Offsets [2]uint64 `json:"data_offsets"`
}

// Write writes a file. Equal arguments give equal bytes, whatever the order of the tensors: larger types first, then by name. It refuses
// what ParseHeader with DefaultLimits refuses.
func Write(w io.Writer, metadata map[string]string, tensors []TensorData) error {
	sorted := slices.Clone(tensors)
	slices.SortFunc(sorted, func(a, b TensorData) int {
		return cmp.Or(cmp.Compare(dtypeBits[b.Type], dtypeBits[a.Type]), cmp.Compare(a.Name, b.Name))
	})
	head, size, err := encodeHeader(metadata, sorted)
	if err != nil {
		return err
	}
	// The reader is the judge of what is a healthy header.
	if _, err := ParseHeader(bytes.NewReader(head), int64(len(head))+size, DefaultLimits()); err != nil {
		return err
	}
	if _, err := w.Write(head); err != nil {
		return err
	}
	for _, t := range sorted {
		typ, _ := t.Type.Quant()
		data := make([]byte, typ.RowBytes(len(t.Values)))
		quant.Encode(typ, data, t.Values)
		if _, err := w.Write(data); err != nil {
			return err
		}
	}
	return nil
}

// encodeHeader returns all before the data, and the data's size.
func encodeHeader(metadata map[string]string, tensors []TensorData) ([]byte, int64, error) {
	entries := make(map[string]any, len(tensors)+1) // encoding/json writes keys in order
	if metadata != nil {
		entries[metadataKey] = metadata
	}
	at := uint64(0)
	for _, t := range tensors {
		if _, ok := t.Type.Quant(); !ok {
			return nil, 0, refuse(ErrUnsupported, "tensor %q: type %q is not written", t.Name, string(t.Type))
		}
		if entries[t.Name] != nil {
			return nil, 0, refuse(ErrFormat, "tensor %q is there twice", t.Name)
		}
		shape := t.Shape
		if shape == nil {
			shape = []uint64{}
		}
		size := uint64(len(t.Values)) * dtypeBits[t.Type] / 8
		if at > math.MaxInt64-size {
			return nil, 0, refuse(ErrFormat, "tensor %q: ends beyond 2^63 bytes", t.Name)
		}
		entries[t.Name] = entry{Type: t.Type, Shape: shape, Offsets: [2]uint64{at, at + size}}
		at += size
	}
	text, err := json.Marshal(entries)
	if err != nil {
		return nil, 0, refuse(ErrFormat, "header: %v", err)
	}
	for len(text)%headerAlign != 0 {
		text = append(text, ' ')
	}
	head := binary.LittleEndian.AppendUint64(nil, uint64(len(text)))
	return append(head, text...), int64(at), nil
}
