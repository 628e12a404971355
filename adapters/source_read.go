package adapters

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"

	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/runtime/gguf"
)

// readAll reads and decodes the tensors of all pieces in one pass over the file, front to back, and hashes what it passes.
func (s *Source) readAll(pieces []piece) (map[*tensor][]float32, string, error) {
	var order []*tensor
	for _, p := range pieces {
		order = append(order, p.part.tensors()...)
	}
	slices.SortFunc(order, func(a, b *tensor) int { return int(min(max(a.offset-b.offset, -1), 1)) })
	values := make(map[*tensor][]float32, len(order))
	r := s.reader()
	for _, t := range order {
		if err := r.skipTo(t.offset); err != nil {
			return nil, "", err
		}
		var err error
		if values[t], err = r.decode(t); err != nil {
			return nil, "", err
		}
	}
	if err := r.skipTo(s.id.Size); err != nil {
		return nil, "", err
	}
	digest, err := r.digest(s)
	return values, digest, err
}

// reader walks through the file of weights.
type reader struct {
	src io.Reader // writes what it reads to sum
	sum hash.Hash
	at  int64
}

func (s *Source) reader() *reader {
	sum := sha256.New()
	sum.Write(s.config)
	return &reader{src: io.TeeReader(io.NewSectionReader(s.weights, 0, s.id.Size), sum), sum: sum}
}

func (r *reader) skipTo(offset int64) error {
	n, err := io.CopyN(io.Discard, r.src, offset-r.at)
	r.at += n
	return r.told(err)
}

// told names the reason why less was read than the file had.
func (r *reader) told(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return refuse(ErrChanged, "the file of weights was cut to %d bytes while it was read", r.at)
	}
	return fmt.Errorf("adapters: reading weights: %w", err)
}

// decodeElements is how many elements are decoded at a time: whole blocks of every type.
const decodeElements = 16 << 10

// decode reads a tensor that begins here. An element that is infinite or not a number refuses it.
func (r *reader) decode(t *tensor) ([]float32, error) {
	out := make([]float32, t.elements())
	raw := make([]byte, t.typ.RowBytes(min(decodeElements, len(out))))
	for rest := out; len(rest) > 0; {
		n := min(decodeElements, len(rest))
		part := raw[:t.typ.RowBytes(n)]
		k, err := io.ReadFull(r.src, part)
		r.at += int64(k)
		if err != nil {
			return nil, r.told(err)
		}
		quant.Decode(t.typ, rest[:n], part)
		for _, x := range rest[:n] {
			if x-x != 0 {
				return nil, refuse(ErrFormat, "tensor %q has elements that are infinite or not a number", t.name)
			}
		}
		rest = rest[n:]
	}
	return out, nil
}

// digest ends the walk: the file must still be the one that was opened.
func (r *reader) digest(s *Source) (string, error) {
	now, err := gguf.IdentityOf(s.weights)
	if err != nil {
		return "", err
	}
	// The time of change is left out: a rename over the file and an unlink change it, and not the content.
	if now.Size != s.id.Size || now.ModTime != s.id.ModTime {
		return "", refuse(ErrChanged, "the file of weights was written while it was read")
	}
	return hex.EncodeToString(r.sum.Sum(nil)), nil
}
