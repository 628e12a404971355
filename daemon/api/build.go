package api

import "runtime/debug"

// build is the version that the linker writes in (-X); empty in a plain `go build`.
var build string

// Release is the version of this program: what the build was given, else what Go knows of the module, else "dev".
func Release() string {
	if build != "" {
		return build
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "dev"
}
