package main

import (
	. "github.com/mmcloughlin/avo/build"
)

// limitDots multiplies bytes by the instruction of this level's panels, into as many sums as two units with a latency of five want.
func limitDots() {
	TEXT("limitBytes", NOSPLIT, "func(turns int)")
	Doc("limitBytes does turns times 768 multiply-adds of bytes in registers.")
	turns, sums, w := load("turns"), zmms(12), repeated("limitDots3", 3)
	clearZ(sums...)
	loop(turns, 1, func() {
		for _, sum := range sums {
			VPDPBUSD(w, w, sum)
		}
	})
	ret()
}
