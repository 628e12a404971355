package cpu

import (
	"fmt"
	"os"
	"runtime/debug"
	"unsafe"

	"github.com/weft-run/weft/kernels"
)

// leave ends a drain: it keeps what panicked, if anything did, and makes the other goroutines run out of chunks, so that
// the barrier completes as always.
func (p *pool) leave(panicOnFault bool) {
	v := recover()
	debug.SetPanicOnFault(panicOnFault)
	if v == nil {
		return
	}
	for i := range p.shares {
		p.shares[i].next.Store(p.shares[i].end)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := faultOf(v, p.task); err != nil {
		if p.fault == nil {
			p.fault = err
		}
	} else if p.panicked == nil {
		p.panicked = v
	}
}

// faultOf returns an error when the recovered value is a memory fault inside a tensor that the task reads.
func faultOf(v any, t task) error {
	fault, ok := v.(interface{ Addr() uintptr })
	if !ok {
		return nil
	}
	name, ok := t.tensorAt(fault.Addr())
	if !ok {
		return nil
	}
	return fmt.Errorf("cpu: tensor %q: %w", name, kernels.ErrFault)
}

// takeFault returns the first fault since the last call.
func (p *pool) takeFault() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	err := p.fault
	p.fault = nil
	return err
}

// takePanic returns what a chunk of this dispatch panicked with, other than faults.
func (p *pool) takePanic() any {
	p.mu.Lock()
	defer p.mu.Unlock()
	v := p.panicked
	p.panicked = nil
	return v
}

// holds says whether an address is in the memory pages that a tensor touches. A fault reports the page or the address,
// depending on the kernel and the instruction.
func holds(t *kernels.Tensor, address uintptr) bool {
	if len(t.Data) == 0 {
		return false
	}
	page := uintptr(os.Getpagesize())
	first := uintptr(unsafe.Pointer(unsafe.SliceData(t.Data)))
	last := first + uintptr(len(t.Data)) - 1
	return address >= first&^(page-1) && address <= last|(page-1)
}
