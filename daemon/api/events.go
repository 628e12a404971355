package api

import (
	"context"
	"net/http"
	"time"
)

// Kinds of an Event: what it is about.
const (
	EventModel   = "model"
	EventAdapter = "adapter"
)

// States of an Event beside those of models and adapters.
const (
	StateGone    = "gone"    // a generation was replaced, unloaded or removed, and no request holds it any more
	StateRemoved = "removed" // nothing of the name is listed any more
)

// Event says what has become of a model, an adapter or one generation of it.
type Event struct {
	Object     string    `json:"object"` // "weft.event"
	Kind       string    `json:"kind"`
	Name       string    `json:"name"`
	State      string    `json:"state"`
	Reason     string    `json:"reason,omitempty"` // as in the lists
	Next       string    `json:"next,omitempty"`   // as in the lists
	Generation uint64    `json:"generation,omitempty"`
	Digest     string    `json:"digest,omitempty"`
	Resident   int64     `json:"resident_bytes,omitempty"` // of an adapter in memory
	Present    bool      `json:"present,omitempty"`        // how it stood when the stream began
	Time       time.Time `json:"time"`
}

// EventObject marks an Event.
const EventObject = "weft.event"

// Events reads what becomes of models and adapters: first how each stands, then every change, until ctx ends or the daemon stops.
func (c *Client) Events(ctx context.Context) (*Stream[Event], error) {
	return open[Event](ctx, c, http.MethodGet, PathEvents, nil)
}
