package kvcache

import "errors"

// ErrShape says that a pool of the wanted shape cannot be made.
var ErrShape = errors.New("no such page pool")
