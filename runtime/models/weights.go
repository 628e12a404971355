package models

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/runtime/gguf"
)

// maxComplaints is how many tensors one error names.
const maxComplaints = 8

// weights looks tensors up and remembers which were asked for, so that the end of loading can tell missing and surplus
// ones. Mistakes are collected: an architecture's constructor reads as a list of its tensors.
type weights struct {
	file       *gguf.File
	used       map[string]bool
	complaints []error
}

func newWeights(f *gguf.File) *weights {
	return &weights{file: f, used: make(map[string]bool, len(f.Tensors()))}
}

func (w *weights) has(name string) bool {
	_, ok := w.file.Tensor(name)
	return ok
}

// matrix returns the tensor of rows outputs and cols inputs. A wrong one is remembered and the zero Tensor returned.
func (w *weights) matrix(name string, rows, cols int) kernels.Tensor {
	info, ok := w.file.Tensor(name)
	w.used[name] = true
	if !ok {
		w.complain(invalid("tensor %q is missing (want %d rows of %d)", name, rows, cols))
		return kernels.Tensor{}
	}
	if err := computable(info); err != nil {
		w.complain(err)
		return kernels.Tensor{}
	}
	if !sameShape(info.Dims, rows, cols) {
		w.complain(invalid("tensor %q has dimensions %v, want [%d %d]", name, info.Dims, cols, rows))
		return kernels.Tensor{}
	}
	return kernels.Tensor{Name: name, Type: info.Type, Rows: rows, Cols: cols, Data: w.file.Data(info)}
}

// vector returns a tensor of n float32. Other types, which some writers use for norms and biases, are decoded to the heap:
// kernels take float32 vectors only.
func (w *weights) vector(name string, n int) kernels.Tensor {
	t := w.matrix(name, 1, n)
	if t.Data == nil || t.Type == quant.F32 {
		return t
	}
	decoded := make([]float32, n)
	quant.Decode(t.Type, decoded, t.Data)
	t.Type, t.Data = quant.F32, make([]byte, 0, 4*n)
	for _, x := range decoded {
		t.Data = binary.LittleEndian.AppendUint32(t.Data, math.Float32bits(x))
	}
	return t
}

// linear returns the matrix "NAME.weight" with the vector "NAME.bias" where the file has one.
func (w *weights) linear(name string, rows, cols int) linear {
	l := linear{weight: w.matrix(name+".weight", rows, cols)}
	if bias := name + ".bias"; w.has(bias) {
		v := w.vector(bias, rows)
		l.bias = &v
	}
	return l
}

// ropeFactors returns the tensor rope_freqs.weight, which divides the frequencies of RoPE, or nil.
func (w *weights) ropeFactors(dims int) []float32 {
	const name = "rope_freqs.weight"
	if !w.has(name) {
		return nil
	}
	t := w.vector(name, dims/2)
	if t.Data == nil {
		return nil
	}
	factors := make([]float32, t.Cols)
	quant.Decode(quant.F32, factors, t.Data)
	for i, x := range factors {
		if !(x > 0 && x <= math.MaxFloat32) {
			w.complain(invalid("tensor %q: element %d is %v, want a positive number", name, i, x))
			return nil
		}
	}
	return factors
}

func (w *weights) complain(err error) { w.complaints = append(w.complaints, err) }

// finish returns what was wrong: the complaints so far, and every tensor that nothing asked for.
func (w *weights) finish() error {
	for _, info := range w.file.Tensors() {
		if !w.used[info.Name] && !derived(info.Name) {
			w.complain(invalid("tensor %q is surplus: the architecture does not use it", info.Name))
		}
	}
	if n := len(w.complaints); n > maxComplaints {
		w.complaints = append(w.complaints[:maxComplaints:maxComplaints], fmt.Errorf("models: and %d tensors more", n-maxComplaints))
	}
	return errors.Join(w.complaints...)
}

// derived says whether the format documents a tensor as computed from metadata: old files carry the frequencies of RoPE in
// every layer, and readers compute them.
func derived(name string) bool {
	return strings.HasPrefix(name, "blk.") &&
		(strings.HasSuffix(name, ".attn_rot_embd.weight") || strings.HasSuffix(name, ".attn_rot_embd"))
}

// computable refuses, by name, types that runtime/gguf lets through and kernels do not compute.
func computable(info gguf.TensorInfo) error {
	if known := info.Type.Info(); !known.Computable {
		return unsupported("tensor %q has the type %s, which is not computed", info.Name, known.Name)
	}
	return nil
}

// sameShape compares ggml dimensions (row length first, trailing ones free) with rows and columns.
func sameShape(dims []uint64, rows, cols int) bool {
	want := [2]uint64{uint64(cols), uint64(rows)}
	for i, d := range dims {
		if i < len(want) && d != want[i] || i >= len(want) && d != 1 {
			return false
		}
	}
	return len(dims) >= 2 || len(dims) == 1 && rows == 1
}

// linear is a layer y = W x + b; bias is nil where there is none.
type linear struct {
	weight kernels.Tensor
	bias   *kernels.Tensor
	number int // in the model's Targets
}

// to is the product as Backend.Project takes it, with what the adapters of some rows change of it.
func (l *linear) to(dst kernels.Matrix, ws *Workspace, adapted []Adapted) kernels.Projection {
	return kernels.Projection{Dst: dst, W: l.weight, Bias: l.bias, LowRank: ws.changes(adapted, l.number)}
}

// target is the layer as adapters see it. It reads the bias, so it is called while the model is loaded, and only where nothing is wrong with
// its tensors.
func (l *linear) target(name string, layer int) Target {
	t := Target{Name: name, Layer: layer, Rows: l.weight.Rows, Cols: l.weight.Cols}
	if l.bias != nil {
		t.Bias = make([]float32, t.Rows)
		quant.Decode(quant.F32, t.Bias, l.bias.Data)
	}
	return t
}
