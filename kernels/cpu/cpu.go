// Package cpu owns the CPU device: the table of functions of the best level that the machine has, the workers that all
// engines share, and the Backend that models compute on. It defines no result (kernels/ref does, to the bit) and knows
// no model, file or request.
//
// Sizes are in elements, row-major. A Backend belongs to one goroutine; the device's workers serve all of them, one
// step at a time. The workers are started by NewDevice and stopped by Close; nothing else here starts goroutines. An
// operation runs when it is called, or waits for one that takes the same rows (rows.go); Sync ends a step, lets the next
// engine take its turn and reports faults.
package cpu

import (
	"fmt"

	"github.com/weft-run/weft/kernels"
)

// Options says how a Device computes. The zero value takes the best level and as many threads as the process may use.
type Options struct {
	Threads int    // goroutines that compute, the caller included; 0: from affinity and the cgroup's CPU quota
	Level   string // caps the level, as WEFT_CPU does: one of Levels(); "": the best one
}

// Device is the CPU with its workers. Safe for concurrent use.
type Device struct {
	table   *table
	threads int
	pool    *pool
	turns   *turns
}

// NewDevice starts the workers. An unknown level, or one that this machine lacks, is an error that lists those it has.
func NewDevice(o Options) (*Device, error) {
	t, err := tableFor(o.Level)
	if err != nil {
		return nil, err
	}
	threads := o.Threads
	if threads == 0 {
		threads = usableThreads()
	}
	if threads < 0 {
		return nil, fmt.Errorf("cpu: %d threads; at least 1 is needed", threads)
	}
	return &Device{table: t, threads: threads, pool: newPool(threads), turns: newTurns()}, nil
}

// Level names the set of functions in use.
func (d *Device) Level() string { return d.table.name }

// Threads is the number of goroutines that compute, the caller's included.
func (d *Device) Threads() int { return d.threads }

// Open returns a new Backend. The steps of several Backends share the workers by time.
func (d *Device) Open() kernels.Backend { return d.OpenFor("") }

// OpenFor returns a new Backend for a model of that name: all that are open for it share the workers with others as one, and take turns among themselves.
func (d *Device) OpenFor(model string) kernels.Backend { return newBackend(d, model) }

// Close stops the workers. Every Backend must have been closed.
func (d *Device) Close() { d.pool.close() }
