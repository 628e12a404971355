package gguf

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

func openFiles(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// mappings counts the mappings of files below dir.
func mappings(t testing.TB, dir string) int {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(maps), dir)
}

func writeFile(t testing.TB, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "m.gguf")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func open(t testing.TB, path string) *File {
	t.Helper()
	f, err := Open(path, DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestTensorsLieInTheMapping(t *testing.T) {
	path := writeFile(t, sample(t))
	f := open(t, path)
	defer f.Close()
	for i, info := range f.Tensors() {
		data := f.Data(info)
		if uint64(len(data)) != info.Bytes || !bytes.Equal(data, bytes.Repeat([]byte{byte(i + 1)}, len(data))) {
			t.Errorf("tensor %q: data is not what was written", info.Name)
		}
		if cap(data) != len(data) {
			t.Errorf("tensor %q: its slice reaches beyond it", info.Name)
		}
	}
	if _, ok := f.Tensor("none"); ok {
		t.Error("found a tensor that is not there")
	}
	if n := testing.AllocsPerRun(10, func() { f.Data(f.Tensors()[0]) }); n != 0 {
		t.Errorf("Data allocates %v times", n)
	}
}

// A vector load that begins at the last weight reads up to 63 bytes behind it. With a file that ends on a page border
// those bytes belong to the page that the mapping reserves.
func TestLoadBehindTheEndOfAHealthyFileDoesNotFault(t *testing.T) {
	page := os.Getpagesize()
	var b bytes.Buffer
	// The header takes one alignment of a page, and the tensor one page.
	if err := Write(&b, []KV{{keyAlignment, uint32(page)}}, []TensorData{{TensorSpec{"t", 24, []uint64{uint64(page)}}, make([]byte, page)}}); err != nil {
		t.Fatal(err)
	}
	if b.Len() != 2*page {
		t.Fatalf("file has %d bytes, want two pages", b.Len())
	}
	f := open(t, writeFile(t, b.Bytes()))
	defer f.Close()
	m := f.shards[0].mem
	if len(m.whole) != 3*page {
		t.Fatalf("mapping has %d bytes, want three pages", len(m.whole))
	}
	for i, x := range m.whole[len(m.bytes):] {
		if x != 0 {
			t.Fatalf("byte %d behind the file is %d", i, x)
		}
	}
}

// Load leaves a file that was cut, or cannot be read, to whoever reads it, and ends when it is told to.
func TestLoad(t *testing.T) {
	path := writeFile(t, sample(t))
	f := open(t, path)
	defer f.Close()
	var pieces atomic.Int32
	count := func(took time.Duration) {
		if took < 0 || took > mostWork {
			t.Errorf("a piece took a processor for %v", took)
		}
		pieces.Add(1)
	}
	check(t, f.Load(t.Context(), 2, count))
	check(t, os.Truncate(path, 1))
	check(t, f.Load(t.Context(), 2, count))
	if n := pieces.Load(); n != 2 {
		t.Errorf("a file of one piece was loaded twice, with %d rests", n)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.Load(over, 2, count); !errors.Is(err, context.Canceled) {
		t.Errorf("Load ended with %v, though it was told to end", err)
	}
}

// A large file is brought in and given back in pieces, with a rest behind each, and after that its pages are mapped no more; who reads one all the
// same has it from the file.
func TestPieces(t *testing.T) {
	const size = 3*mapPiece + 5
	data := make([]byte, size)
	data[size-1] = 7
	var b bytes.Buffer
	check(t, Write(&b, nil, []TensorData{{TensorSpec{"t", 24, []uint64{size}}, data}}))
	f := open(t, writeFile(t, b.Bytes()))
	defer f.Close()
	tensor, _ := f.Tensor("t")
	var loads atomic.Int32
	check(t, f.Load(t.Context(), 2, func(time.Duration) { loads.Add(1) }))
	page := os.Getpagesize()
	resident := func(piece int) bool {
		state := make([]byte, 8)
		table, err := os.Open("/proc/self/pagemap")
		check(t, err)
		defer table.Close()
		at := uintptr(unsafe.Pointer(&f.shards[0].mem.bytes[piece*mapPiece])) / uintptr(page)
		_, err = table.ReadAt(state, int64(at)*8)
		check(t, err)
		return state[7]&0x80 != 0 // bit 63: it can be read without a fault
	}
	rests := 0
	f.GiveBack(func(time.Duration) {
		if resident(rests) || rests < 3 && !resident(rests+1) {
			t.Errorf("piece %d was not given back, or the next one was too", rests)
		}
		rests++
	})
	if loads.Load() != 4 || rests != 4 {
		t.Errorf("%d rests behind pieces that came in, %d behind those given back, want 4", loads.Load(), rests)
	}
	if got := f.Data(tensor)[size-1]; got != 7 {
		t.Errorf("the last byte is %d by now", got)
	}
}

// H14: what a reader of a mapping meets after a truncation, and that it survives.
func TestH14ReadOfATruncatedMappingFaultsRecoverably(t *testing.T) {
	page := os.Getpagesize()
	var b bytes.Buffer
	if err := Write(&b, nil, []TensorData{{TensorSpec{"t", 24, []uint64{uint64(4 * page)}}, make([]byte, 4*page)}}); err != nil {
		t.Fatal(err)
	}
	path := writeFile(t, b.Bytes())
	f := open(t, path)
	defer f.Close()
	if err := os.Truncate(path, int64(page)); err != nil {
		t.Fatal(err)
	}
	if !faults(f.Data(f.Tensors()[0])) {
		t.Error("reading behind the new end did not fault")
	}
	wantChanged(t, f.Changed(), path, "bytes, and had")
}

func faults(b []byte) (faulted bool) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if e, ok := recover().(runtime.Error); ok {
			_, faulted = e.(interface{ Addr() uintptr })
		}
	}()
	var sum byte
	for _, x := range b {
		sum += x
	}
	runtime.KeepAlive(sum)
	return false
}

func wantChanged(t *testing.T, err error, says ...string) {
	t.Helper()
	wantRefusal(t, err, ErrChanged, append(says, "changed in place")...)
}

// H15: rewriting in place is damage, replacing by rename and unlinking are not.
func TestH15ChangedTellsDamageFromASwap(t *testing.T) {
	for name, c := range map[string]struct {
		change func(t *testing.T, path string)
		damage bool
	}{
		"nothing": {func(*testing.T, string) {}, false},
		"renamed over": {func(t *testing.T, path string) {
			other := path + ".new"
			if err := errors.Join(os.WriteFile(other, []byte("another model"), 0o600), os.Rename(other, path)); err != nil {
				t.Fatal(err)
			}
		}, false},
		"unlinked":        {func(t *testing.T, path string) { check(t, os.Remove(path)) }, false},
		"another mode":    {func(t *testing.T, path string) { check(t, os.Chmod(path, 0)) }, false},
		"appended to":     {func(t *testing.T, path string) { writeAt(t, path, -1, "x") }, true},
		"written in":      {func(t *testing.T, path string) { writeAt(t, path, 3000, "x") }, true},
		"touched":         {func(t *testing.T, path string) { check(t, os.Chtimes(path, time.Time{}, time.Unix(5, 0))) }, true},
		"cut by one byte": {func(t *testing.T, path string) { check(t, os.Truncate(path, 5000)) }, true},
		"cut to nothing":  {func(t *testing.T, path string) { check(t, os.Truncate(path, 0)) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			path := writeFile(t, sample(t))
			// The clock of a file system may stand still for some milliseconds, so the file is made older than now.
			check(t, os.Chtimes(path, time.Time{}, time.Now().Add(-time.Minute)))
			f := open(t, path)
			defer f.Close()
			c.change(t, path)
			if c.damage {
				wantChanged(t, f.Changed(), path)
			} else if err := f.Changed(); err != nil {
				t.Error(err)
			}
		})
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func writeAt(t *testing.T, path string, off int64, s string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	check(t, err)
	defer f.Close()
	if off < 0 {
		_, err = f.Seek(0, 2)
	} else {
		_, err = f.Seek(off, 0)
	}
	check(t, err)
	_, err = f.WriteString(s)
	check(t, err)
}

// Whoever looks after a model may ask while the model is being let go: it is never told of a descriptor that is somebody else's by now.
func TestChangedBesideClose(t *testing.T) {
	path := writeFile(t, sample(t))
	for range 20 {
		f := open(t, path)
		asked := make(chan error)
		go func() {
			var err error
			for range 100 {
				err = errors.Join(err, f.Changed())
			}
			asked <- err
		}()
		check(t, f.Close())
		check(t, <-asked)
	}
}

func TestChangedDoesNotAllocate(t *testing.T) {
	f := open(t, writeFile(t, sample(t)))
	defer f.Close()
	if n := testing.AllocsPerRun(100, func() {
		if err := f.Changed(); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("Changed allocates %v times", n)
	}
}

func TestIdentity(t *testing.T) {
	content := sample(t)
	path := writeFile(t, content)
	f := open(t, path)
	id := f.Identity()
	check(t, f.Close())
	g := open(t, path)
	if g.Identity().Key() != id.Key() {
		t.Error("the same file has two identities")
	}
	check(t, g.Close())
	other := open(t, writeFile(t, content))
	defer other.Close()
	if other.Identity().Key() == id.Key() {
		t.Error("a copy has the identity of its original")
	}
	if other.Identity().HeaderDigest != id.HeaderDigest {
		t.Error("a copy has another header")
	}
	changed := bytes.Replace(content, []byte("llama"), []byte("lambda")[:5], 1)
	third := open(t, writeFile(t, changed))
	defer third.Close()
	if third.Identity().HeaderDigest == id.HeaderDigest {
		t.Error("another header has the same digest")
	}
}

func TestCloseGivesBackMappingsAndDescriptors(t *testing.T) {
	path := writeFile(t, sample(t))
	files := openFiles(t)
	for range 20 {
		f := open(t, path)
		if mappings(t, path) != 1 {
			t.Fatal("the file is not mapped once")
		}
		meta := f.Meta()
		check(t, f.Close())
		if pieces, err := meta.Strings("tokens"); err != nil || pieces[699] != "piece699" {
			t.Fatalf("metadata did not outlive the file: %v", err)
		}
	}
	if n := mappings(t, path); n != 0 {
		t.Errorf("%d mappings are left", n)
	}
	if n := openFiles(t); n != files {
		t.Errorf("%d descriptors are open, %d were before", n, files)
	}
}

// A pipe in a watched folder must not hold up whoever opens it.
func TestOpenOfAPipeDoesNotWait(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe.gguf")
	check(t, unix.Mkfifo(path, 0o600))
	_, err := Open(path, DefaultLimits())
	wantRefusal(t, err, ErrFormat, "not a regular file")
}

// A model that is not in a file is served from sealed memory that has a descriptor.
func TestOpenFileOfAMemoryFile(t *testing.T) {
	fd, err := unix.MemfdCreate("m", unix.MFD_CLOEXEC)
	check(t, err)
	m := os.NewFile(uintptr(fd), "memory")
	_, err = m.Write(sample(t))
	check(t, err)
	f, err := OpenFile(m, DefaultLimits())
	check(t, err)
	defer f.Close()
	if data := f.Data(f.Tensors()[1]); data[0] != 2 {
		t.Error("tensor is not what was written")
	}
}

// reads counts what is read of a file that claims to be huge.
type reads struct {
	head  []byte
	bytes int64
	last  int64
}

func (r *reads) ReadAt(p []byte, off int64) (int, error) {
	r.bytes += int64(len(p))
	r.last = max(r.last, off+int64(len(p)))
	clear(p)
	if off < int64(len(r.head)) {
		copy(p, r.head[off:])
	}
	return len(p), nil
}

func TestHeaderOfAHugeFileIsReadAlone(t *testing.T) {
	const elements = 25 << 30 // of float32: 100 GiB
	head := start(1, 0).tensor("t", 0, 0, 1<<15, elements>>15)
	r := &reads{head: head.b}
	h, err := ParseHeader(r, 100<<30+4096, DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	if h.Tensors[0].Bytes != 100<<30 {
		t.Errorf("tensor has %d bytes", h.Tensors[0].Bytes)
	}
	if r.last > windowBytes {
		t.Errorf("read up to byte %d of the file for a header of %d bytes", r.last, len(head.b))
	}
}

func TestSparseFileIsMappedWithoutCost(t *testing.T) {
	head := start(1, 0).tensor("t", 0, 0, 1<<15, 1<<20) // 128 GiB
	path := writeFile(t, head.b)
	if err := os.Truncate(path, 128<<30+4096); err != nil {
		t.Skipf("the file system makes no sparse file of this size: %v", err)
	}
	f := open(t, path)
	defer f.Close()
	if data := f.Data(f.Tensors()[0]); len(data) != 128<<30 {
		t.Errorf("tensor has %d bytes", len(data))
	}
}
