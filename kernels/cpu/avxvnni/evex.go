//go:build evex

package avxvnni

// EVEX says that the assembly is encoded for AVX-512 with VL and VNNI instead, to be tested there.
const EVEX = true
