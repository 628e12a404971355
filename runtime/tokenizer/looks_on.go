//go:build invariants

package tokenizer

import "sync/atomic"

// looks counts what encoding looks at, for the test that its work is linear: characters that are classified, nodes of tries,
// entries of the queue of merges.
var looks atomic.Int64

func look(n int) { looks.Add(int64(n)) }
