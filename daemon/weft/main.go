// Command weft is the client of the daemon and an offline tool for model files. It asks a running weftd over its Unix socket or
// TCP (run, ls, ps, status, load, unload, reload, pin, rm, adapters, sessions, cache, verify, bench) and reads files by itself (inspect, tokenize). It computes nothing with a model:
// no engine is linked.
//
// Results go to stdout, as tables for people and with --json for programs; everything else goes to stderr. Exit codes: 0 done,
// 1 failed, 2 a mistake in usage.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/weft-run/weft/daemon/api"
)

// Exit codes.
const (
	exitOK = iota
	exitFailure
	exitUsage
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Getenv))
}

// run is main with its surroundings named.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer, getenv func(string) string) int {
	ctx, release := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer release()
	context.AfterFunc(ctx, release) // the second signal ends the process at once

	a := &app{in: stdin, out: stdout, err: stderr, getenv: getenv}
	root := a.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errQuiet):
		return exitFailure
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		err = errors.New("interrupted")
	}
	for i, text := range strings.Split(err.Error(), "\n") { // may quote a file or the daemon
		if i == 0 {
			text = "weft: " + text
		}
		fmt.Fprintln(stderr, printable(text))
	}
	// Until a verb runs, what can go wrong is the command line.
	if !a.started || errors.Is(err, errUsage) {
		return exitUsage
	}
	return exitFailure
}

// app is what all verbs share.
type app struct {
	in       io.Reader
	out, err io.Writer
	getenv   func(string) string

	host    string // --host
	json    bool   // --json
	started bool   // a verb runs: its arguments were understood
}

// root returns the command with all its verbs.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "weft",
		Short: "ask a running weftd, and look into model files",
		Long: "weft asks a running weftd over its Unix socket or TCP, and looks into model files without one.\n\n" +
			"The daemon is looked for at --host, then WEFT_HOST, then the sockets where weftd listens by default.",
		Version:          api.Release(),
		Args:             func(cmd *cobra.Command, args []string) error { return a.unknownVerb(cmd, args) },
		RunE:             func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors:    true,
		SilenceUsage:     true,
		PersistentPreRun: func(*cobra.Command, []string) { a.started = true },

		SuggestionsMinimumDistance: 2,
	}
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetVersionTemplate("weft {{.Version}}\n")
	root.SetFlagErrorFunc(flagError)
	flags := root.PersistentFlags()
	flags.StringVar(&a.host, "host", "", "where the daemon listens: unix:///path or http://host:port (default $WEFT_HOST, then the usual sockets)")
	flags.BoolVar(&a.json, "json", false, "print one JSON value instead of text")
	root.AddCommand(
		a.runCommand(), a.lsCommand(), a.psCommand(), a.statusCommand(), a.loadCommand(), a.rmCommand(), a.adaptersCommand(), a.sessionsCommand(), a.cacheCommand(), a.verifyCommand(),
		a.benchCommand(),
		a.inspectCommand(), a.tokenizeCommand(), a.versionCommand(),
	)
	root.AddCommand(a.modelActionCommands()...)
	return root
}

func (a *app) unknownVerb(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		return fmt.Errorf("there is no verb %q; did you mean %s?", args[0], strings.Join(near, " or "))
	}
	return fmt.Errorf("there is no verb %q; `weft --help` lists them", args[0])
}

// client returns a client of the daemon that the flags and the environment name.
func (a *app) client() (*api.Client, error) {
	var h api.Host
	var err error
	if a.host != "" {
		h, err = api.ParseHost(a.host)
	} else {
		h, err = api.FindHost(a.getenv)
	}
	if err != nil {
		return nil, usagef("%v", err)
	}
	c := api.NewClient(h)
	c.UserAgent = "weft/" + api.Release()
	return c, nil
}
