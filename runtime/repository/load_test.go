package repository

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/runtime/modeltest"
)

// absent counts the pages of a mapped file, and those of them that this process could not read without a fault: bit 63 of a page's eight
// bytes in the kernel's page map says which.
func absent(path string) (missing, pages int, err error) {
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return 0, 0, err
	}
	defer maps.Close()
	table, err := os.Open("/proc/self/pagemap")
	if err != nil {
		return 0, 0, err
	}
	defer table.Close()
	page, entry := uint64(os.Getpagesize()), make([]byte, 8)
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		var from, to uint64
		if _, err := fmt.Sscanf(lines.Text(), "%x-%x", &from, &to); err != nil || !strings.HasSuffix(lines.Text(), path) {
			continue
		}
		for at := from / page; at < to/page; at++ {
			if _, err := table.ReadAt(entry, int64(at)*8); err != nil {
				return 0, 0, err
			}
			if pages++; binary.LittleEndian.Uint64(entry)>>63 == 0 {
				missing++
			}
		}
	}
	return missing, pages, nil
}

// The step that checks a model meets no weight that is still on the disk: the streams of all models would wait for it.
func TestWeightsAreInMemoryBeforeTheFirstStep(t *testing.T) {
	missing, pages, calm, err := 0, 0, false, error(nil)
	var b *bench
	b = newBench(t, func(o *Options) {
		open := o.OpenBackend
		o.Calm = func() { calm = true }
		o.OpenBackend = func(model string) kernels.Backend {
			missing, pages, err = absent(b.path("a"))
			return open(model)
		}
	})
	b.put("a", modeltest.Spec{})
	b.sync()
	b.want("a", StateServing)
	if must(t, err); missing > 0 || pages == 0 || !calm {
		t.Errorf("%d of %d pages of the weights were not in memory; the device knows that reading is over: %v", missing, pages, calm)
	}
}
