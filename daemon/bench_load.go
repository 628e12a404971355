package daemon

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"time"

	"github.com/weft-run/weft/daemon/config"
	"github.com/weft-run/weft/kernels/cpu"
	"github.com/weft-run/weft/runtime/repository"
)

// benchLoad measures loading as the daemon does it: header, tensors, tokenizer, template, the engine with its cache, and the first token,
// without which no model is served. The file's digest is not part of it, as it follows in the background.
func benchLoad(ctx context.Context, plan benchPlan, row benchResult, report func(benchResult) error) error {
	for _, threads := range plan.threads {
		device, err := cpu.NewDevice(cpu.Options{Threads: threads, Level: plan.level})
		if err != nil {
			return err
		}
		row.Test, row.Threads, row.Level, row.LoadMillis = "load", device.Threads(), device.Level(), nil
		before := runtime.GOMAXPROCS(device.Threads() + 2) // as the daemon runs
		for range plan.runs {
			var spent time.Duration
			if spent, err = loadOnce(ctx, plan, device, row.KVType); err != nil {
				break
			}
			row.LoadMillis = append(row.LoadMillis, float64(spent)/float64(time.Millisecond))
		}
		runtime.GOMAXPROCS(before)
		device.Close()
		if err != nil {
			return err
		}
		if err := report(row); err != nil {
			return err
		}
	}
	return nil
}

// loadOnce loads the file into a repository of the daemon's default settings and lets it go.
func loadOnce(ctx context.Context, plan benchPlan, device *cpu.Device, cache string) (time.Duration, error) {
	const name = "bench"
	cfg := config.Default()
	models := repository.New(repository.Options{
		OpenBackend: device.OpenFor,
		Budget:      memoryBudget(os.DirFS("/"), cfg.MemoryBudget, slog.New(slog.DiscardHandler)),
		Defaults:    repository.Settings{ContextLen: cfg.Ctx, Parallel: cfg.Parallel, CacheType: cache},
		StepTokens:  cfg.StepTokens, PageTokens: cfg.PageTokens, MaxQueue: cfg.Queue, ReadTimeout: cfg.StallTimeout,
	})
	defer models.Close()
	started := time.Now()
	models.Sync([]repository.Source{{Name: name, Paths: []string{cmp.Or(plan.file, plan.keep)}}})
	models.Wait(ctx)
	spent := time.Since(started)
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	for _, m := range models.List() {
		if m.State != repository.StateServing {
			return 0, fmt.Errorf("%s: %s", m.Name, m.Reason)
		}
	}
	return spent, nil
}
