package repository

import (
	"cmp"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Sync makes what is in service agree with what there is: sources holds everything, each name once. It takes out of service what is
// not there any more and puts what is new or has changed in line to be checked, which happens in the background: Wait waits for it.
func (r *Repository) Sync(sources []Source) {
	r.syncing.Lock()
	defer r.syncing.Unlock()
	r.last = slices.Clone(sources)
	r.sync()
}

// resync compares again: what is wanted, or what there was no memory for, has changed.
func (r *Repository) resync() {
	r.syncing.Lock()
	defer r.syncing.Unlock()
	r.sync()
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
func (r *Repository) sync() {
	looks := make([]look, len(r.last))
	for i := range r.last {
		looks[i] = lookAt(&r.last[i])
	}
	if !r.adopt(looks) {
		return
	}
	for i := range looks {
		r.refresh(&looks[i])
	}
	r.mu.Lock()
	r.tellIdle() // what was in line may be gone
	r.mu.Unlock()
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
	s.Speculation = cmp.Or(s.Speculation, d.Speculation, "auto")
	s.Sharing = cmp.Or(s.Sharing, d.Sharing, SharingOn)
	s.Template = cmp.Or(s.Template, d.Template)
	s.IdleUnload = cmp.Or(s.IdleUnload, d.IdleUnload)
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
			e = &entry{reason: "it has just been seen", state: StateSettling, news: make(chan struct{})}
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
		e.tell()
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
		if e.current != nil && (e.source.Missing != "" || e.source.Waiting != "" || e.source.Problem != "") {
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

// refresh brings one name up to date. The caller holds syncing, so that only checks, fail and Close change the entry meanwhile.
func (r *Repository) refresh(l *look) {
	r.mu.Lock()
	e := r.entries[l.source.Name]
	if e == nil { // closed meanwhile
		r.mu.Unlock()
		return
	}
	current, again, rests := e.current, e.again, e.rest != nil && e.rest.key == l.key
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
	case l.source.Missing != "":
		r.wait(l, l.source.Missing, StateSeen)
	case l.source.Waiting != "":
		r.wait(l, l.source.Waiting, StateSettling)
	case current != nil && current.key == l.key && !again:
		r.settle(l)
	case l.err != nil:
		r.refuse(l, l.err.Error(), openRefusal)
	case current == nil && rests:
		r.leaveUnloaded(l)
	default:
		r.enqueue(l)
	}
}

// hold says how long a refusal holds.
type hold int

const (
	openRefusal hold = iota // until the next Sync looks again
	forContent              // until the content changes
	forMemory               // until the next Sync, or until memory becomes free
	forRoom                 // until others give memory back, or a request makes them
	forTrouble              // for a while: it was the system that failed, which says nothing of the content
)

// refuse notes why what lies there is not in service.
func (r *Repository) refuse(l *look, reason string, h hold) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.entries[l.source.Name]
	if e == nil || e.seenKey != l.key {
		return // something else lies there by now, and is told of
	}
	tell := l.key + reason
	news := e.told != tell
	e.again, e.woken = false, false
	e.refusals++
	e.lastRefusal, e.refusedAt = reason, r.now()
	if h == forRoom { // no refusal: a request for it makes room
		e.lieDown(&rest{key: l.key, why: reason, short: true})
		if e.told = tell; news {
			r.log.Info("model is not loaded until it is asked for, because others have the memory", "model", l.source.Name, "reason", reason)
		}
		return
	}
	e.note(reason, StateRefused)
	e.told, e.due = tell, nil
	switch h {
	case forContent:
		e.refusedKey = l.key
	case forMemory:
		e.short = true
	case forTrouble:
		e.retry = r.now().Add(troubleRest)
		signal(r.wanted)
	}
	if news {
		r.log.Warn("model refused", "model", l.source.Name, "files", l.source.Paths, "reason", reason, "still_serving", e.current != nil)
	}
}

// note says what becomes of what lies there and why, "" and "" when it is in service. The caller holds mu.
func (e *entry) note(reason, state string) {
	e.reason, e.state, e.refusedKey, e.short, e.retry = reason, state, "", false, time.Time{}
	e.tell()
}

// wait notes that the files do not count yet.
func (r *Repository) wait(l *look, why, state string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.entries[l.source.Name]; e != nil {
		e.note(why, state)
		e.due, e.again, e.woken = nil, false, false
	}
}

// settle notes that what lies there is in service.
func (r *Repository) settle(l *look) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.entries[l.source.Name]; e != nil && e.current != nil {
		e.note("", "")
		e.due, e.told = nil, ""
	}
}
