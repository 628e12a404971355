// Command neon writes the assembly of kernels/cpu/neon. `make generate` runs it in kernels/_gen; it takes no arguments.
package main

import "log"

func main() {
	rowsFloat()
	mulFloats()
	elementwise()
	attention()
	cacheQuants()
	cacheEncoders()
	activations()
	wide()
	rows()
	panels()
	expand()
	if err := write("../cpu/neon/impl_arm64.s", "../cpu/neon/stubs.go"); err != nil {
		log.Fatal(err)
	}
}
