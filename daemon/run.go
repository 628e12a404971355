// Package daemon is the composition root: it builds everything in order, joins it, drains, and closes in reverse. It owns what belongs to
// the process as a whole (folders, the lock, listeners, the log, uploads into the folders of models and adapters) and `weftd bench`; every
// other thing is some other package's, and this is the only one that imports them all and that names kernels/cpu.
//
// Goroutines: Run's own, one for each listener, one that watches the models folder and brings the repository up to date, one that does the
// same for adapters, one that tells these, and drafts, of other models, one that gives memory back under pressure, one that waits until the models there were at the start have been checked. All end before Run returns. Sizes are bytes.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/weft-run/weft/adapters"
	"github.com/weft-run/weft/daemon/api"
	"github.com/weft-run/weft/daemon/config"
	"github.com/weft-run/weft/daemon/server"
	"github.com/weft-run/weft/daemon/server/door"
	"github.com/weft-run/weft/daemon/watch"
	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/kernels/cpu"
	"github.com/weft-run/weft/runtime/engine"
	"github.com/weft-run/weft/runtime/repository"
)

// lastCall is how long handlers have to end after their requests were cancelled at the drain's deadline.
const lastCall = time.Second

// process is what Run has built.
type process struct {
	cfg      config.Config
	log      *slog.Logger
	started  time.Time
	budget   int64
	device   *cpu.Device
	models   *repository.Repository
	adapters *adapters.Registry
	drafts   *drafts
	watcher  *watch.Watcher // of the models folder
	arrivals *watch.Watcher // of the adapters folder
	rebase   chan struct{}  // one message: the models in service have changed
	metrics  *server.Metrics
	state    atomic.Value // string: server.StateStarting, StateReady or StateDraining
	listens  []string     // addresses in use, with the ports that were taken
}

// Run serves until ctx ends, then drains: no new connection is accepted, running requests go on until they are done or the drain
// timeout is over. It returns nil after a clean stop.
func Run(ctx context.Context, cfg config.Config, log *slog.Logger) error {
	if err := makeFolders(cfg, log); err != nil {
		return err
	}
	lock, err := lockState(cfg.StateDir, log)
	if err != nil {
		return err
	}
	defer func() {
		if err := lock.Close(); err != nil {
			log.Warn("the clean end cannot be noted; the next start will tell of a kill", "folder", cfg.StateDir, "reason", err)
		}
	}()
	store, adapterFiles := &fileStore{dir: cfg.ModelsDir}, fileStore{dir: cfg.AdaptersDir}
	uploads := store.cleanOrWarn(log) + adapterFiles.cleanOrWarn(log)
	state, err := os.OpenRoot(cfg.StateDir)
	if err != nil {
		return fmt.Errorf("daemon: state folder: %w", err)
	}
	defer state.Close()
	halves, err := cleanState(state)
	if err != nil {
		log.Warn("half-written files cannot be looked for or removed", "folder", cfg.StateDir, "reason", err)
	}

	p := &process{cfg: cfg, log: log, started: time.Now(), rebase: make(chan struct{}, 1), budget: memoryBudget(os.DirFS("/"), cfg.MemoryBudget, log)}
	p.state.Store(server.StateStarting)
	defer func() { log.Info("weftd stopped", "uptime", time.Since(p.started).Round(time.Millisecond)) }()
	// The sockets are open before anything that takes time: who asks early is told that the daemon is starting.
	listeners, sockets, err := listen(ctx, cfg, log)
	if err != nil {
		return err
	}
	if lock.killed != 0 || uploads+halves+sockets > 0 {
		log.Warn("the last daemon here did not end cleanly; what it left is removed", "pid", lock.killed,
			"sockets", sockets, "uploads", uploads, "state_files", halves)
	}
	defer func() {
		for _, l := range listeners {
			l.Close() // has happened already, but for a failure below
		}
	}()
	for _, l := range listeners {
		p.listens = append(p.listens, config.Address{Network: l.Addr().Network(), Address: l.Addr().String()}.String())
	}
	p.device, err = cpu.NewDevice(cpu.Options{Threads: cfg.Threads, Level: cfg.CPU})
	if err != nil {
		return err
	}
	defer p.device.Close()
	// Workers sit in assembly that cannot be preempted; two more processors let the garbage collector and HTTP run meanwhile.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(p.device.Threads() + 2))
	p.metrics = server.NewMetrics(api.Release())
	kept := openKept(state, cfg, log)
	p.models = repository.New(repository.Options{
		OpenBackend: p.device.OpenFor,
		Calm:        p.device.Calm,
		Budget:      p.budget,
		Defaults:    repository.Settings{ContextLen: cfg.Ctx, Parallel: cfg.Parallel, CacheType: cfg.KVType, Speculation: cfg.Speculation, Sharing: sharingOf(&cfg.PrefixSharing), IdleUnload: cfg.IdleUnload},
		StepTokens:  cfg.StepTokens, PageTokens: cfg.PageTokens, MaxQueue: cfg.Queue, ReadTimeout: cfg.StallTimeout,
		StateDir: state,
		Spill:    engine.Spill{Store: kept, All: cfg.KVSpill, Numerics: numericsVersion()},
		Observer: func(string) engine.Observer { return stepObserver{p.metrics} },
		Changed:  p.modelsChanged,
		Unloaded: func(_ string, cause repository.Cause) { p.metrics.Unloaded(string(cause)) },
		Log:      log,
	})
	defer p.models.Close()
	p.drafts = &drafts{models: p.models, open: func() kernels.Backend { return p.device.Open() }, pageTokens: cfg.PageTokens, log: log}
	defer p.drafts.close()
	p.adapters = adapters.New(adapters.Options{
		Bases: bases{p.models, p.isReady, p.device}, Budget: cfg.AdapterMemory.Of(p.budget), Settle: cfg.SettleTime, StateDir: state, Log: log,
	})
	defer p.adapters.Close()

	how := watch.Options{Settle: cfg.SettleTime, Rescan: cfg.RescanInterval, Events: cfg.WatchEvents, Log: log}
	p.watcher = watch.New(cfg.ModelsDir, how)
	how.Links = true
	p.arrivals = watch.New(cfg.AdaptersDir, how)
	connections := door.NewConnections(connectionLimit(cfg, openFiles(), log), cfg.MaxPerCaller)
	handler := server.New(server.Options{
		Models: &book{p.models, p.adapters, p.drafts, p.device, p.look}, Store: store, Sessions: kept, Caches: p.caches,
		Adapters:     &adapterBook{p.adapters, p.arrivals.Look},
		AdapterStore: &adapterStore{files: adapterFiles, registry: p.adapters, look: p.arrivals.Look},
		Metrics:      p.metrics, Log: log,
		State: func() string { return p.state.Load().(string) }, Status: p.status,
		Version: api.Release(), Numerics: strconv.Itoa(numericsVersion()),
		Policy: door.Policy{Hosts: cfg.AllowedHosts, Origins: cfg.AllowedOrigins}, UID: os.Geteuid(), AdminTCP: cfg.AdminTCP,
		Limits: limits(cfg), MaxBody: cfg.MaxBody.Bytes, BodyRoom: cfg.BodyRoom.Bytes, BodyTimeout: cfg.BodyTimeout, TemplateTimeout: cfg.TemplateTimeout, StallTimeout: cfg.StallTimeout,
		Connections: connections,
	})
	log.Info("weftd started", "version", api.Release(), "pid", os.Getpid(), "listening", strings.Join(p.listens, " "), "data", cfg.DataDir,
		"cpu", p.device.Level(), "threads", p.device.Threads(), "memory_budget", p.budget)

	group, ctx := errgroup.WithContext(ctx)
	requests, cancelRequests := context.WithCancel(context.Background())
	defer cancelRequests()
	web := &http.Server{
		Handler:           handler,
		ConnContext:       door.ConnContext,
		ConnState:         connections.ConnState,
		BaseContext:       func(net.Listener) context.Context { return requests },
		ReadHeaderTimeout: cfg.HeaderTimeout,
		IdleTimeout:       cfg.IdleTimeout,
		MaxHeaderBytes:    int(cfg.MaxHeader.Bytes),
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	for _, l := range listeners {
		group.Go(func() error {
			if err := web.Serve(&patient{Listener: l, log: log}); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("daemon: serving %v: %w", l.Addr(), err)
			}
			return nil
		})
	}
	group.Go(func() error {
		kept.Run(ctx)
		return nil
	})
	looked := make(chan struct{})
	group.Go(func() error {
		p.watchModels(ctx, looked)
		return nil
	})
	group.Go(func() error {
		p.arrivals.Run(ctx, func(list []watch.Entry) { p.adapters.Sync(origins(p.cfg, list)) })
		return nil
	})
	group.Go(func() error {
		p.followModels(ctx)
		return nil
	})
	group.Go(func() error {
		p.mindMemory(ctx)
		return nil
	})
	group.Go(func() error {
		p.becomeReady(ctx, looked)
		return nil
	})
	group.Go(func() error {
		<-ctx.Done()
		return p.drain(web, cancelRequests)
	})
	return group.Wait()
}

// limits are those of a request's shape.
func limits(cfg config.Config) api.Limits {
	return api.Limits{
		Depth: cfg.MaxDepth, Text: int(cfg.MaxText.Bytes), Messages: cfg.MaxMessages, Parts: cfg.MaxParts, Tools: cfg.MaxTools,
		Prompts: cfg.MaxPrompts, N: cfg.MaxN, Choices: cfg.MaxChoices, Stops: cfg.MaxStops, StopBytes: int(cfg.MaxStopBytes.Bytes),
		LogitBias: cfg.MaxLogitBias,
	}
}

// drain ends the server: requests that run have the drain timeout to end, then they are cancelled.
func (p *process) drain(web *http.Server, cancelRequests func()) error {
	p.state.Store(server.StateDraining)
	p.log.Info("weftd is stopping", "drain_timeout", p.cfg.DrainTimeout)
	patience, cancel := context.WithTimeout(context.Background(), p.cfg.DrainTimeout)
	defer cancel()
	err := web.Shutdown(patience)
	if !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	p.log.Warn("requests are still running after the drain timeout and are cancelled")
	cancelRequests()
	patience, cancel = context.WithTimeout(context.Background(), lastCall)
	defer cancel()
	if err := web.Shutdown(patience); !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return web.Close()
}

// status is what the daemon knows of itself.
func (p *process) status() api.Status {
	resident, _ := p.models.Memory() // drafts' included
	return api.Status{
		PID: os.Getpid(), Started: p.started, Uptime: float64(time.Since(p.started)) / float64(time.Millisecond),
		CPU:     api.CPU{Level: p.device.Level(), Threads: p.device.Threads()},
		Memory:  api.Memory{Budget: p.budget, Resident: resident},
		DataDir: p.cfg.DataDir, Listeners: p.listens,
	}
}

// stepObserver brings an engine's steps into the metrics.
type stepObserver struct{ metrics *server.Metrics }

func (o stepObserver) ObserveStep(s engine.StepInfo) { o.metrics.Step(s.Rows, s.Duration) }
