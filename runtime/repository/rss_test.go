package repository

import (
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	"github.com/weft-run/weft/runtime/modeltest"
)

// anonymous is this process's RssAnon in bytes, once the Go heap has given back what it does not use: memory that is resident and of
// no file, so without the mapped weights.
func anonymous(t *testing.T) int64 {
	t.Helper()
	debug.FreeOSMemory()
	status, err := os.ReadFile("/proc/self/status")
	must(t, err)
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			must(t, err)
			return kib << 10
		}
	}
	t.Skip("this kernel does not tell RssAnon")
	return 0
}

// rssTolerance is how much anonymous memory may grow over 40 cycles: pages of the Go heap in use for reasons of their own, stacks and
// the allocator's fragments. What is kept of each cycle is seen from 100 KiB on.
const rssTolerance = 4 << 20

// TestFiftyCyclesLeaveMemoryFlat loads, uses and unloads a model 50 times: anonymous memory behind cycle 50 is what it was behind
// cycle 10.
func TestFiftyCyclesLeaveMemoryFlat(t *testing.T) {
	if testing.Short() {
		t.Skip("runs for seconds")
	}
	const cycles = 50
	b := newBench(t, nil)
	model := modeltest.Tiny(modeltest.Spec{Seed: 1, Context: 2048})
	var with, reference int64
	for i := range cycles {
		b.putBytes("a", model)
		b.sync()
		for range 4 {
			b.answer("a", 1, 100)
		}
		b.digest("a")
		if i == 10 {
			with = anonymous(t)
		}
		must(t, os.Remove(b.path("a")))
		b.sync()
		eventually(t, "the model is unloaded", func() bool { return len(b.List()) == 0 })
		if i == 10 {
			reference = anonymous(t)
		}
	}
	var last int64
	eventually(t, "RssAnon is what it was", func() bool {
		last = anonymous(t)
		return last <= reference+rssTolerance
	})
	t.Logf("RssAnon: %d KiB with the model in cycle 10, %d KiB behind it, %d KiB behind cycle %d", with>>10, reference>>10, last>>10, cycles)
	if held, _ := b.Memory(); held != 0 {
		t.Errorf("%d bytes are held", held)
	}
}
