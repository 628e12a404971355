package engine

import (
	"time"

	"github.com/weft-run/weft/runtime/kvcache"
	"github.com/weft-run/weft/runtime/pagestore"
)

// write is the goroutine that writes.
func (sp *spiller) write() {
	for {
		j, ok := sp.nextJob()
		if !ok {
			return
		}
		sp.writePages(j)
	}
}

// nextJob waits for a job. It returns false when there will be none.
func (sp *spiller) nextJob() (job, bool) {
	for {
		sp.mu.Lock()
		if len(sp.jobs) > 0 {
			j := sp.jobs[0]
			sp.jobs[0] = job{}
			sp.jobs = sp.jobs[1:]
			sp.mu.Unlock()
			return j, true
		}
		over := sp.hurry
		sp.mu.Unlock()
		if over {
			close(sp.flushed)
			return job{}, false
		}
		select {
		case <-sp.jobbed:
		case <-sp.stop:
			return job{}, false
		}
	}
}

// rest waits, unless there is hurry. It returns false when there is.
func (sp *spiller) rest(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		sp.mu.Lock()
		hurry := sp.hurry
		sp.mu.Unlock()
		if hurry {
			return false
		}
		select {
		case <-timer.C:
			return true
		case <-sp.jobbed: // a job, which waits, or hurry
		case <-sp.stop:
			return false
		}
	}
}

// writePages writes the pages of a job that are not on disk yet, in runs, and rests after each.
func (sp *spiller) writePages(j job) {
	memory, disk := sp.keys(j.stream, j.tokens)
	for disk == nil {
		rested := sp.rest(digestPatience)
		if memory, disk = sp.keys(j.stream, j.tokens); disk == nil && !rested {
			sp.e.cfg.Log.Info("engine: pages are not written, because the digest of the model is not known yet", "pages", len(j.tokens)/sp.e.cfg.PageTokens)
			return
		}
	}
	store := sp.e.cfg.Spill.Store
	store.Touch(disk)
	size := sp.e.cfg.layout().PageBytes()
	most := min(pagestore.MaxPages, max(1, pagestore.SegmentBytes/size))
	// Of a sequence that a window moves over, what who goes on with it needs.
	for i := kvcache.Sees(sp.e.model.Window, len(j.tokens)) / sp.e.cfg.PageTokens; i < len(disk); {
		if store.Has(disk[i]) {
			i++
			continue
		}
		n := 1
		for n < most && i+n < len(disk) && !store.Has(disk[i+n]) {
			n++
		}
		data := make([]byte, n*size)
		got := sp.takeOut(memory[i:i+n], data)
		if got == 0 {
			return // given to others meanwhile: what is behind cannot be found without
		}
		began := time.Now()
		r := &j.stream.request
		err := store.Put(pagestore.Run{
			Session: r.session(), Asked: j.asked, Model: sp.e.cfg.Spill.Model, PageTokens: sp.e.cfg.PageTokens,
			First: i, Keys: disk[i : i+got], Pages: data[:got*size],
		})
		if err != nil || got < n { // the store has told of an error
			return
		}
		store.Touch(disk) // all of it together, so that its tail goes before its head
		i += n
		sp.rest(restTimes * time.Since(began))
	}
}

// takeOut copies the pages of keys out of the cache and returns how many of the first were there.
func (sp *spiller) takeOut(keys []kvcache.Key, data []byte) int {
	size := len(data) / len(keys)
	most := max(1, outBytes/size)
	for done := 0; done < len(keys); {
		n := min(most, len(keys)-done)
		got := sp.ask(&move{keys: keys[done : done+n], data: data[done*size : (done+n)*size]})
		if done += got; got < n {
			return done
		}
	}
	return len(keys)
}
