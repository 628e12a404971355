package gguf

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"
)

// Cases carry the number of the hostile input that they are, as docs and advisories count them.
type hostile struct {
	name  string
	file  *raw
	class error
	says  []string
}

func says(s ...string) []string { return s }

func TestHostileHeaders(t *testing.T) {
	var cases []hostile
	add := func(c ...hostile) { cases = append(cases, c...) }
	for _, n := range []uint64{1 << 32, 1 << 60, 1 << 63, math.MaxUint64, math.MaxUint64 - 3} {
		add(
			hostile{fmt.Sprintf("H01 %d tensors", n), start(n, 0).data(4096), ErrFormat, says("tensor count", fmt.Sprint(n), "limit of 131072", "offset 8")},
			hostile{fmt.Sprintf("H01 %d keys", n), start(0, n).data(4096), ErrFormat, says("key count", fmt.Sprint(n), "limit of 65536", "offset 16")},
			hostile{fmt.Sprintf("H02 key of %d bytes", n), start(0, 1).u64(n).data(4096), ErrFormat, says("key 0", "offset 24", fmt.Sprint(n), "limit of 65535")},
			hostile{fmt.Sprintf("H02 string of %d bytes", n), start(0, 1).key("a", KindString).u64(n).data(4096), ErrFormat, says(`key "a"`, fmt.Sprint(n), "limit of 16777216")},
			hostile{fmt.Sprintf("H02 piece of %d bytes", n), start(0, 1).key("a", KindArray).u32(uint32(KindString)).u64(2).text("x").u64(n).data(4096), ErrFormat, says(`key "a"`, fmt.Sprint(n), "string 1 of 2")},
			hostile{fmt.Sprintf("H02 tensor name of %d bytes", n), start(1, 0).u64(n).data(4096), ErrFormat, says("name of tensor 0", fmt.Sprint(n), "limit of 255")},
			hostile{fmt.Sprintf("H03 array of %d", n), start(0, 1).key("a", KindArray).u32(uint32(KindUint8)).u64(n).data(4096), ErrFormat, says(`key "a"`, "array length", fmt.Sprint(n), "limit of 4194304")},
			hostile{fmt.Sprintf("H03 nested array of %d", n), start(0, 1).key("a", KindArray).u32(uint32(KindArray)).u64(1).u32(uint32(KindUint8)).u64(n).data(4096), ErrFormat, says(`key "a"[0]`, fmt.Sprint(n))},
		)
	}
	deep := start(0, 1).key("a", KindArray)
	for range 100 {
		deep.u32(uint32(KindArray)).u64(1)
	}
	add(
		hostile{"H01 more tensors than bytes", start(1000, 0).data(4096), ErrTruncated, says("tensor count 1000", "33000 bytes")},
		hostile{"H01 more keys than bytes", start(0, 1000).data(4096), ErrTruncated, says("key count 1000", "14000 bytes")},
		hostile{"H02 string longer than the rest", start(0, 1).key("a", KindString).u64(5000).data(100), ErrTruncated, says(`key "a"`, "length 5000", "follow")},
		hostile{"H02 negative as int32", start(0, 1).key("a", KindString).u64(0xffffffff).data(100), ErrFormat, says("4294967295")},
		hostile{"H03 array longer than the rest", start(0, 1).key("a", KindArray).u32(uint32(KindFloat64)).u64(100).data(100), ErrTruncated, says("array length 100", "800 bytes")},
		hostile{"H03 strings longer than the rest", start(0, 1).key("a", KindArray).u32(uint32(KindString)).u64(100).data(100), ErrTruncated, says("array length 100", "800 bytes")},
		hostile{"H03 arrays nested 100 deep", deep.data(4096), ErrFormat, says(`key "a"[0][0]`, "nested 5 deep", "limit is 4")},
		hostile{"H03 kind unknown", start(0, 1).key("a", 13).u64(0), ErrUnsupported, says(`key "a"`, "value kind 13", "offset 33")},
		hostile{"H03 kind of elements unknown", start(0, 1).key("a", KindArray).u32(77).u64(0), ErrUnsupported, says(`key "a"`, "value kind 77")},
		hostile{"H03 bool is 2", start(0, 1).key("a", KindBool).u8(2).data(0), ErrFormat, says(`key "a"`, "bool", "is 2")},
		hostile{"H03 bool of array is 255", start(0, 1).key("a", KindArray).u32(uint32(KindBool)).u64(2).u8(1).u8(255).data(0), ErrFormat, says(`key "a"[1]`, "is 255")},
		hostile{"H04 key twice", start(0, 2).key("a", KindUint8).u8(1).key("a", KindUint8).u8(1).data(64), ErrFormat, says(`key "a"`, "offset 38", "twice")},
		hostile{"H04 tensor twice", start(2, 0).tensor("t", 0, 0, 8).tensor("t", 0, 32, 8).data(64), ErrFormat, says(`tensor "t"`, "twice")},
		hostile{"H04 key empty", start(0, 1).key("", KindUint8).u8(1).data(64), ErrFormat, says("key 0", "empty")},
		hostile{"H04 key not UTF-8", start(0, 1).key("a\xff", KindUint8).u8(1).data(64), ErrFormat, says("UTF-8")},
		hostile{"H04 tensor name with a newline", start(1, 0).tensor("t\n", 0, 0, 8).data(64), ErrFormat, says("control character")},
		hostile{"H04 tensor name empty", start(1, 0).tensor("", 0, 0, 8).data(64), ErrFormat, says("tensor 0", "empty")},
	)
	for _, n := range []uint32{0, 1, 3, 4, 24, 33, 1 << 21, 1 << 31, math.MaxUint32} {
		add(hostile{fmt.Sprintf("H05 alignment %d", n), start(1, 1).key(keyAlignment, KindUint32).u32(n).tensor("t", 0, 0, 8).data(64), ErrFormat, says(keyAlignment, fmt.Sprint(n), "power of two from 8 to 1048576")})
	}
	add(
		hostile{"H05 alignment 2^63", start(1, 1).key(keyAlignment, KindUint64).u64(1<<63).tensor("t", 0, 0, 8).data(64), ErrFormat, says(keyAlignment, "9223372036854775808")},
		hostile{"H05 alignment -32", start(1, 1).key(keyAlignment, KindInt32).u32(uint32(0xffffffe0)).tensor("t", 0, 0, 8).data(64), ErrFormat, says(keyAlignment, "-32")},
		hostile{"H05 alignment a string", start(1, 1).key(keyAlignment, KindString).text("32").tensor("t", 0, 0, 8).data(64), ErrFormat, says(keyAlignment, "is string, want an integer")},
	)
	for _, n := range []uint32{0, 5, 1 << 31, math.MaxUint32} {
		add(hostile{fmt.Sprintf("H06 %d dimensions", n), start(1, 0).text("t").u32(n).data(4096), ErrFormat, says(`tensor "t"`, fmt.Sprint(n), "offset 33", "want 1 to 4")})
	}
	tensor := func(id uint32, offset uint64, dims ...uint64) *raw {
		return start(1, 0).tensor("t", id, offset, dims...).data(4096)
	}
	add(
		hostile{"H07 dimension 0", tensor(0, 0, 8, 0), ErrFormat, says(`tensor "t"`, "dimension 1", "is 0")},
		hostile{"H07 dimension -1", tensor(0, 0, 8, math.MaxUint64), ErrFormat, says("dimension 1", "is -1")},
		hostile{"H07 dimension -2^63", tensor(0, 0, 1<<63), ErrFormat, says("dimension 0", "is -9223372036854775808")},
		hostile{"H07 elements wrap to 0", tensor(0, 0, 1<<32, 1<<32), ErrFormat, says("number of elements", "2^63-1")},
		hostile{"H07 elements wrap to little", tensor(0, 0, 1<<32, 1<<32+1), ErrFormat, says("number of elements")},
		hostile{"H07 elements wrap in the fourth", tensor(0, 0, 1<<20, 1<<20, 1<<20, 1<<20), ErrFormat, says("number of elements")},
		hostile{"H07 bytes wrap to 0", tensor(0, 0, 1<<31, 1<<31), ErrFormat, says("size in bytes", "F32")},
		hostile{"H07 bytes wrap to 8", tensor(0, 0, 1<<62+2), ErrFormat, says("size in bytes")},
		hostile{"H07 size of SIZE_MAX-3", tensor(24, 0, math.MaxUint64-3), ErrFormat, says("dimension 0", "is -4")},
		hostile{"H07 padded size wraps", tensor(24, 0, math.MaxInt64), ErrFormat, says("padded")},
		hostile{"H07 padded sizes add up beyond 2^63", start(2, 0).tensor("a", 24, 0, 1<<62).tensor("b", 24, 1<<62, 1<<62).data(64), ErrFormat, says("limit of 70368744177664 bytes")},
		hostile{"H07 size of 2^50", tensor(24, 0, 1<<50), ErrFormat, says(`tensor "t"`, "limit of 70368744177664 bytes")},
		hostile{"H08 row of Q4_0 half a block", tensor(2, 0, 16, 2), ErrFormat, says(`tensor "t"`, "row length 16", "multiple of 32", "Q4_0")},
		hostile{"H08 row of Q4_K off by one", tensor(12, 0, 257), ErrFormat, says("row length 257", "multiple of 256", "Q4_K")},
		hostile{"H09 type id 99", tensor(99, 0, 32), ErrUnsupported, says(`tensor "t"`, "type id 99", "offset 45")},
		hostile{"H09 type id 2^32-1", tensor(math.MaxUint32, 0, 32), ErrUnsupported, says("type id 4294967295")},
		hostile{"H09 removed Q4_2", tensor(4, 0, 32), ErrUnsupported, says("Q4_2", "id 4", "removed")},
		hostile{"H09 removed Q4_3", tensor(5, 0, 32), ErrUnsupported, says("Q4_3", "removed")},
		hostile{"H09 removed Q4_0_4_4", tensor(31, 0, 32), ErrUnsupported, says("Q4_0_4_4", "removed")},
		hostile{"H09 removed Q4_0_8_8", tensor(33, 0, 32), ErrUnsupported, says("Q4_0_8_8", "removed")},
		hostile{"H09 removed IQ4_NL_4_4", tensor(36, 0, 32), ErrUnsupported, says("IQ4_NL_4_4", "removed")},
		hostile{"H10 offset unaligned", tensor(0, 4, 8), ErrFormat, says(`tensor "t"`, "offset 4", "alignment 32")},
		hostile{"H10 overlap by one block", start(2, 0).tensor("a", 0, 0, 16).tensor("b", 0, 32, 16).data(4096), ErrFormat, says(`tensor "b"`, "offset 32", `overlaps tensor "a"`)},
		hostile{"H10 same place", start(2, 0).tensor("a", 0, 64, 16).tensor("b", 0, 64, 16).data(4096), ErrFormat, says("overlaps")},
		hostile{"H10 one inside another, not in order", start(3, 0).tensor("a", 0, 32, 8).tensor("b", 0, 128, 8).tensor("c", 0, 0, 64).data(4096), ErrFormat, says(`tensor "a"`, `overlaps tensor "c"`)},
		hostile{"H10 past the end", tensor(0, 4096, 8), ErrTruncated, says(`tensor "t"`, "offset 4096", "size 32", "beyond file size")},
		hostile{"H10 last byte past the end", tensor(24, 0, 4097), ErrTruncated, says("beyond file size")},
		hostile{"H10 inside the header by wrapping", tensor(0, math.MaxUint64-31, 8), ErrFormat, says(`tensor "t"`, "wrap around", "inside the header")},
		hostile{"H10 end wraps", tensor(0, math.MaxUint64-31, 64), ErrFormat, says("wrap around")},
		hostile{"H12 empty", new(raw), ErrTruncated, says("the file is empty")},
		hostile{"H12 magic alone", new(raw).bytes(magic), ErrTruncated, says("version")},
		hostile{"H12 another format", new(raw).bytes("PK\x03\x04").data(64), ErrFormat, says(`"PK\x03\x04"`, "not a GGUF file")},
		hostile{"H12 big-endian magic", new(raw).bytes("FUGG").data(64), ErrUnsupported, says("big-endian")},
		hostile{"H12 big-endian version 3", new(raw).bytes(magic).u32(3 << 24).data(64), ErrUnsupported, says("version 3", "big-endian")},
		hostile{"H12 big-endian version 2", new(raw).bytes(magic).u32(2 << 24).data(64), ErrUnsupported, says("version 2", "big-endian")},
		hostile{"H12 version 0", new(raw).bytes(magic).u32(0).data(64), ErrFormat, says("version 0")},
		hostile{"H12 version 1", new(raw).bytes(magic).u32(1).data(64), ErrUnsupported, says("version 1", "2 and 3")},
		hostile{"H12 version 4", new(raw).bytes(magic).u32(4).data(64), ErrUnsupported, says("version 4", "newer")},
		hostile{"H12 version 2^32-1", new(raw).bytes(magic).u32(math.MaxUint32).data(64), ErrUnsupported, says("version 4294967295")},
		hostile{"H12 GGML", new(raw).bytes("lmgg").data(64), ErrUnsupported, says("GGML", "before GGUF")},
		hostile{"H12 GGJT", new(raw).bytes("tjgg").data(64), ErrUnsupported, says("GGJT")},
		hostile{"H13 number beyond count", start(0, 2).key(keySplitCount, KindUint16).u8(2).u8(0).key(keySplitNo, KindUint16).u8(2).u8(0).data(64), ErrFormat, says(keySplitNo, "is 2", keySplitCount)},
		hostile{"H13 2^32 files", start(0, 1).key(keySplitCount, KindUint64).u64(1 << 32).data(64), ErrFormat, says(keySplitCount, "4294967296", "limit of 4096")},
		hostile{"H13 tensor count of the set negative", start(0, 2).key(keySplitCount, KindUint16).u8(2).u8(0).key(keySplitTensors, KindInt32).u32(math.MaxUint32).data(64), ErrFormat, says(keySplitTensors, "is -1")},
		hostile{"H13 tensor count of the set 2^60", start(0, 2).key(keySplitCount, KindUint16).u8(2).u8(0).key(keySplitTensors, KindUint64).u64(1 << 60).data(64), ErrFormat, says(keySplitTensors, "limit")},
	)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := parse(c.file.b)
			wantRefusal(t, err, c.class, c.says...)
		})
	}
}

// H16 and H17, the file's part: whatever bytes a piece holds and whatever number a count is, they are read as they stand,
// and it is the tokenizer and the model that refuse them.
func TestH16H17ValuesAreNotJudgedHere(t *testing.T) {
	f := start(0, 4).
		key("tokenizer.ggml.tokens", KindArray).u32(uint32(KindString)).u64(4).text("").text("\xff\xfe").text("a\x00b").text(strings.Repeat("x", 70000)).
		key("llama.attention.head_count", KindUint32).u32(0).
		key("llama.context_length", KindUint32).u32(1<<31).
		key("llama.rope.dimension_count", KindInt32).u32(math.MaxUint32).
		data(0)
	h, err := parse(f.b)
	if err != nil {
		t.Fatal(err)
	}
	pieces, err := h.Meta.Strings("tokenizer.ggml.tokens")
	if err != nil || len(pieces) != 4 || pieces[0] != "" || pieces[1] != "\xff\xfe" || pieces[2] != "a\x00b" || len(pieces[3]) != 70000 {
		t.Errorf("pieces are not what the file holds: %q, %v", pieces[:3], err)
	}
	if n, err := h.Meta.Uint("llama.context_length", 0); n != 1<<31 || err != nil {
		t.Errorf("context length %d, %v", n, err)
	}
	_, err = h.Meta.Uint("llama.rope.dimension_count", 0)
	wantRefusal(t, err, ErrFormat, "llama.rope.dimension_count", "-1")
}

// The memory that a header may take is bounded as a whole, not only by each count.
func TestMemoryOfAHeaderIsBounded(t *testing.T) {
	lim := DefaultLimits()
	lim.HeapBytes = 64 << 10
	for name, f := range map[string]*raw{
		"arrays of arrays": start(0, 1).key("a", KindArray).u32(uint32(KindArray)).u64(1000).data(12 * 1000),
		"empty strings":    start(0, 1).key("a", KindArray).u32(uint32(KindString)).u64(5000).data(8 * 5000),
		"numbers":          start(0, 1).key("a", KindArray).u32(uint32(KindUint8)).u64(70000).data(70000),
		"one string":       start(0, 1).key("a", KindString).u64(70000).data(70000),
		"keys":             start(0, 300).data(300 * 20),
		"tensors":          start(300, 0).data(300 * 40),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseHeader(bytes.NewReader(f.b), int64(len(f.b)), lim)
			wantRefusal(t, err, ErrFormat, "limit for one header")
		})
	}
}
