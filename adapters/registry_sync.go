package adapters

import (
	"cmp"
	"slices"
	"time"
)

// Sync makes the names those of the origins, each once: it withdraws what is gone and puts what is new or has changed in line.
func (r *Registry) Sync(origins []Origin) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	there := make(map[string]bool, len(origins))
	for i := range origins {
		there[origins[i].Name] = true
		r.adopt(origins[i])
	}
	for name, e := range r.entries {
		if there[name] {
			continue
		}
		delete(r.entries, name)
		e.tell()
		if e.current != nil {
			r.log.Info("adapter removed", "adapter", name, "generation", e.current.number, "leases", e.current.leases)
			r.retire(e.current)
		}
	}
	r.adoptAliases()
	r.signal()
}

// adopt brings one name up to date. The caller holds mu.
func (r *Registry) adopt(o Origin) {
	e := r.entries[o.Name]
	if e == nil {
		id, known := r.ids[o.Name]
		if !known {
			id = len(r.ids)
			r.ids[o.Name] = id
		}
		e = &entry{id: id, news: make(chan struct{})}
		r.entries[o.Name] = e
	}
	key := o.identity() + o.Base
	before := e.origin
	e.origin = o
	fresh := e.key != key
	if fresh {
		e.key, e.seen, e.about, e.hold = key, r.now(), nil, time.Time{}
	}
	switch {
	case o.Problem != "":
		e.note(StateRefused, o.Problem)
		r.tellRefusal(e)
	case o.Missing != "":
		e.note(StateSeen, o.Missing)
	case o.Waiting != "":
		e.note(StateSettling, o.Waiting)
	case e.current != nil && e.current.key() == key:
		e.note("", "")
		e.told = ""
	case fresh || e.state == "" || e.state == StateSettling || e.state == StateSeen:
		reason := "it is about to be read"
		if o.one(&before) {
			e.hold = e.seen.Add(r.o.Settle)
		}
		if e.waits(r.now()) {
			reason = "one of its files is new alone; the other may follow"
		}
		e.note(StateSettling, reason)
		r.enqueue(e)
	}
}

// waits says whether a new file still waits for the other one.
func (e *entry) waits(now time.Time) bool { return now.Before(e.hold) }

// key is that of the content.
func (g *generation) key() string { return g.origin.identity() + g.origin.Base }

// adoptAliases rebuilds the map of aliases. Names go before aliases, and of two equal aliases the first name's holds. The caller holds mu.
func (r *Registry) adoptAliases() {
	clear(r.aliases)
	var named []*entry
	for _, e := range r.entries {
		e.aliases = nil
		if len(e.origin.Aliases) > 0 {
			named = append(named, e)
		}
	}
	slices.SortFunc(named, func(a, b *entry) int { return cmp.Compare(a.origin.Name, b.origin.Name) })
	for _, e := range named {
		for _, alias := range e.origin.Aliases {
			if _, taken := r.aliases[alias]; taken || r.entries[alias] != nil {
				r.log.Warn("alias belongs to another adapter", "alias", alias, "adapter", e.origin.Name)
				continue
			}
			r.aliases[alias] = e.origin.Name
			e.aliases = append(e.aliases, alias)
		}
	}
}
