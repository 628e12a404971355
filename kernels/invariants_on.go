//go:build invariants

package kernels

// Invariants says whether backends check their arguments. It is a constant, so that normal builds carry no checks.
const Invariants = true
