package cpu

import (
	"errors"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/kernels/kerneltest"
	"github.com/weft-run/weft/kernels/quant"
)

// mapped returns a tensor in a mapped file, and a function that truncates the file to nothing.
func mapped(t *testing.T, w kernels.Tensor) (kernels.Tensor, func()) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "weights")
	if err := os.WriteFile(name, w.Data, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err := syscall.Mmap(int(f.Fd()), 0, len(w.Data), syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Munmap(data); err != nil {
			t.Error(err)
		}
	})
	w.Name, w.Data = "mapped", data
	return w, func() {
		if err := os.Truncate(name, 0); err != nil {
			t.Fatal(err)
		}
	}
}

// faultsAreSeen skips the test where the system does not say at which address memory failed: some emulators do not.
func faultsAreSeen(t *testing.T) {
	t.Helper()
	w, truncate := mapped(t, tensor(quant.F32, 1, 1<<16))
	truncate()
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		fault, ok := recover().(interface{ Addr() uintptr })
		if !ok || !holds(&w, fault.Addr()) {
			t.Skip("LOUD: skipped: this system does not report the address of a fault (an emulator?)")
		}
	}()
	t.Log(w.Data[1<<17])
}

// A file that is truncated under its mapping fails the step with ErrFault, whoever reads it and however, and nothing else.
func TestTruncatedWeights(t *testing.T) {
	faultsAreSeen(t)
	const rows, cols = 300, 512
	x := kerneltest.Floats(kerneltest.Rand(), kerneltest.Normal, 20*cols)
	devices(t, func(t *testing.T, d *Device) {
		b := open(t, d)
		for _, typ := range []quant.Type{quant.F32, quant.F16, quant.Q8_0, quant.Q4_0, quant.Q4_1, quant.Q4_K, quant.Q6_K} {
			healthy := tensor(typ, rows, cols)
			w, truncate := mapped(t, healthy)
			for _, n := range []int{1, 20} {
				in := matrix(b, x[:n*cols], n, 0)
				out := matrix(b, make([]float32, n*rows), n, 0)
				b.Project(in, []kernels.Projection{{Dst: out, W: w}})
				if err := b.Sync(); err != nil {
					t.Fatalf("%s before truncation: %v", typ, err)
				}
			}
			truncate()
			for _, n := range []int{1, 20} {
				in := matrix(b, x[:n*cols], n, 0)
				out := matrix(b, make([]float32, n*rows), n, 0)
				b.Project(in, []kernels.Projection{{Dst: out, W: w}})
				faulted(t, b, typ.String()+" Project")
				want := wantProduct(x[:cols], 1, healthy, nil)
				b.Project(in.Head(1), []kernels.Projection{{Dst: out.Head(1), W: healthy}})
				if err := b.Sync(); err != nil {
					t.Fatalf("%s after the fault: %v", typ, err)
				}
				kerneltest.Equal(t, "after the fault", read(b, out.Head(1)), want)
			}
			b.Embed(matrix(b, make([]float32, cols), 1, 0), w, []int32{7}, nil)
			faulted(t, b, typ.String()+" Embed")
		}
		norm, truncate := mapped(t, tensor(quant.F32, 1, cols))
		truncate()
		m := matrix(b, x, 20, 0)
		b.RMSNorm(m, m, norm, 1e-5)
		faulted(t, b, "RMSNorm")
		out := matrix(b, make([]float32, 20*rows), 20, 0)
		b.RMSNorm(m, m, norm, 1e-5)
		b.Project(m, []kernels.Projection{{Dst: out, W: tensor(quant.Q4_0, rows, cols)}})
		faulted(t, b, "RMSNorm with the product behind it")
	})
}

func faulted(t *testing.T, b kernels.Backend, what string) {
	t.Helper()
	err := b.Sync()
	if !errors.Is(err, kernels.ErrFault) {
		t.Fatalf("%s: %v, want ErrFault", what, err)
	}
	if !strings.Contains(err.Error(), `"mapped"`) {
		t.Fatalf("%s: %v does not name the tensor", what, err)
	}
	if err := b.Sync(); err != nil {
		t.Fatalf("%s: reported twice: %v", what, err)
	}
}

// A panic that is no fault of a file is our own mistake and reaches the caller, whichever goroutine it was on.
func TestOtherPanicsReachTheCaller(t *testing.T) {
	d, err := NewDevice(Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for range 10 {
		func() {
			defer func() {
				if recover() == nil {
					t.Fatal("no panic")
				}
			}()
			d.pool.dispatch(&broken{few: make([]int, 6)}, 50)
		}()
	}
}

// broken reaches outside of a slice in its seventh chunk.
type broken struct{ few []int }

func (b *broken) run(_ *scratch, chunk int) {
	_ = b.few[chunk%7]
}

func (*broken) tensorAt(uintptr) (string, bool) { return "", false }
