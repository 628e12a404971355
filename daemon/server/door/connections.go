package door

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// Connections bounds how many connections are held at once: of each network, the Unix socket and TCP, so that a crowd on one cannot shut
// the other, and of each caller, so that one user cannot shut the others. When one more comes, a connection that asks for nothing
// goes for it: the longest idle one, else the one that has waited longest without a first request, else the one whose request has been
// arriving for the longest. When all are at work the newcomer is closed.
type Connections struct {
	most, each int

	mu   sync.Mutex
	held map[net.Conn]mark // under mu
}

// stage is how far a connection is, in the order in which they are given up.
type stage int

const (
	idle    stage = iota // between two requests
	fresh                // no byte of a request has come
	reading              // a request is arriving
	working              // an answer is being made
	stages
)

type mark struct {
	network string
	who     any // comparable: a uid, or a TCP caller's address
	stage   stage
	since   time.Time
}

// NewConnections allows most connections of each network, and each of them to one user or address.
func NewConnections(most, each int) *Connections {
	return &Connections{most: most, each: min(most, each), held: make(map[net.Conn]mark)}
}

// ConnState is for http.Server.ConnState.
func (c *Connections) ConnState(conn net.Conn, state http.ConnState) {
	m := mark{since: time.Now()}
	switch state {
	case http.StateNew:
		m.stage, m.network, m.who = fresh, conn.LocalAddr().Network(), whoOf(conn)
	case http.StateActive:
		m.stage = reading
	case http.StateIdle:
		m.stage = idle
	default:
		c.forget(conn)
		return
	}
	if victim := c.note(conn, m); victim != nil {
		victim.Close() // its own goroutine finds it closed and reports StateClosed
	}
}

// Working notes that the request has arrived whole: its connection is not given up before it is answered. ctx is the request's.
func (c *Connections) Working(ctx context.Context) {
	conn, ok := ctx.Value(connKey{}).(net.Conn)
	if !ok {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if m, known := c.held[conn]; known {
		m.stage = working
		c.held[conn] = m
	}
}

// whoOf is what a connection counts for: the user on the Unix socket, the address over TCP.
func whoOf(conn net.Conn) any {
	caller := callerOf(conn)
	if caller.Network == "unix" {
		return caller.UID
	}
	host, _, err := net.SplitHostPort(caller.Remote)
	if err != nil {
		return caller.Remote
	}
	return host
}

func (c *Connections) forget(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.held, conn)
}

// note records how far a connection is, of a new one with its network and who it is, and returns the one that must go for it, or nil.
func (c *Connections) note(conn net.Conn, m mark) net.Conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m.stage != fresh {
		if before, known := c.held[conn]; known { // else it was closed for another one a moment ago
			before.stage, before.since = m.stage, m.since
			c.held[conn] = before
		}
		return nil
	}
	c.held[conn] = m
	all, own := 0, 0
	for _, other := range c.held {
		if other.network == m.network {
			all++
			if other.who == m.who {
				own++
			}
		}
	}
	var victim net.Conn
	switch {
	case own > c.each:
		victim = c.oldest(conn, func(other mark) bool { return other.network == m.network && other.who == m.who })
	case all > c.most:
		victim = c.oldest(conn, func(other mark) bool { return other.network == m.network })
	default:
		return nil
	}
	delete(c.held, victim)
	return victim
}

// oldest returns the connection to be given up for a new one among those that match, the new one itself where all are at work.
func (c *Connections) oldest(newcomer net.Conn, match func(mark) bool) net.Conn {
	var found [stages]net.Conn
	var since [stages]time.Time
	for conn, m := range c.held {
		if conn != newcomer && match(m) && (found[m.stage] == nil || m.since.Before(since[m.stage])) {
			found[m.stage], since[m.stage] = conn, m.since
		}
	}
	for _, conn := range found[:working] {
		if conn != nil {
			return conn
		}
	}
	return newcomer
}

// Held is the number of connections held now.
func (c *Connections) Held() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.held)
}
