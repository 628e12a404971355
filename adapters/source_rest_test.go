package adapters

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weft-run/weft/runtime/models"
)

// TestReadRests: behind each tensor that is read, and each change that another goroutine takes, there is a rest.
func TestReadRests(t *testing.T) {
	f := healthy()
	s, err := Open(f.write(t), DefaultLimits())
	must(t, err)
	defer func() { must(t, s.Close()) }()
	var rests atomic.Int32
	_, err = s.Read("llama", tinyTargets(), &taken{spec: models.AdapterSpec{}}, func(took time.Duration) {
		if took < 0 {
			t.Errorf("a piece of work took %v", took)
		}
		rests.Add(1)
	})
	must(t, err)
	if least, most := len(f.tensors), len(f.tensors)+s.Targets; int(rests.Load()) < least || int(rests.Load()) > most {
		t.Errorf("%d rests, want %d to %d", rests.Load(), least, most)
	}
}

// TestReadingMakesWay: who reads rests as long as it worked, if there are requests.
func TestReadingMakesWay(t *testing.T) {
	for _, c := range []struct {
		busy bool
		want time.Duration
	}{{false, 0}, {true, 3 * time.Second}} {
		synctest.Test(t, func(t *testing.T) {
			r := newRegistry(Options{Bases: &fakeBases{busy: c.busy}})
			began := time.Now()
			if r.makeWay(3 * time.Second); time.Since(began) != c.want {
				t.Errorf("busy %v: rested %v, want %v", c.busy, time.Since(began), c.want)
			}
		})
	}
}
