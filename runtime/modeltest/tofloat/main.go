// Command tofloat rewrites a GGUF model with every tensor decoded to float32, for `make testdata`. It is test support and
// part of no package.
package main

import (
	"fmt"
	"os"

	"github.com/weft-run/weft/runtime/modeltest"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: tofloat FROM.gguf TO.gguf")
		os.Exit(2)
	}
	if err := modeltest.ToFloat(os.Args[2], os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "tofloat:", err)
		os.Exit(1)
	}
}
