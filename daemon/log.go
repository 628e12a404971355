package daemon

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"time"
)

// NewLog returns the daemon's log: "text" and "json" are slog's own forms; "journal" is text for systemd's journal, which notes the
// time by itself and reads the priority from a prefix (sd-daemon(3)).
func NewLog(w io.Writer, level slog.Level, format string) *slog.Logger {
	return slog.New(counted{newHandler(w, level, format), new(losses)})
}

func newHandler(w io.Writer, level slog.Level, format string) slog.Handler {
	switch format {
	case "json":
		return slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level})
	case "journal":
		return newJournal(w, level)
	}
	return slog.NewTextHandler(w, &slog.HandlerOptions{Level: level})
}

// counted is a handler that counts the lines that could not be written, on a full disk for instance, and says so when one can.
type counted struct {
	slog.Handler
	losses *losses
}

type losses struct {
	mu     sync.Mutex
	lines  int
	reason error // why the last of them could not be written
}

func (c counted) Handle(ctx context.Context, r slog.Record) error {
	err := c.Handler.Handle(ctx, r)
	c.losses.mu.Lock()
	defer c.losses.mu.Unlock()
	if err != nil {
		c.losses.lines++
		c.losses.reason = err
		return err
	}
	if c.losses.lines == 0 {
		return nil
	}
	note := slog.NewRecord(time.Now(), slog.LevelWarn, "lines of the log could not be written and are lost", 0)
	note.Add("lines", c.losses.lines, "reason", c.losses.reason)
	if err := c.Handler.Handle(ctx, note); err != nil {
		return err
	}
	c.losses.lines = 0
	return nil
}

func (c counted) WithAttrs(attrs []slog.Attr) slog.Handler {
	return counted{c.Handler.WithAttrs(attrs), c.losses}
}

func (c counted) WithGroup(name string) slog.Handler {
	return counted{c.Handler.WithGroup(name), c.losses}
}

// journal is a slog handler with one text handler for each priority, for the prefix must be written before the line.
type journal struct {
	level    slog.Level
	handlers [4]slog.Handler // error, warning, informational, debug
}

func newJournal(w io.Writer, level slog.Level) *journal {
	opt := &slog.HandlerOptions{
		Level: level,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey) {
				return slog.Attr{}
			}
			return a
		},
	}
	j := &journal{level: level}
	for i, prefix := range [4]string{"<3>", "<4>", "<6>", "<7>"} {
		j.handlers[i] = slog.NewTextHandler(prefixed{w, prefix}, opt)
	}
	return j
}

func (j *journal) Enabled(_ context.Context, level slog.Level) bool { return level >= j.level }

func (j *journal) Handle(ctx context.Context, r slog.Record) error {
	switch {
	case r.Level >= slog.LevelError:
		return j.handlers[0].Handle(ctx, r)
	case r.Level >= slog.LevelWarn:
		return j.handlers[1].Handle(ctx, r)
	case r.Level >= slog.LevelInfo:
		return j.handlers[2].Handle(ctx, r)
	}
	return j.handlers[3].Handle(ctx, r)
}

func (j *journal) WithAttrs(attrs []slog.Attr) slog.Handler {
	return j.with(func(h slog.Handler) slog.Handler { return h.WithAttrs(attrs) })
}

func (j *journal) WithGroup(name string) slog.Handler {
	return j.with(func(h slog.Handler) slog.Handler { return h.WithGroup(name) })
}

func (j *journal) with(change func(slog.Handler) slog.Handler) slog.Handler {
	c := *j
	for i, h := range c.handlers {
		c.handlers[i] = change(h)
	}
	return &c
}

// prefixed writes a prefix and a line at once. slog's handlers write each record by one Write.
type prefixed struct {
	w      io.Writer
	prefix string
}

func (p prefixed) Write(line []byte) (int, error) {
	if _, err := p.w.Write(append([]byte(p.prefix), line...)); err != nil {
		return 0, err
	}
	return len(line), nil
}
