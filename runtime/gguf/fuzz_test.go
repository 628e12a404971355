package gguf

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

var update = flag.Bool("update", false, "write the seeds of the fuzz targets again")

// seeds are small files that reach every branch of the reader; the committed corpora hold them under these names.
func seeds(t testing.TB) map[string][]byte {
	var small bytes.Buffer
	err := Write(&small,
		[]KV{{"general.architecture", "llama"}, {keyAlignment, uint32(8)}, {"l", []string{"a", "bc"}}, {"n", []any{[]int16{1}, []bool{true}}}},
		[]TensorData{{TensorSpec{"a", 24, []uint64{3}}, []byte("abc")}, {TensorSpec{"b", 2, []uint64{32}}, make([]byte, 18)}})
	if err != nil {
		t.Fatal(err)
	}
	return map[string][]byte{
		"small":       small.Bytes(),
		"empty-file":  {},
		"no-tensors":  start(0, 1).key("a", KindFloat64).u64(0).b,
		"v2":          append([]byte("GGUF\x02\x00\x00\x00"), small.Bytes()[8:]...),
		"big-endian":  new(raw).bytes(magic).u32(3 << 24).b,
		"counts":      start(1<<63, 1<<63).b,
		"nested":      start(0, 1).key("a", KindArray).u32(9).u64(1).u32(9).u64(1).u32(9).u64(1).u32(9).u64(1).u32(9).u64(1).b,
		"wraps":       start(1, 0).tensor("t", 0, 1<<64-32, 1<<32, 1<<30).data(64).b,
		"overlap":     start(2, 0).tensor("a", 0, 0, 16).tensor("b", 0, 32, 16).data(128).b,
		"split":       start(0, 2).key(keySplitCount, KindUint16).u8(2).u8(0).key(keySplitNo, KindUint16).u8(1).u8(0).b,
		"long-string": start(0, 1).key("a", KindString).u64(1 << 40).data(64).b,
	}
}

// The committed corpora are what seeds makes: `go test -run Corpora -update` writes them again.
func TestCorporaAreCommitted(t *testing.T) {
	for _, target := range []string{"FuzzParseHeader", "FuzzOpenFile"} {
		dir := filepath.Join("testdata", "fuzz", target)
		for name, b := range seeds(t) {
			path := filepath.Join(dir, name)
			want := fmt.Sprintf("go test fuzz v1\n[]byte(%q)\n", b)
			if *update {
				check(t, os.MkdirAll(dir, 0o755))
				check(t, os.WriteFile(path, []byte(want), 0o644))
			}
			got, err := os.ReadFile(path)
			check(t, err)
			if string(got) != want {
				t.Errorf("%s is not the seed that the test makes", path)
			}
		}
	}
}

func smallLimits() Limits {
	lim := DefaultLimits()
	lim.HeapBytes = 1 << 20
	return lim
}

func FuzzParseHeader(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := ParseHeader(bytes.NewReader(b), int64(len(b)), smallLimits())
		if err != nil {
			if !errors.Is(err, ErrFormat) && !errors.Is(err, ErrTruncated) && !errors.Is(err, ErrUnsupported) {
				t.Fatalf("refusal of no class: %v", err)
			}
			return
		}
		checkHeader(t, h)
		rewrite(t, h)
	})
}

// checkHeader holds what a reader of tensors relies on.
func checkHeader(t *testing.T, h *Header) {
	t.Helper()
	end := uint64(h.DataOffset)
	if end%h.Alignment != 0 {
		t.Fatalf("data starts at %d", end)
	}
	taken := make([]bool, h.Size)
	for _, info := range h.Tensors {
		start := end + info.Offset
		if start%h.Alignment != 0 || start < end || info.Bytes == 0 || start+info.Bytes > uint64(h.Size) {
			t.Fatalf("tensor %q lies at %d with %d bytes in a file of %d", info.Name, start, info.Bytes, h.Size)
		}
		for i := start; i < start+info.Bytes; i++ {
			if taken[i] {
				t.Fatalf("tensor %q shares byte %d", info.Name, i)
			}
			taken[i] = true
		}
	}
}

// rewrite writes what was read again and wants to read the same.
func rewrite(t *testing.T, h *Header) {
	t.Helper()
	var meta []KV
	for _, key := range h.Meta.Keys() {
		v, _ := h.Meta.Get(key)
		meta = append(meta, KV{key, v})
	}
	var tensors []TensorData
	for _, info := range h.Tensors {
		tensors = append(tensors, TensorData{TensorSpec{info.Name, info.Type, info.Dims}, make([]byte, info.Bytes)})
	}
	var b bytes.Buffer
	if err := Write(&b, meta, tensors); err != nil {
		t.Fatalf("what was read is not written: %v", err)
	}
	again, err := parse(b.Bytes())
	if err != nil {
		t.Fatalf("what was written is not read: %v", err)
	}
	for _, key := range h.Meta.Keys() {
		v, _ := h.Meta.Get(key)
		w, _ := again.Meta.Get(key)
		if !v.equal(w) {
			t.Fatalf("key %q changed from %s to %s", key, v.TypeName(), w.TypeName())
		}
	}
}

func FuzzOpenFile(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		fd, err := unix.MemfdCreate("fuzz", unix.MFD_CLOEXEC)
		if err != nil {
			t.Skip(err)
		}
		m := os.NewFile(uintptr(fd), "/nowhere/x-00002-of-00002.gguf")
		if _, err := m.Write(b); err != nil {
			t.Fatal(err)
		}
		g, err := OpenFile(m, smallLimits())
		if err != nil {
			return
		}
		defer g.Close()
		for _, info := range g.Tensors() {
			if !bytes.Contains(b, g.Data(info)) {
				t.Fatalf("tensor %q is not from the file", info.Name)
			}
		}
		if err := g.Changed(); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzShardName: a name that is taken apart is put together again, and no other is taken for one of a split set.
func FuzzShardName(f *testing.F) {
	for _, name := range []string{"big-00002-of-00003.gguf", "-00001-of-00001.gguf", "a-00000-of-00001.gguf", "a-00002-of-00001.gguf", "a\n-00001-of-00002.gguf", "a-1-of-2.gguf"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		base, no, count, ok := ShardName(name)
		if ok && (ShardPath(base, no, count) != name || no < 1 || no > count) {
			t.Fatalf("%q is %q, %d of %d", name, base, no, count)
		}
	})
}
