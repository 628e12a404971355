package pagestore

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/runtime/kvcache"
)

// A file is a header of 8 KiB and then the pages, one behind the other. Numbers are little-endian:
//
//	0     magic "weft kv\n"
//	8     version u32, kernels.PageFormat u32
//	16    sha256 of the header from 48 on
//	48    bytes of a page u64, tokens of a page u32, pages u32, number of the first page in its sequence u32
//	68    caller, session, model: length u16 and text each; zeros up to 4096
//	4096  for each page its Key and its sha256; zeros up to 8192
//
// It says nothing of the base, its adapters or the cache's type: they are in the Keys.
const (
	magic       = "weft kv\n"
	version     = 1
	summedFrom  = 48
	textsFrom   = 68
	tableFrom   = 4096
	headerBytes = 8192
	// MaxPages is the most pages of a segment, and SegmentBytes what they take together where one is not more than that alone: see
	// docs/adr/0013-pages-outlast-the-process.md.
	MaxPages     = (headerBytes - tableFrom) / (2 * sha256.Size)
	SegmentBytes = 16 << 20

	suffix       = ".kv"
	hiddenSuffix = ".tmp"
	maxText      = 1024
)

var (
	errNewer   = errors.New("written by a newer version")
	errDamaged = errors.New("damaged")
	errFormat  = errors.New("pages in another order of bytes")
)

// Session names a conversation of a caller. The zero Session is none.
type Session struct{ Caller, Name string }

// header is what a file says of itself.
type header struct {
	session    Session
	model      string
	pageBytes  int
	pageTokens int
	first      int // number of the first page in its sequence
	keys       []kvcache.Key
	sums       [][sha256.Size]byte
}

// encode returns the header's bytes.
func (h *header) encode() []byte {
	b := make([]byte, headerBytes)
	copy(b, magic)
	le := binary.LittleEndian
	le.PutUint32(b[8:], version)
	le.PutUint32(b[12:], kernels.PageFormat)
	le.PutUint64(b[48:], uint64(h.pageBytes))
	le.PutUint32(b[56:], uint32(h.pageTokens))
	le.PutUint32(b[60:], uint32(len(h.keys)))
	le.PutUint32(b[64:], uint32(h.first))
	texts := b[textsFrom:tableFrom]
	for _, text := range []string{h.session.Caller, h.session.Name, h.model} {
		text = text[:min(len(text), maxText)]
		le.PutUint16(texts, uint16(len(text)))
		texts = texts[2+copy(texts[2:], text):]
	}
	table := b[tableFrom:]
	for i := range h.keys {
		copy(table, h.keys[i][:])
		copy(table[sha256.Size:], h.sums[i][:])
		table = table[2*sha256.Size:]
	}
	sum := sha256.Sum256(b[summedFrom:])
	copy(b[16:], sum[:])
	return b
}

// parseHeader reads the header of a file of so many bytes.
func parseHeader(b []byte, size int64) (header, error) {
	le := binary.LittleEndian
	switch {
	case len(b) != headerBytes || !bytes.HasPrefix(b, []byte(magic)):
		return header{}, fmt.Errorf("%w: it does not begin as a file of pages", errDamaged)
	case le.Uint32(b[8:]) > version:
		return header{}, fmt.Errorf("%w: version %d, this program reads %d", errNewer, le.Uint32(b[8:]), version)
	case le.Uint32(b[8:]) < version:
		return header{}, fmt.Errorf("%w: version %d, this program reads %d", errDamaged, le.Uint32(b[8:]), version)
	case sha256.Sum256(b[summedFrom:]) != [sha256.Size]byte(b[16:48]):
		return header{}, fmt.Errorf("%w: the header is not what its sum says", errDamaged)
	case le.Uint32(b[12:]) != kernels.PageFormat:
		return header{}, fmt.Errorf("%w: format %d, this program reads %d", errFormat, le.Uint32(b[12:]), kernels.PageFormat)
	}
	pageBytes, pages := le.Uint64(b[48:]), le.Uint32(b[60:])
	if pages < 1 || pages > MaxPages || pageBytes < 1 || pageBytes > math.MaxInt32 || int64(pageBytes)*int64(pages)+headerBytes != size {
		return header{}, fmt.Errorf("%w: %d pages of %d bytes in a file of %d", errDamaged, pages, pageBytes, size)
	}
	h := header{pageBytes: int(pageBytes), pageTokens: int(le.Uint32(b[56:])), first: int(le.Uint32(b[64:]))}
	if h.pageTokens < kvcache.MinPageTokens || h.pageTokens > kvcache.MaxPageTokens {
		return header{}, fmt.Errorf("%w: pages of %d tokens", errDamaged, h.pageTokens)
	}
	texts := b[textsFrom:tableFrom]
	for _, to := range []*string{&h.session.Caller, &h.session.Name, &h.model} {
		n := int(le.Uint16(texts))
		if n > maxText {
			return header{}, fmt.Errorf("%w: a text of %d bytes", errDamaged, n)
		}
		*to, texts = string(texts[2:2+n]), texts[2+n:]
	}
	for at := tableFrom; len(h.keys) < int(pages); at += 2 * sha256.Size {
		h.keys = append(h.keys, kvcache.Key(b[at:at+sha256.Size]))
		h.sums = append(h.sums, [sha256.Size]byte(b[at+sha256.Size:at+2*sha256.Size]))
	}
	return h, nil
}
