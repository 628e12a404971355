package repository

import (
	"fmt"
	"time"
)

// While requests run on a generation that was replaced, it computes beside the one in service. Each reads all weights of its own in a step, and
// the streams of both wait for both; with a third they would wait for three. So what is to replace a model on which two generations are at
// work waits until one of them has nothing to do, but not for ever; of what comes meanwhile only the newest is taken.

// crowdPatience is how long a generation has been in service, at the most, when the next may come although requests run on an older one too.
const crowdPatience = 30 * time.Second

// crowded returns how long what is in line for an entry waits, at the most, because two of its generations are at work; 0 when it does not wait, which
// who asks for it to be loaded need not. It notes the reason. The caller holds mu.
func (r *Repository) crowded(e *entry) time.Duration {
	m := e.current
	if m == nil || m.leases == 0 || e.again {
		return 0
	}
	var older *Model
	for _, x := range r.retired {
		if x.Name == m.Name && x.leases > 0 {
			older = x
		}
	}
	if older == nil {
		return 0
	}
	wait := crowdPatience - r.now().Sub(m.came)
	if wait <= 0 {
		return 0
	}
	why := fmt.Sprintf("it waits, for %v at the most, because requests run on generations %d and %d, and beside a third each would wait for all; `weft reload %s` does not wait",
		crowdPatience, older.Generation, m.Generation, m.Name)
	if e.reason != why {
		e.note(why, StateChecking)
		r.log.Info("a newer file of the model waits", "model", m.Name, "reason", why)
	}
	return wait
}
