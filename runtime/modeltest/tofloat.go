package modeltest

import (
	"bufio"
	"fmt"
	"os"
	"strings"

	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/runtime/gguf"
)

// ToFloat writes the model of one file or split set at from to the file at to with every tensor decoded to float32: the
// weights that oracles compute with. Keys are kept, but for those of the split and general.file_type, which becomes "all F32".
// The file appears whole or not at all.
func ToFloat(to, from string) (err error) {
	f, err := gguf.Open(from, gguf.DefaultLimits())
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	var specs []gguf.TensorSpec
	for _, t := range f.Tensors() {
		if !t.Type.Info().Computable {
			return fmt.Errorf("modeltest: %s: tensor %q has the type %s, which cannot be decoded", from, t.Name, t.Type)
		}
		specs = append(specs, gguf.TensorSpec{Name: t.Name, Type: quant.F32, Dims: t.Dims})
	}
	partial := to + ".part"
	out, err := os.Create(partial)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			out.Close()
			os.Remove(partial)
		}
	}()
	buffered := bufio.NewWriterSize(out, 1<<20)
	w, err := gguf.NewWriter(buffered, floatMetadata(f.Meta()), specs)
	if err != nil {
		return err
	}
	for _, t := range f.Tensors() {
		if err := writeFloats(w, t, f.Data(t)); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	if err := buffered.Flush(); err != nil {
		return err
	}
	if err := out.Close(); err != nil {
		return err
	}
	return os.Rename(partial, to)
}

func floatMetadata(from gguf.Metadata) []gguf.KV {
	var meta []gguf.KV
	for _, key := range from.Keys() {
		v, _ := from.Get(key)
		switch {
		case strings.HasPrefix(key, "split."):
		case key == "general.file_type":
			meta = append(meta, gguf.KV{Key: key, Value: uint32(0)})
		default:
			meta = append(meta, gguf.KV{Key: key, Value: v})
		}
	}
	return meta
}

// writeFloats decodes a tensor row by row.
func writeFloats(w *gguf.Writer, t gguf.TensorInfo, data []byte) error {
	cols := int(t.Dims[0])
	size := t.Type.RowBytes(cols)
	row, raw := make([]float32, cols), make([]byte, quant.F32.RowBytes(cols))
	for ; len(data) > 0; data = data[size:] {
		quant.Decode(t.Type, row, data[:size])
		quant.Encode(quant.F32, raw, row)
		if _, err := w.Write(raw); err != nil {
			return err
		}
	}
	return nil
}
