package main

import (
	"context"
	"os"
	"os/signal"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/weft-run/weft/daemon"
	"github.com/weft-run/weft/daemon/api"
	"github.com/weft-run/weft/daemon/config"
)

// serveDaemon is weftd for scripts: the same daemon, without the program around it.
func serveDaemon() {
	ctx, release := signal.NotifyContext(context.Background(), os.Interrupt)
	defer release()
	flags, err := config.ParseFlags(os.Args[1:])
	if err != nil {
		panic(err)
	}
	dir, err := os.Getwd()
	if err != nil {
		panic(err)
	}
	loaded, err := config.Load(config.Inputs{Flags: flags, Env: os.Environ(), Dir: dir})
	if err != nil {
		panic(err)
	}
	if err := daemon.Run(ctx, loaded.Config, daemon.NewLog(os.Stderr, loaded.Config.LogLevel, loaded.Config.LogFormat)); err != nil {
		panic(err)
	}
}

// TestLive runs testdata/live/*.txt against a daemon of their own. The command ready waits until it answers.
func TestLive(t *testing.T) {
	if testing.Short() {
		t.Skip("starts daemons and computes with them")
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/live",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"ready": ready},
		Setup: func(env *testscript.Env) error {
			golden, err := os.ReadFile("../testdata/stories260K.golden.txt")
			if err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(env.WorkDir, "golden.txt"), golden, 0o644); err != nil {
				return err
			}
			env.Setenv("WEFT_MEMORY_PRESSURE", "false") // what else this machine does must not decide
			return setup(env)
		},
	})
}

func ready(ts *testscript.TestScript, _ bool, _ []string) {
	host, err := api.ParseHost(ts.Getenv("WEFT_HOST"))
	ts.Check(err)
	c := api.NewClient(host)
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for c.Ready(ctx) != nil {
		select {
		case <-ctx.Done():
			ts.Fatalf("the daemon was not ready in time: %v", c.Ready(context.Background()))
		case <-tick.C:
		}
	}
}
