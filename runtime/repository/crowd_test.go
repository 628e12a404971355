package repository

import (
	"slices"
	"strings"
	"testing"

	"github.com/weft-run/weft/runtime/modeltest"
)

// crowded is a repository in which requests run on two generations of the model m, the older of them first, while a file for a third is there.
func crowded(t *testing.T, clock *clock) (b *bench, older, newer *begun) {
	t.Helper()
	b = newBench(t, nil)
	b.now = clock.Now
	b.put("m", long(1))
	b.sync()
	older = b.begin("m", 1, 300)
	b.put("m", long(2))
	b.sync()
	newer = b.begin("m", 1, 300)
	if older.lease.Generation != 1 || newer.lease.Generation != 2 {
		t.Fatalf("requests run on generations %d and %d", older.lease.Generation, newer.lease.Generation)
	}
	b.put("m", long(3))
	b.Repository.Sync(b.sources())
	eventually(t, "the third waits and says why", func() bool { return strings.Contains(b.status("m").Reason, "requests run on generations 1 and 2") })
	b.want("m", StateServing, "`weft reload m` does not wait")
	return b, older, newer
}

// comes checks that the third generation comes, and that it is of the given model.
func (b *bench) comes(spec modeltest.Spec) {
	b.t.Helper()
	eventually(b.t, "the third generation is in service", func() bool { return b.status("m").Generation == 3 })
	b.want("m", StateServing)
	alone := newBench(b.t, nil)
	alone.put("m", spec)
	alone.sync()
	if got, want := b.answer("m", 7, 20), alone.answer("m", 7, 20); !slices.Equal(got, want) {
		b.t.Errorf("the new generation gives %v, and its file %v", got, want)
	}
}

func TestThirdGenerationWaits(t *testing.T) {
	t.Run("until the older has nothing to do, and the newest of what came is taken", func(t *testing.T) {
		b, older, newer := crowded(t, newClock())
		b.put("m", long(4))
		b.Repository.Sync(b.sources())
		_, errs := older.finish(t)
		must(t, errs[0])
		b.comes(long(4))
		_, errs = newer.finish(t)
		must(t, errs[0])
	})
	t.Run("until the newer has nothing to do", func(t *testing.T) {
		b, older, newer := crowded(t, newClock())
		_, errs := newer.finish(t)
		must(t, errs[0])
		b.comes(long(3))
		_, errs = older.finish(t)
		must(t, errs[0])
	})
	t.Run("but not for who asks for it", func(t *testing.T) {
		b, older, newer := crowded(t, newClock())
		must(t, b.Reload(t.Context(), "m"))
		b.comes(long(3))
		older.finish(t)
		newer.finish(t)
	})
	t.Run("and not for ever", func(t *testing.T) {
		clock := newClock()
		b, older, newer := crowded(t, clock)
		clock.Add(crowdPatience)
		signal(b.lined)
		b.comes(long(3))
		older.finish(t)
		newer.finish(t)
	})
	t.Run("and other models not at all", func(t *testing.T) {
		b, older, newer := crowded(t, newClock())
		b.put("other", modeltest.Spec{})
		b.Repository.Sync(b.sources())
		eventually(t, "the other is in service", func() bool { return b.status("other").State == StateServing })
		if m := b.status("m"); m.Generation != 2 {
			t.Errorf("generation %d came, and should wait", m.Generation)
		}
		older.finish(t)
		newer.finish(t)
	})
}
