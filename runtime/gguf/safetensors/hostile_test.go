package safetensors

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"
)

// file makes a file of a header's text and a number of bytes of data.
func file(header string, data int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, data)...)
}

func length(n uint64) []byte { return binary.LittleEndian.AppendUint64(nil, n) }

// one is an entry of a header.
func one(name, dtype, shape, offsets string) string {
	return fmt.Sprintf(`{"%s":{"dtype":"%s","shape":%s,"data_offsets":%s}}`, name, dtype, shape, offsets)
}

type hostile struct {
	file  []byte
	class error
	want  string
}

// hostileFiles are the kinds of damage and malice that were seen in files and readers of this format.
func hostileFiles() map[string]hostile {
	two := func(a, b string) string {
		return `{"a":{"dtype":"F32","shape":[2],"data_offsets":` + a + `},"b":{"dtype":"F32","shape":[2],"data_offsets":` + b + `}}`
	}
	var many strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&many, `,"t%d":{"dtype":"U8","shape":[1],"data_offsets":[%d,%d]}`, i, i, i+1)
	}
	return map[string]hostile{
		"empty file":          {nil, ErrTruncated, "the file is empty"},
		"cut in the length":   {make([]byte, 7), ErrTruncated, "the file has 7 bytes"},
		"header 2^64-1":       {length(math.MaxUint64), ErrFormat, "header of 18446744073709551615 bytes, the limit is 16777216"},
		"header 2^63":         {length(1 << 63), ErrFormat, "the limit is"},
		"header 100 MB":       {length(100_000_000), ErrFormat, "header of 100000000 bytes"},
		"header beyond file":  {append(length(100), '{'), ErrTruncated, "header of 100 bytes, but only 1 follow"},
		"header of nothing":   {length(0), ErrFormat, "header of 0 bytes"},
		"no JSON":             {file("{]", 0), ErrFormat, "invalid character ']'"},
		"a pickle":            {file("\x80\x02}q\x00.", 0), ErrFormat, `header begins with "\x80"`},
		"space before":        {file(" {}", 0), ErrFormat, `header begins with " "`},
		"an array":            {file("[]", 0), ErrFormat, `header begins with "["`},
		"no UTF-8":            {file("{\"\xff\":1}", 0), ErrFormat, "not UTF-8"},
		"two objects":         {file("{}{}", 0), ErrFormat, "after top-level value"},
		"deep":                {file(`{"a":`+strings.Repeat("[", 5000)+strings.Repeat("]", 5000)+`}`, 0), ErrFormat, "more than 3 deep"},
		"tensor twice":        {file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, 2), ErrFormat, `key "a" is there twice`},
		"field twice":         {file(`{"a":{"dtype":"U8","dtype":"F32","shape":[1],"data_offsets":[0,1]}}`, 1), ErrFormat, `key "dtype" is there twice`},
		"100,000 entries":     {file("{"+many.String()[1:]+"}", 100_000), ErrFormat, "100000 tensors, the limit is 65536"},
		"name too long":       {file(one(strings.Repeat("n", 513), "U8", "[1]", "[0,1]"), 1), ErrFormat, "want 1 to 512 bytes"},
		"name empty":          {file(one("", "U8", "[1]", "[0,1]"), 1), ErrFormat, `tensor name ""`},
		"name with NUL":       {file(one(`a\u0000b`, "U8", "[1]", "[0,1]"), 1), ErrFormat, "without control characters"},
		"entry a number":      {file(`{"a":1}`, 0), ErrFormat, "entry is not an object"},
		"no dtype":            {file(`{"a":{"shape":[1],"data_offsets":[0,1]}}`, 1), ErrFormat, `"dtype" is missing`},
		"no shape":            {file(`{"a":{"dtype":"U8","data_offsets":[0,1]}}`, 1), ErrFormat, `"shape" is missing`},
		"no offsets":          {file(`{"a":{"dtype":"U8","shape":[1]}}`, 1), ErrFormat, `"data_offsets" is missing`},
		"one field more":      {file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"strides":[1]}}`, 1), ErrFormat, "4 fields"},
		"dtype a number":      {file(`{"a":{"dtype":1,"shape":[1],"data_offsets":[0,1]}}`, 1), ErrFormat, "dtype is 1, want text"},
		"dtype unknown":       {file(one("a", "F33", "[1]", "[0,4]"), 4), ErrFormat, `dtype "F33" is unknown`},
		"dtype in lower case": {file(one("a", "f32", "[1]", "[0,4]"), 4), ErrFormat, `dtype "f32" is unknown`},
		"dimension negative":  {file(one("a", "U8", "[-1]", "[0,1]"), 1), ErrFormat, "shape is [-1]"},
		"dimension 1.5":       {file(one("a", "U8", "[1.5]", "[0,1]"), 1), ErrFormat, "shape is [1.5]"},
		"dimension 2^64":      {file(one("a", "U8", "[18446744073709551616]", "[0,1]"), 1), ErrFormat, "shape is [18446744073709551616]"},
		"dimension text":      {file(one("a", "U8", `["1"]`, "[0,1]"), 1), ErrFormat, "want a list of whole numbers"},
		"dimension null":      {file(one("a", "U8", "[null]", "[0,0]"), 0), ErrFormat, `"shape" is missing or null`},
		"9 dimensions":        {file(one("a", "U8", "[1,1,1,1,1,1,1,1,1]", "[0,1]"), 1), ErrFormat, "9 dimensions, the limit is 8"},
		"product wraps to 0":  {file(one("a", "F32", "[4294967296,4294967296]", "[0,0]"), 0), ErrFormat, "beyond 2^63 bits"},
		"product wraps small": {file(one("a", "F32", "[4611686018427387905,4]", "[0,16]"), 16), ErrFormat, "beyond 2^63 bits"},
		"size 0":              {file(one("a", "F32", "[0]", "[0,0]"), 0), ErrFormat, "dimension 0 is 0"},
		"size 0 on another":   {file(`{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[2,0],"data_offsets":[2,2]}}`, 4), ErrFormat, "dimension 1 is 0"},
		"half a byte":         {file(one("a", "F4", "[3]", "[0,2]"), 2), ErrFormat, "no whole number of bytes"},
		"span too short":      {file(one("a", "F32", "[2]", "[0,7]"), 7), ErrFormat, "span 7 bytes, but shape [2] of F32 takes 8"},
		"span too long":       {file(one("a", "F32", "[2]", "[0,9]"), 9), ErrFormat, "span 9 bytes"},
		"span backwards":      {file(one("a", "F32", "[2]", "[8,0]"), 8), ErrFormat, "ends at 0, before its beginning at 8"},
		"span 2^64":           {file(one("a", "U8", "[1]", "[18446744073709551615,18446744073709551616]"), 1), ErrFormat, "data_offsets are"},
		"one offset":          {file(one("a", "U8", "[1]", "[1]"), 1), ErrFormat, "want two whole numbers"},
		"three offsets":       {file(one("a", "U8", "[1]", "[0,1,2]"), 1), ErrFormat, "want two whole numbers"},
		"offset null":         {file(one("a", "U8", "[1]", "[null,1]"), 1), ErrFormat, `"data_offsets" is missing or null`},
		"offset negative":     {file(one("a", "U8", "[1]", "[-1,0]"), 1), ErrFormat, "data_offsets are [-1,0]"},
		"overlap":             {file(two("[0,8]", "[4,12]"), 12), ErrFormat, `tensor "b": offset 4 overlaps tensor "a", which ends at 8`},
		"same place":          {file(two("[0,8]", "[0,8]"), 8), ErrFormat, `tensor "b": offset 0 overlaps tensor "a"`},
		"hole":                {file(two("[0,8]", "[12,20]"), 20), ErrFormat, `tensor "b": offset 12 leaves a hole of 4 bytes`},
		"hole at the front":   {file(two("[4,12]", "[12,20]"), 20), ErrFormat, `tensor "a": offset 4 leaves a hole of 4 bytes`},
		"offset at 2^63":      {file(two("[0,8]", "[9223372036854775800,9223372036854775808]"), 8), ErrFormat, "leaves a hole"},
		"beyond the file":     {file(two("[0,8]", "[8,16]"), 15), ErrTruncated, "the tensors end at offset 16, but the file has only 15 bytes"},
		"bytes behind":        {file(two("[0,8]", "[8,16]"), 17), ErrFormat, "1 bytes behind the last tensor"},
		"bytes of no tensor":  {file("{}", 4), ErrFormat, "4 bytes behind the last tensor"},
		"metadata a list":     {file(`{"__metadata__":[]}`, 0), ErrFormat, "__metadata__ is not an object of text"},
		"metadata a number":   {file(`{"__metadata__":{"a":1}}`, 0), ErrFormat, "__metadata__ is not an object of text"},
		"metadata 2 MB":       {file(`{"__metadata__":{"a":"`+strings.Repeat("x", 2<<20)+`"}}`, 0), ErrFormat, "__metadata__ has 2097160 bytes, the limit is 1048576"},
	}
}

// TestHostileHeaders: each kind of damage and malice (the safetensors files of H20 to H30) is refused by its class with words of its own.
func TestHostileHeaders(t *testing.T) {
	for name, c := range hostileFiles() {
		h, err := ParseHeader(bytes.NewReader(c.file), int64(len(c.file)), DefaultLimits())
		if !errors.Is(err, c.class) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v (%v), want %q", name, err, h, c.want)
		}
	}
}

// TestHeaderThatIsAccepted: what is unusual and healthy is read: any order of entries, scalars, padding, types that are not decoded, data that
// is not aligned.
func TestHeaderThatIsAccepted(t *testing.T) {
	b := file(`{"b":{"data_offsets":[1,9],"shape":[2,1],"dtype":"F32"},"__metadata__":{"format":"pt"},"a":{"dtype":"F4","shape":[2],"data_offsets":[0,1]},`+
		`"c":{"dtype":"BF16","shape":[],"data_offsets":[9,11]}}   `, 11)
	h, err := ParseHeader(bytes.NewReader(b), int64(len(b)), DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(h.Tensors, h.Metadata); got != `[tensor "a" (F4 [2]) tensor "b" (F32 [2 1]) tensor "c" (BF16 [])] map[format:pt]` {
		t.Error(got)
	}
	if h.DataOffset != int64(len(b)-11) || h.Tensors[2].Elements() != 1 {
		t.Errorf("data at %d, %d elements", h.DataOffset, h.Tensors[2].Elements())
	}
}

// TestTruncationAtEveryByteIsTold: a file that is cut anywhere is told from a malformed one, so that whoever watches it waits.
func TestTruncationAtEveryByteIsTold(t *testing.T) {
	var whole bytes.Buffer
	if err := Write(&whole, map[string]string{"a": "b"}, []TensorData{{"x", F32, []uint64{3}, []float32{1, 2, 3}}}); err != nil {
		t.Fatal(err)
	}
	for n := range whole.Len() {
		if _, err := ParseHeader(bytes.NewReader(whole.Bytes()), int64(n), DefaultLimits()); !errors.Is(err, ErrTruncated) {
			t.Errorf("cut at %d: %v", n, err)
		}
		// The file shrinks after its size was asked for.
		if _, err := ParseHeader(bytes.NewReader(whole.Bytes()[:n]), int64(whole.Len()), DefaultLimits()); n < whole.Len()-12 && !errors.Is(err, ErrTruncated) {
			t.Errorf("shrinks to %d: %v", n, err)
		}
	}
}

// TestMemoryOfAHeaderIsBounded: a header that claims the world costs no more than itself.
func TestMemoryOfAHeaderIsBounded(t *testing.T) {
	for _, b := range [][]byte{length(16 << 20), file(one("a", "F32", "[268435456,1024]", "[0,1099511627776]"), 0)} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := ParseHeader(bytes.NewReader(b), int64(len(b)), DefaultLimits()); err == nil {
			t.Error("accepted")
		}
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
			t.Errorf("%d bytes were allocated", n)
		}
	}
}
