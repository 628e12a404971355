package exact

import "testing"

func BenchmarkFMA32(b *testing.B) {
	x, acc := float32(1.0001), float32(0)
	for b.Loop() {
		for range 1024 {
			acc = FMA32(x, 0.5, acc)
		}
		acc = 0
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1024, "ns/fma")
}

func BenchmarkExp32(b *testing.B) {
	sum := float32(0)
	for b.Loop() {
		for i := range 1024 {
			sum += Exp32(float32(i) * -0.01)
		}
	}
	_ = sum
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1024, "ns/exp")
}
