package door

import (
	"net"
	"net/http"
	"sync"
	"time"
)

// Connections bounds how many connections are held at once, for the Unix socket and for TCP apart, so that a crowd on one cannot shut
// the other. When one more comes, the longest idle is closed for it, else the one that has waited longest without a first request;
// when all are at work the newcomer is closed.
type Connections struct {
	most int

	mu   sync.Mutex
	held map[string]map[net.Conn]mark // by network; under mu
}

type mark struct {
	state http.ConnState
	since time.Time
}

// NewConnections allows most connections of each network.
func NewConnections(most int) *Connections {
	return &Connections{most: most, held: make(map[string]map[net.Conn]mark)}
}

// ConnState is for http.Server.ConnState.
func (c *Connections) ConnState(conn net.Conn, state http.ConnState) {
	if victim := c.note(conn, state, time.Now()); victim != nil {
		victim.Close() // its own goroutine finds it closed and reports StateClosed
	}
}

// note records the state and returns the connection that must go for it, or nil.
func (c *Connections) note(conn net.Conn, state http.ConnState, now time.Time) net.Conn {
	network := conn.LocalAddr().Network()
	c.mu.Lock()
	defer c.mu.Unlock()
	held := c.held[network]
	if held == nil {
		held = make(map[net.Conn]mark)
		c.held[network] = held
	}
	if state == http.StateClosed || state == http.StateHijacked {
		delete(held, conn)
		return nil
	}
	_, known := held[conn]
	if !known && state != http.StateNew {
		return nil // closed for another one a moment ago
	}
	held[conn] = mark{state, now}
	if len(held) <= c.most {
		return nil
	}
	victim := conn
	if v := oldest(held, http.StateIdle); v != nil {
		victim = v
	} else if v := oldest(held, http.StateNew); v != nil {
		victim = v
	}
	delete(held, victim)
	return victim
}

// oldest returns the connection that has been in a state for the longest, or nil.
func oldest(held map[net.Conn]mark, state http.ConnState) net.Conn {
	var found net.Conn
	var since time.Time
	for conn, m := range held {
		if m.state == state && (found == nil || m.since.Before(since)) {
			found, since = conn, m.since
		}
	}
	return found
}

// Held is the number of connections held now.
func (c *Connections) Held() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, held := range c.held {
		n += len(held)
	}
	return n
}
