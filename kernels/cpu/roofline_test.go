package cpu

import (
	"math"
	"testing"
)

// TestRoofline: figures that a machine could have, at every level; what they are is no test's business.
func TestRoofline(t *testing.T) {
	for _, level := range Levels() {
		d, err := NewDevice(Options{Threads: 2, Level: level})
		if err != nil {
			t.Fatal(err)
		}
		r, err := d.Roofline()
		d.Close()
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %+v", d.Level(), r)
		for _, rate := range []float64{r.ReadBytes, r.Bytes, r.Floats} {
			if !(rate > 1e6) || math.IsInf(rate, 0) {
				t.Errorf("%s: %+v", d.Level(), r)
			}
		}
		if r.BytesBy == "" || r.FloatsBy == "" {
			t.Errorf("%s does not say what it measured with: %+v", d.Level(), r)
		}
	}
}
