package daemon

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

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
// the allocator's fragments. What is kept of each cycle is seen from 200 KiB on: the smallest thing a model has, its tokenizer, is more.
const rssTolerance = 8 << 20

// TestCyclesLeaveMemoryFlat takes models through 50 cycles each: one is copied in, is asked, loses a client in the middle of a stream, is
// removed and unloaded. Anonymous memory behind cycle 50 is what it was behind cycle 10. A shorter way, without a daemon, is
// taken by every run of the tests in runtime/repository. It is not run under the race detector, whose own memory grows.
func TestCyclesLeaveMemoryFlat(t *testing.T) {
	if os.Getenv("WEFT_LONG") == "" {
		t.Skip("WEFT_LONG is not set: it runs for a minute")
	}
	t.Run("tiny", func(t *testing.T) { cycles(t, 50, tiny(1)) })
	t.Run("SmolLM2", func(t *testing.T) {
		data, err := os.ReadFile(modeltest.File(t, "SmolLM2-135M-Instruct.Q4_1.gguf"))
		must(t, err)
		cycles(t, 50, data)
	})
}

func cycles(t *testing.T, n int, model []byte) {
	l := startLive(t, liveSettings(dataDir(t)))
	var reference, last int64
	began := time.Now()
	for i := range n {
		l.rename("m.gguf", model)
		l.ask("m", 20)
		s, _ := l.stream("m", 200)
		must(t, s.Close()) // a client that leaves
		l.ask("m", 5)
		must(t, os.Remove(l.path("m.gguf")))
		l.until("the model to be unloaded", func() bool {
			_, there := l.model("m")
			return !there
		})
		if i == 10 {
			reference = anonymous(t)
		}
	}
	l.until(fmt.Sprintf("RssAnon, %d KiB behind cycle 10, to be within %d KiB of it", reference>>10, rssTolerance>>10), func() bool {
		last = anonymous(t)
		return last <= reference+rssTolerance
	})
	runtime.KeepAlive(model) // it counts in both
	t.Logf("RssAnon: %d KiB behind cycle 10, %d KiB behind cycle %d; %v for a cycle", reference>>10, last>>10, n,
		(time.Since(began) / time.Duration(n)).Round(time.Millisecond))
}
