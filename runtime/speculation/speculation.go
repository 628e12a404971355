// Package speculation owns guessing at the tokens of a sequence before they are computed: what may follow (Lookup, by what followed
// the same tokens before) and how many guesses are worth their rows (Pace, by how often they held and what steps have taken).
// It decides nothing about results: runtime/scheduler gives guesses the rows that are left, runtime/engine accepts those that
// turn out to be what is sampled, and a wrong guess costs time alone.
//
// Units: lengths and counts are tokens, which are rows of a step. Concurrency: none inside; the goroutine of one engine owns its
// Lookups and its Pace. There is no clock: durations come as data.
package speculation

// MaxGuesses is how many guesses a sequence may carry: products of up to 16 rows have kernels of their own, and reach most of what
// longer ones would.
const MaxGuesses = 15
