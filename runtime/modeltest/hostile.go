package modeltest

import (
	"bytes"
	"encoding/binary"
	"math"

	"github.com/weft-run/weft/runtime/gguf"
)

// HostileFile is a file that must be refused, by its number in docs/hostile-inputs.md.
type HostileFile struct {
	Name string // begins with the number; without ".gguf"
	Data []byte
	Says string // words of the refusal
}

// hostile writes what no writer of the format would.
type hostile struct{ b []byte }

func (h *hostile) u32(v ...uint32) *hostile {
	for _, x := range v {
		h.b = binary.LittleEndian.AppendUint32(h.b, x)
	}
	return h
}

func (h *hostile) u64(v ...uint64) *hostile {
	for _, x := range v {
		h.b = binary.LittleEndian.AppendUint64(h.b, x)
	}
	return h
}

func (h *hostile) text(s string) *hostile {
	h.u64(uint64(len(s)))
	h.b = append(h.b, s...)
	return h
}

// tensor describes a tensor of F32 where kind is 0.
func (h *hostile) tensor(name string, kind uint32, offset uint64, dims ...uint64) *hostile {
	return h.text(name).u32(uint32(len(dims))).u64(dims...).u32(kind).u64(offset)
}

// end gives the file some data, so that it is not merely cut off.
func (h *hostile) end() []byte { return append(h.b, make([]byte, 4096)...) }

// header begins a file with counts of tensors and keys.
func header(tensors, keys uint64) *hostile {
	h := &hostile{b: []byte("GGUF")}
	return h.u32(3).u64(tensors, keys)
}

// Kinds of values as they stand in a file.
const (
	kindUint32 = 4
	kindString = 8
	kindArray  = 9
)

// Hostile returns files that must be refused, each for its own reason: those of the list of hostile inputs that are one file.
func Hostile() []HostileFile {
	const align = "general.alignment"
	whole := Tiny(Spec{})
	set := func(key string, value any) []byte { return Tiny(Spec{Set: []gguf.KV{{Key: key, Value: value}}}) }
	big := bytes.Clone(whole)
	copy(big, "FUGG")
	version := func(v uint32) []byte {
		b := bytes.Clone(whole)
		binary.LittleEndian.PutUint32(b[4:], v)
		return b
	}
	return []HostileFile{
		{"H01-tensors", header(math.MaxUint64, 0).end(), "tensor count 18446744073709551615"},
		{"H01-keys", header(0, 1<<32).end(), "key count 4294967296"},
		{"H02-string", header(0, 1).text("a").u32(kindString).u64(1 << 63).end(), "length 9223372036854775808"},
		{"H02-piece", header(0, 1).text("a").u32(kindArray, kindString).u64(1, 1<<31+1).end(), "2147483649"},
		{"H03-array", header(0, 1).text("a").u32(kindArray, kindUint32).u64(1 << 60).end(), "array length 1152921504606846976"},
		{"H03-nested", nested().end(), "nested 5 deep"},
		{"H04-key-twice", header(0, 2).text("a").u32(kindUint32, 1).text("a").u32(kindUint32, 1).end(), `key "a" at offset 41 is there twice`},
		{"H04-tensor-twice", header(2, 0).tensor("t", 0, 0, 8).tensor("t", 0, 32, 8).end(), `tensor "t" at offset 57 is there twice`},
		{"H05-alignment-0", header(0, 1).text(align).u32(kindUint32, 0).end(), "is 0, want a power of two"},
		{"H05-alignment-3", header(0, 1).text(align).u32(kindUint32, 3).end(), "is 3, want a power of two"},
		{"H05-alignment-2e31", header(0, 1).text(align).u32(kindUint32, 1<<31).end(), "is 2147483648, want a power of two"},
		{"H06-no-dimensions", header(1, 0).text("t").u32(0).end(), "0 dimensions"},
		{"H06-dimensions", header(1, 0).text("t").u32(math.MaxUint32).end(), "4294967295 dimensions"},
		{"H07-dimension-0", header(1, 0).tensor("t", 0, 0, 8, 0).end(), "dimension 1 at offset 45 is 0"},
		{"H07-negative", header(1, 0).tensor("t", 0, 0, math.MaxUint64).end(), "is -1, want 1 or more"},
		{"H07-wraps", header(1, 0).tensor("t", 0, 0, 1<<32, 1<<32+1).end(), "number of elements"},
		{"H07-padding-wraps", header(1, 0).tensor("t", 24, 0, math.MaxInt64).end(), "padded tensor sizes"},
		{"H08-half-a-block", header(1, 0).tensor("t", 2, 0, 16, 2).end(), "row length 16 is not a multiple of 32"},
		{"H09-unknown-type", header(1, 0).tensor("t", 99, 0, 32).end(), "type id 99"},
		{"H09-removed-type", header(1, 0).tensor("t", 4, 0, 32).end(), "Q4_2 (id 4)"},
		{"H10-unaligned", header(1, 0).tensor("t", 0, 4, 8).end(), "offset 4 is not a multiple of the alignment 32"},
		{"H10-overlap", header(2, 0).tensor("a", 0, 0, 16).tensor("b", 0, 32, 16).end(), `overlaps tensor "a"`},
		{"H10-past-the-end", header(1, 0).tensor("t", 0, 1<<20, 8).end(), "beyond file size"},
		{"H10-in-the-header", header(1, 0).tensor("t", 0, math.MaxUint64-31, 8).end(), "inside the header"},
		{"H11-cut-in-the-header", whole[:1000], "but only 365 follow"},
		{"H11-cut-in-the-data", whole[:len(whole)-100], "beyond file size"},
		{"H12-big-endian", big, "file is big-endian"},
		{"H12-version-1", version(1), "version 1 at offset 4"},
		{"H12-version-4", version(4), "newer than 3"},
		{"H13-shard-under-another-name", Tiny(Spec{Set: []gguf.KV{{Key: "split.no", Value: uint16(0)}, {Key: "split.count", Value: uint16(3)}, {Key: "split.tensors.count", Value: int32(9)}}}), "is file 1 of 3 of a split set"},
		{"H16-few-tokens", set("llama.vocab_size", uint32(7)), "vocab_size is 7"},
		{"H16-token-id", set("tokenizer.ggml.bos_token_id", uint32(1<<31)), "bos_token_id is 2147483648"},
		{"H17-no-heads", set("llama.attention.head_count", uint32(0)), "head_count\" is 0"},
		{"H17-heads", set("llama.attention.head_count_kv", uint32(3)), "not a multiple of head_count_kv"},
		{"H17-rope", set("llama.rope.dimension_count", uint32(1<<20)), "rope.dimension_count"},
		{"H17-context", set("llama.context_length", uint32(1<<31)), "context_length\" is 2147483648"},
		{"H17-experts", set("llama.expert_used_count", uint32(2)), "expert_used_count is 2, but expert_count is 0"},
		{"H18-no-numbers", noNumbers(), `tensor "blk.1.ffn_down.weight": block 0`},
	}
}

// nested is a key of arrays in arrays, many times over.
func nested() *hostile {
	h := header(0, 1).text("a").u32(kindArray)
	for range 100 {
		h.u32(kindArray).u64(1)
	}
	return h
}

// noNumbers is a model with a tensor of NaN.
func noNumbers() []byte {
	meta, tensors := Parts(Spec{})
	for i := range tensors {
		if tensors[i].Name == "blk.1.ffn_down.weight" {
			tensors[i].Data = bytes.Repeat([]byte{0, 0, 0xc0, 0x7f}, len(tensors[i].Data)/4)
		}
	}
	return encode(meta, tensors)
}

// HiddenDamage is a model of which one weight is infinite, in the row of the embedding that belongs to the token: every text without it
// is fine, because the head is another tensor. It is loaded and answers, and has to be found out.
func HiddenDamage(s Spec, token int) []byte {
	s.Untied = true
	meta, tensors := Parts(s)
	for i := range tensors {
		if tensors[i].Name == "token_embd.weight" {
			wide := 4 * int(tensors[i].Dims[0])
			copy(tensors[i].Data[token*wide+8:], []byte{0, 0, 0x80, 0x7f})
		}
	}
	return encode(meta, tensors)
}
