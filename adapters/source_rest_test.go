package adapters

import (
	"sync/atomic"
	"testing"
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

// TestReadingMakesWay: who reads an adapter makes way for the steps of the bases behind each piece.
func TestReadingMakesWay(t *testing.T) {
	bases := &fakeBases{}
	r := newRegistry(Options{Bases: bases})
	r.open = func(*Origin) (content, error) { return &fakeContent{}, nil }
	must(t, r.read(&binding{of: &generation{}}, &fakeBase{of: bases}))
	if bases.way != 3*time.Second {
		t.Errorf("way was made behind %v of work, want 3 s", bases.way)
	}
}
