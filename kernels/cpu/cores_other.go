//go:build !linux

package cpu

import "runtime"

// anyCores knows nothing of cores.
type anyCores struct{}

func newCores() cores { return anyCores{} }

func (anyCores) current() int32 { return noCore }
func (anyCores) lost() int64    { return 0 }
func (anyCores) yield()         { runtime.Gosched() }
func (anyCores) keepOff(int32)  {}
