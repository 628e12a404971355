// Command weftd serves the models of a folder on a Unix socket. It reads flags and configuration, turns signals into a context and
// leaves everything else to package daemon.
//
// Exit codes: 0 after a clean stop, 1 after a failure, 2 for a mistake in usage or configuration, 3 when another daemon has the folder or
// the socket; one line on stderr says why.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/weft-run/weft/daemon"
	"github.com/weft-run/weft/daemon/api"
	"github.com/weft-run/weft/daemon/config"
)

// Exit codes.
const (
	exitOK = iota
	exitFailure
	exitUsage
	exitInUse // another daemon has the folder or the socket: starting again helps as soon as that one has ended
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is main with its surroundings named. The second signal ends the process at once, as if no one caught it.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, release := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer release()
	context.AfterFunc(ctx, release)

	if len(args) > 0 && args[0] == "bench" {
		switch err := daemon.Bench(ctx, args[1:], os.Getenv("WEFT_CPU"), stdout); {
		case errors.Is(err, daemon.ErrUsage):
			return fail(stderr, exitUsage, err)
		case err != nil:
			return fail(stderr, exitFailure, err)
		}
		return exitOK
	}
	flags, err := config.ParseFlags(args)
	if err != nil {
		return fail(stderr, exitUsage, fmt.Errorf("%w; weftd --help lists the flags", err))
	}
	switch {
	case flags.Help:
		config.Usage(stdout)
		return exitOK
	case flags.Version:
		fmt.Fprintln(stdout, "weftd", api.Release())
		return exitOK
	}
	dir, err := os.Getwd()
	if err != nil {
		return fail(stderr, exitFailure, err)
	}
	loaded, err := config.Load(config.Inputs{Flags: flags, Env: os.Environ(), Root: os.Geteuid() == 0, Dir: dir})
	if err != nil {
		return fail(stderr, exitUsage, fmt.Errorf("configuration: %w", err))
	}
	if flags.Check {
		if err := loaded.Print(stdout); err != nil {
			return fail(stderr, exitFailure, err)
		}
		return exitOK
	}
	cfg := loaded.Config
	// A log that nobody reads any more must not end the daemon.
	signal.Ignore(syscall.SIGPIPE)
	switch err := daemon.Run(ctx, cfg, daemon.NewLog(stderr, cfg.LogLevel, cfg.LogFormat)); {
	case errors.Is(err, daemon.ErrInUse):
		return fail(stderr, exitInUse, err)
	case err != nil:
		return fail(stderr, exitFailure, err)
	}
	return exitOK
}

func fail(stderr io.Writer, code int, err error) int {
	fmt.Fprintln(stderr, "weftd:", err)
	return code
}
