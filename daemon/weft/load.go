package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/weft-run/weft/daemon/api"
	"github.com/weft-run/weft/runtime/gguf"
)

// How long and how often `weft load` looks whether a stored model is served, and how long a reason beside a model of that name
// stands until it is taken for the answer: the daemon looks at its folder at least every few seconds.
const (
	serveDeadline = 60 * time.Second
	serveInterval = 50 * time.Millisecond
	servePatience = 4 * time.Second
)

func (a *app) loadCommand() *cobra.Command {
	var noWait bool
	cmd := &cobra.Command{
		Use:   "load FILE [NAME] | MODEL",
		Short: "send a model file to the daemon, or have an unloaded model loaded",
		Long: "load sends a GGUF file to the daemon's models folder, where it is served as NAME (default: the file's name), and waits until it is.\n" +
			"A model of that name is replaced by rename: its running requests end on the old file. With the name of a model that the daemon has, and where no such\n" +
			"file is here, it has that model loaded. It needs an administrator.",
		Args: arguments(1, 2, "a file and, if you like, a name; or the name of a model"),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := strings.TrimSuffix(filepath.Base(args[0]), ".gguf")
			if len(args) == 2 {
				name = strings.TrimSuffix(args[1], ".gguf")
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			if _, err := os.Stat(args[0]); len(args) == 1 && errors.Is(err, fs.ErrNotExist) {
				if _, unknown := c.ModelStatus(cmd.Context(), args[0]); unknown == nil {
					return a.actOnModels(cmd.Context(), c, api.ActionLoad, args)
				}
			}
			return a.load(cmd.Context(), c, args[0], name, !noWait)
		},
	}
	cmd.Flags().BoolVar(&noWait, "no-wait", false, "return when the file is stored, before it is served")
	return cmd
}

func (a *app) load(ctx context.Context, c *api.Client, path, name string, wait bool) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if !st.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", path)
	}
	// What is no model is better refused here than after gigabytes were sent.
	header, err := gguf.ParseHeader(f, st.Size(), gguf.DefaultLimits())
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if header.SplitCount > 1 {
		return fmt.Errorf("%s is one of %d files of a split model; copy all of them into the daemon's models folder instead", path, header.SplitCount)
	}
	before, err := find(ctx, c, name)
	if err != nil {
		return err
	}
	stored, err := a.send(path, name, f, st.Size(), func(body io.Reader) (*api.Stored, error) { return c.Upload(ctx, name, body, st.Size()) })
	if err != nil {
		return err
	}
	if !wait {
		return a.printStored(name, stored)
	}
	m, err := served(ctx, c, name, header.Digest, before)
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(m)
	}
	_, err = fmt.Fprintf(a.out, "serving %s, %s, generation %d\n", printable(name), bytesText(m.Bytes), m.Generation)
	return err
}

// send has upload send the body of size bytes that path stands for, and shows how far that is.
func (a *app) send(path, name string, body io.Reader, size int64, upload func(io.Reader) (*api.Stored, error)) (*api.Stored, error) {
	bar := a.progress(size, "sending "+printable(name))
	stored, err := upload(io.TeeReader(body, bar))
	_ = bar.Clear()
	if err != nil {
		return nil, fmt.Errorf("load %s as %s: %w", path, name, err)
	}
	return stored, nil
}

func (a *app) printStored(name string, stored *api.Stored) error {
	if a.json {
		return a.printJSON(stored)
	}
	_, err := fmt.Fprintf(a.out, "stored %s, %s\n", printable(name), bytesText(stored.Bytes))
	return err
}

// find returns what the daemon knows of the name: what is in service, or why nothing is. A name that is not there is the zero value.
func find(ctx context.Context, c *api.Client, name string) (api.ModelStatus, error) {
	list, err := c.ModelStatuses(ctx)
	if err != nil {
		return api.ModelStatus{}, err
	}
	for _, m := range list.Models {
		if m.Name == name && m.State != api.StateRetiring {
			return m, nil
		}
	}
	return api.ModelStatus{}, nil
}

// served waits until another generation than before is served from the file with the given header, or that file is refused.
func served(ctx context.Context, c *api.Client, name, digest string, before api.ModelStatus) (*api.ModelStatus, error) {
	var m api.ModelStatus
	err := awaitStored(ctx, name, "served", "weft ls", func(ctx context.Context) (l look, err error) {
		if m, err = find(ctx, c, name); err != nil {
			return l, err
		}
		l.done = m.State == api.StateServing && m.Generation != before.Generation && strings.TrimPrefix(m.HeaderDigest, "sha256:") == digest
		l.refused = m.State == api.StateRefused || m.State == api.StateUnloaded || m.Next == api.StateRefused
		l.fresh = m.State != api.StateServing && l.refused && !sameTime(m.Seen, before.Seen)
		l.reason = m.Reason
		return l, nil
	})
	if err != nil {
		return nil, err
	}
	return &m, nil
}

// look is how what was stored stands.
type look struct {
	done    bool
	refused bool // with this reason
	fresh   bool // the reason is about what was stored, and not about what lay there before
	reason  string
}

// awaitStored looks until what was stored under a name is done, or refused; hint is the command that tells what became of it.
func awaitStored(ctx context.Context, name, done, hint string, see func(context.Context) (look, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, serveDeadline,
		fmt.Errorf("%s is stored, but not %s after %s; `%s` says what became of it", name, done, serveDeadline, hint))
	defer cancel()
	tick := time.NewTicker(serveInterval)
	defer tick.Stop()
	reason, since := "", time.Now()
	for {
		l, err := see(ctx)
		switch {
		case err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded):
			return context.Cause(ctx)
		case err != nil || l.done:
			return err
		}
		if l.reason != reason {
			reason, since = l.reason, time.Now()
		}
		if l.refused && (l.fresh || time.Since(since) > servePatience) {
			return fmt.Errorf("%s is stored, but refused: %s", name, l.reason)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

func sameTime(a, b *time.Time) bool {
	return a == nil && b == nil || a != nil && b != nil && a.Equal(*b)
}

// progress returns a bar on stderr where that is a terminal, and one that shows nothing elsewhere.
func (a *app) progress(total int64, what string) *progressbar.ProgressBar {
	if !isTerminal(a.err) {
		return progressbar.DefaultBytesSilent(total)
	}
	return progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(a.err), progressbar.OptionSetDescription(what), progressbar.OptionShowBytes(true),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionSetWidth(30), progressbar.OptionFullWidth(),
		progressbar.OptionEnableColorCodes(false), progressbar.OptionClearOnFinish())
}
