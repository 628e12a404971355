package safetensors

import (
	"errors"
	"fmt"
	"io"

	"github.com/weft-run/weft/kernels/quant"
)

var quantTypes = map[DType]quant.Type{F32: quant.F32, F16: quant.F16, BF16: quant.BF16}

// chunkElements is how many elements ReadF32 decodes at a time.
const chunkElements = 16 << 10

// ReadF32 reads the elements of t, front to back, from r, which stands at its first byte. Other types than F32, F16 and BF16 are refused
// with ErrUnsupported.
func ReadF32(r io.Reader, t Tensor) ([]float32, error) {
	typ, ok := quantTypes[t.Type]
	if !ok {
		return nil, refuse(ErrUnsupported, "tensor %q: type %s is not decoded, only F32, F16 and BF16 are", t.Name, t.Type)
	}
	out := make([]float32, t.Elements())
	raw := make([]byte, typ.RowBytes(min(chunkElements, len(out))))
	for rest := out; len(rest) > 0; {
		n := min(chunkElements, len(rest))
		part := raw[:typ.RowBytes(n)]
		switch k, err := io.ReadFull(r, part); {
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
			return nil, refuse(ErrTruncated, "tensor %q: the file ends %d bytes before it does", t.Name, typ.RowBytes(len(rest))-k)
		case err != nil:
			return nil, fmt.Errorf("safetensors: reading tensor %q: %w", t.Name, err)
		}
		quant.Decode(typ, rest[:n], part)
		rest = rest[n:]
	}
	return out, nil
}
