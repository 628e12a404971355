package engine

import (
	"slices"
	"time"

	"github.com/weft-run/weft/runtime/kvcache"
	"github.com/weft-run/weft/runtime/pagestore"
	"github.com/weft-run/weft/runtime/scheduler"
)

const (
	// prefillRows is the least number of rows that a step must have computed beside decoding to tell how fast that is.
	prefillRows = 32
	// rateAge is how long a rate of reading is believed. After that a read is tried again: a disk may have been busy.
	rateAge = time.Minute
)

// fetches begins to look for the pages of a stream on disk. It returns false when the stream needs not wait for any.
func (e *Engine) fetches(s *Stream) bool {
	r := &s.request
	if b := r.Behind; b != nil && b.fetching {
		b.followers = append(b.followers, s)
		return true
	}
	if !e.spills(r) || r.PromptLogprobs || len(r.Prompt) <= e.cfg.PageTokens {
		return false
	}
	s.fetching = true
	sp := e.spiller
	sp.mu.Lock()
	defer sp.mu.Unlock()
	sp.loads = append(sp.loads, s)
	signal(sp.loaded)
	return true
}

// fetched hands a stream on whose pages were looked for, and those that stand behind it.
func (e *Engine) fetched(s *Stream) {
	s.fetching = false
	for _, waits := range append([]*Stream{s}, s.followers...) {
		if e.loop.streams[waits.id] == waits { // else it was cancelled
			e.add(waits)
		}
	}
	s.followers = nil
}

// load is the goroutine that reads.
func (sp *spiller) load() {
	for {
		sp.mu.Lock()
		var s *Stream
		if len(sp.loads) > 0 {
			s = sp.loads[0]
			sp.loads = slices.Delete(sp.loads, 0, 1)
		}
		sp.mu.Unlock()
		if s == nil {
			select {
			case <-sp.loaded:
				continue
			case <-sp.stop:
				return
			}
		}
		sp.fetch(s)
		sp.e.tell(event{kind: fetched, stream: s})
	}
}

// fetch brings the pages of a stream's prompt from disk into the cache that are not there, where that is faster than computing them.
// The page of the last token is computed in any case.
func (sp *spiller) fetch(s *Stream) {
	r := &s.request
	select {
	case <-s.ended:
		return
	default:
	}
	memory, disk := sp.keys(s, r.Prompt[:len(r.Prompt)-1])
	if disk == nil {
		return
	}
	store := sp.e.cfg.Spill.Store
	if window := sp.e.model.Window; window > 0 {
		end := len(disk)
		for end > 0 && !store.Has(disk[end-1]) {
			end--
		}
		first := kvcache.Sees(window, end*sp.e.cfg.PageTokens) / sp.e.cfg.PageTokens
		memory, disk = memory[first:end], disk[first:end]
	}
	have := sp.ask(&move{keys: memory, lasting: r.Session != "", domain: r.Domain})
	n := store.Known(disk[have:])
	if n == 0 {
		if have == 0 && r.Session != "" && slices.ContainsFunc(store.Sessions(), func(i pagestore.Info) bool { return i.Session == r.session() }) {
			sp.e.cfg.Log.Info("engine: what is kept of a session is of no use to it: other tokens, adapters, model, cache type or page size", "session", r.Session)
		}
		return
	}
	size := sp.e.cfg.layout().PageBytes()
	if !sp.worthReading(n, size) {
		return
	}
	began := time.Now()
	data := make([]byte, min(n, max(1, inBytes/size))*size)
	from := have
	for end := have + n; from < end; {
		keys := disk[from:min(end, from+len(data)/size)]
		got := store.Read(keys, data[:len(keys)*size])
		if got == 0 || sp.ask(&move{keys: memory[from : from+got], data: data[:got*size], in: true, domain: r.Domain}) < got {
			break
		}
		if from += got; got < len(keys) {
			break
		}
	}
	if from == have {
		return
	}
	sp.readRate, sp.readAt = float64((from-have)*size)/max(time.Since(began), 1).Seconds(), time.Now()
	sp.ask(&move{keys: memory[:from], lasting: r.Session != "", domain: r.Domain})
}

// worthReading says whether reading so many pages is faster than computing them. While one of the rates is not known it is tried.
func (sp *spiller) worthReading(pages, size int) bool {
	prefill := sp.prefill.Load()
	if prefill == 0 || sp.readRate == 0 || time.Since(sp.readAt) > rateAge {
		return true
	}
	return float64(pages*size)/sp.readRate < float64(pages*sp.e.cfg.PageTokens)/float64(prefill)
}

// observePrefill notes how fast prompts are computed.
func (e *Engine) observePrefill(step scheduler.Step, took time.Duration) {
	rows := step.Rows - step.DecodeRows - step.DraftRows
	if e.spiller == nil || rows < prefillRows {
		return
	}
	rate := int64(float64(rows) / took.Seconds())
	if before := e.spiller.prefill.Load(); before > 0 {
		rate = before + (rate-before)/4
	}
	e.spiller.prefill.Store(rate)
}
