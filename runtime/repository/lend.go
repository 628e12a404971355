package repository

import "fmt"

// Lease leases a generation that Serving has listed. It is false where that has left service meanwhile.
func (r *Repository) Lease(m *Model) (*Lease, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || m.retired {
		return nil, false
	}
	m.leases++
	return &Lease{Model: m, r: r}, true
}

// Reserve takes bytes out of the memory budget for what belongs to models in service, until free is called. The error is ErrMemory.
func (r *Repository) Reserve(bytes int64) (free func(), err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if budget := r.o.Budget; budget > 0 && r.held+bytes > budget {
		return nil, fmt.Errorf("repository: needs %s, have %s of the budget of %s: %w", size(bytes), size(max(budget-r.held, 0)), size(budget), ErrMemory)
	}
	r.held += bytes
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.held -= bytes
	}, nil
}
