package repository

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Sync makes what is in service agree with what there is: sources holds everything, each name once. It loads what is new or has
// changed, one model after the other, the smallest first, and takes out of service what is not there any more. It returns
// when that is done, or early when ctx ends.
func (r *Repository) Sync(ctx context.Context, sources []Source) {
	r.syncing.Lock()
	defer r.syncing.Unlock()
	r.last = slices.Clone(sources)
	r.sync(ctx)
}

// resync tries again what was refused for want of memory.
func (r *Repository) resync(ctx context.Context) {
	r.syncing.Lock()
	defer r.syncing.Unlock()
	r.sync(ctx)
}

// look is what lies behind a source at one moment.
type look struct {
	source *Source
	key    string
	size   int64
	latest time.Time // of the files' times
	err    error
}

// sync compares r.last with what is in service. The caller holds syncing.
func (r *Repository) sync(ctx context.Context) {
	looks := make([]look, len(r.last))
	for i := range r.last {
		looks[i] = lookAt(&r.last[i])
	}
	slices.SortStableFunc(looks, func(a, b look) int {
		return cmp.Or(cmp.Compare(a.size, b.size), strings.Compare(a.source.Name, b.source.Name))
	})
	if !r.adopt(looks) {
		return
	}
	for i := range looks {
		if ctx.Err() != nil {
			return
		}
		r.refresh(ctx, &looks[i])
	}
}

// lookAt asks the file system for the identity of a source's files, with the settings: another key is another generation.
func lookAt(src *Source) look {
	l := look{source: src, size: int64(len(src.Builtin))}
	var key strings.Builder
	for _, path := range src.Paths {
		var st unix.Stat_t
		if err := unix.Stat(path, &st); err != nil {
			l.err = &fs.PathError{Op: "stat", Path: path, Err: err}
			fmt.Fprintf(&key, "%s %v ", path, err)
			continue
		}
		l.size += st.Size
		fmt.Fprintf(&key, "%s %d:%d:%d:%d:%d ", path, st.Dev, st.Ino, st.Size, st.Mtim.Nano(), st.Ctim.Nano())
		if changed := time.Unix(0, st.Ctim.Nano()); changed.After(l.latest) {
			l.latest = changed
		}
	}
	fmt.Fprintf(&key, "%d %s", len(src.Builtin), src.Settings.key())
	l.key = key.String()
	return l
}

// key is the settings as text. The built-in maps of fmt print in the order of their keys.
func (s Settings) key() string { return fmt.Sprintf("%+q", fmt.Sprintf("%+v", s)) }

// or fills what is open with defaults.
func (s Settings) or(d Settings) Settings {
	s.ContextLen = cmp.Or(s.ContextLen, d.ContextLen)
	s.Parallel = cmp.Or(s.Parallel, d.Parallel, 1)
	s.CacheType = cmp.Or(s.CacheType, d.CacheType, "f16")
	s.Template = cmp.Or(s.Template, d.Template)
	sampling := maps.Clone(d.Sampling)
	if sampling == nil {
		sampling = map[string]float64{}
	}
	maps.Copy(sampling, s.Sampling)
	s.Sampling = sampling
	return s
}

// adopt makes the entries those of the sources: it retires what is gone and notes what is new. It is false when the repository
// is closed.
func (r *Repository) adopt(looks []look) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	there := make(map[string]bool, len(looks))
	for i := range looks {
		l := &looks[i]
		name := l.source.Name
		there[name] = true
		e := r.entries[name]
		if e == nil {
			e = &entry{reason: "it is being loaded", waiting: true}
			r.entries[name] = e
		}
		e.source = *l.source
		if e.seenKey != l.key {
			e.seen = r.arrival(l, e.changed)
			e.seenKey, e.changed = l.key, l.latest
		}
	}
	for name, e := range r.entries {
		if there[name] {
			continue
		}
		delete(r.entries, name)
		if e.current != nil {
			r.log.Info("model removed", "model", name, "generation", e.current.Generation, "leases", e.current.leases)
			r.retire(e.current)
		}
	}
	r.adoptAliases()
	return true
}

// arrival is when content came: the time of its files' last change, which is that of the rename for one that came by rename. Of
// what was there before this process, and of other settings for the same files, it is the time of the first look.
func (r *Repository) arrival(l *look, before time.Time) time.Time {
	now := time.Now()
	if l.latest.After(r.start) && l.latest.After(before) && l.latest.Before(now) {
		return l.latest
	}
	return now
}

// adoptAliases rebuilds the map of aliases. Names go before aliases, and of two equal aliases the first name's holds. The
// caller holds mu.
func (r *Repository) adoptAliases() {
	clear(r.aliases)
	for _, name := range slices.Sorted(maps.Keys(r.entries)) {
		e := r.entries[name]
		e.aliases = nil
		aliases := e.source.Settings.Aliases
		if e.current != nil && (e.source.Waiting != "" || e.source.Problem != "") {
			aliases = e.current.Settings.Aliases // what lies there may be half written: those in service hold
		}
		for _, alias := range aliases {
			owner, taken := r.aliases[alias]
			if r.entries[alias] != nil {
				owner, taken = alias, true
			}
			if taken {
				if owner != name {
					r.log.Warn("alias belongs to another model", "alias", alias, "model", name, "owner", owner)
				}
				continue
			}
			r.aliases[alias] = name
			e.aliases = append(e.aliases, alias)
		}
	}
}

// refresh brings one name up to date. The caller holds syncing, so that only fail and Close change the entry meanwhile.
func (r *Repository) refresh(ctx context.Context, l *look) {
	r.mu.Lock()
	e := r.entries[l.source.Name]
	if e == nil { // closed meanwhile
		r.mu.Unlock()
		return
	}
	current := e.current
	r.mu.Unlock()
	if current != nil {
		if err := current.file.Changed(); err != nil {
			r.fail(current, err)
			current = nil
		}
	}
	switch {
	case l.source.Problem != "":
		r.refuse(l, l.source.Problem, openRefusal)
	case l.source.Waiting != "":
		r.wait(l)
	case current != nil && current.key == l.key:
		r.settle(l)
	case l.err != nil:
		r.refuse(l, l.err.Error(), openRefusal)
	case !r.refusedBefore(l):
		r.replace(ctx, l, current)
	}
}

// replace loads what lies there and puts it into service in the place of replaced, which may be nil.
func (r *Repository) replace(ctx context.Context, l *look, replaced *Model) {
	began := time.Now()
	m, err := r.load(ctx, l.source, l.key, replaced)
	if err != nil {
		if ctx.Err() != nil {
			return // not the model's fault; the next Sync tries again
		}
		hold := forContent
		if errors.Is(err, ErrMemory) {
			hold = forMemory
		}
		r.refuse(l, err.Error(), hold)
		return
	}
	if err := r.publish(m); err != nil {
		r.discard(m)
		if !errors.Is(err, ErrClosed) {
			r.refuse(l, lostReason(err), forContent)
		}
		return
	}
	r.digests.add(m)
	r.log.Info("model in service", "model", m.Name, "generation", m.Generation, "architecture", m.Config.Architecture,
		"quantization", m.Quantization, "parameters", m.Parameters, "context", m.ContextLen, "bytes", m.Memory,
		"load", m.Served.Sub(began), "since_arrival", m.Served.Sub(m.Arrived))
	switch {
	case m.TemplateProblem != "":
		r.log.Warn("model takes no chats", "model", m.Name, "reason", m.TemplateProblem)
	case strings.HasPrefix(m.TemplateOrigin, OriginFallback):
		r.log.Warn("model has no chat template of its own: chats use one that its vocabulary speaks of",
			"model", m.Name, "template", m.TemplateOrigin, "set", "`template` in the model's settings")
	}
}

// publish puts a generation into service. The error is ErrClosed, or what the engine failed with meanwhile.
func (r *Repository) publish(m *Model) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.entries[m.Name]
	if r.closed || e == nil {
		return ErrClosed
	}
	if m.lost != nil {
		return m.lost
	}
	r.generation++
	m.Generation = r.generation
	m.Arrived = e.seen
	if old := e.current; old != nil {
		r.log.Info("model replaced", "model", m.Name, "generation", m.Generation, "old", old.Generation, "leases", old.leases)
		r.retire(old)
	}
	e.current = m
	e.note("", false)
	return nil
}

// hold says how long a refusal holds.
type hold int

const (
	openRefusal hold = iota // until the next Sync looks again
	forContent              // until the content changes
	forMemory               // until the next Sync, or until memory becomes free
)

// refuse notes why what lies there is not in service.
func (r *Repository) refuse(l *look, reason string, h hold) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.entries[l.source.Name]
	if e == nil {
		return
	}
	news := e.reason != reason
	e.note(reason, false)
	switch h {
	case forContent:
		e.refusedKey = l.key
	case forMemory:
		e.short = true
	}
	if news {
		r.log.Warn("model refused", "model", l.source.Name, "files", l.source.Paths, "reason", reason, "still_serving", e.current != nil)
	}
}

// note says why what lies there is not in service, "" when it is. The caller holds mu.
func (e *entry) note(reason string, waiting bool) {
	e.reason, e.waiting, e.refusedKey, e.short = reason, waiting, "", false
}

// wait notes that the files do not count yet.
func (r *Repository) wait(l *look) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.entries[l.source.Name]; e != nil {
		e.note(l.source.Waiting, true)
	}
}

// settle notes that what lies there is in service.
func (r *Repository) settle(l *look) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.entries[l.source.Name]; e != nil && e.current != nil {
		e.note("", false)
	}
}

// refusedBefore says whether just this content was refused for good.
func (r *Repository) refusedBefore(l *look) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.entries[l.source.Name]
	return e == nil || e.refusedKey == l.key
}

// shortOfMemory says whether something was refused for want of memory.
func (r *Repository) shortOfMemory() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.entries {
		if e.short {
			return true
		}
	}
	return false
}
