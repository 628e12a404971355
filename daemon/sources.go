package daemon

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/weft-run/weft/daemon/builtin"
	"github.com/weft-run/weft/daemon/config"
	"github.com/weft-run/weft/daemon/watch"
	"github.com/weft-run/weft/runtime/repository"
)

// maxSettingsBytes bounds a settings file: a template is some kilobytes.
const maxSettingsBytes = 1 << 20

// sources is what the repository is to serve: what the models folder holds, and the built-in model where no file has its name.
func sources(cfg config.Config, list []watch.Entry) []repository.Source {
	var all []repository.Source
	own := cfg.Builtin
	for _, c := range candidates(cfg.ModelsDir, list, modelKind) {
		own = own && c.name != builtin.Name
		all = append(all, c.source())
	}
	if own {
		all = append(all, repository.Source{
			Name: builtin.Name, Builtin: builtin.Bytes(), Settings: repository.Settings{Template: builtin.Template},
		})
	}
	return all
}

// source reads a candidate's settings and makes it what the repository knows.
func (c *candidate) source() repository.Source {
	s := repository.Source{Name: c.name, Problem: c.problem, Missing: c.missing}
	for _, f := range c.files {
		s.Paths = append(s.Paths, f.Path)
	}
	if !c.settled() {
		// What it will be is not known yet, nor whether it has a problem.
		s.Waiting, s.Problem = "its files are still being written, or have just been", ""
	}
	if c.settings == nil || !c.settings.Settled {
		s.Settings.Aliases = c.aliases
		return s
	}
	m, err := readSettings(c.settings, config.ParseModel)
	if err != nil {
		s.Problem = cmp.Or(s.Problem, err.Error())
	}
	s.Settings = repository.Settings{
		ContextLen: m.Ctx, Parallel: m.Parallel, CacheType: m.KVType, Speculation: m.Speculation, Template: m.Template, Sampling: m.Sampling,
		Sharing: sharingOf(m.PrefixSharing), Draft: m.Draft,
		Aliases: slices.Concat(m.Aliases, c.aliases), DefaultAdapters: m.DefaultAdapters, IdleUnload: m.IdleUnload, Pinned: m.Pinned,
	}
	return s
}

// sharingOf is a setting of prefix_sharing as the repository has it.
func sharingOf(on *bool) string {
	switch {
	case on == nil:
		return ""
	case *on:
		return repository.SharingOn
	}
	return repository.SharingOff
}

// readSettings reads a settings file by parse. It was a regular file when it was looked at; opening does not wait if it is a FIFO by now.
func readSettings[T any](at *watch.File, parse func([]byte) (T, error)) (settings T, err error) {
	text, err := readSmall(at)
	if err == nil {
		settings, err = parse(text)
	}
	if err != nil {
		err = fmt.Errorf("its settings file %s: %w", at.Name, err)
	}
	return settings, err
}

func readSmall(at *watch.File) ([]byte, error) {
	if at.Problem != "" {
		return nil, errors.New(at.Problem)
	}
	f, err := os.OpenFile(at.Path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSettingsBytes+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxSettingsBytes {
		return nil, fmt.Errorf("it is larger than %d bytes", maxSettingsBytes)
	}
	return text, nil
}
