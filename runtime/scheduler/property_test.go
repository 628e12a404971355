package scheduler_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weft-run/weft/runtime/kvcache"
	"github.com/weft-run/weft/runtime/scheduler"
)

// world runs a scheduler against a cache that remembers, for each slot, what was last computed there, and a model whose next
// token is a function of all tokens so far. It checks every step.
type world struct {
	t     *rapid.T
	cfg   scheduler.Config
	pages *kvcache.Manager
	s     *scheduler.Scheduler
	cache []entry
	alive map[scheduler.SeqID]*wanted
	last  scheduler.SeqID
	done  int
}

// entry is what a slot holds: the keys and values of one token behind certain others, of a chain from root, or of one
// sequence where it shares with nobody.
type entry struct {
	root  kvcache.Key
	id    scheduler.SeqID
	pos   int
	token int32
	after uint64 // hash of the tokens before it
}

// at is what the slot of a position of q must hold.
func (q *wanted) at(pos int) entry {
	e := entry{root: q.Root, pos: pos, token: q.tokens[pos], after: 14695981039346656037}
	if e.root == (kvcache.Key{}) {
		e.id = q.ID
	}
	for _, t := range q.tokens[:pos] {
		e.after = (e.after ^ uint64(t)) * 1099511628211
	}
	return e
}

// wanted is a sequence as its caller sees it.
type wanted struct {
	scheduler.Sequence
	tokens []int32
	scored []bool // prompt rows whose logits were given
	paused bool
}

// nextToken is the world's model.
func nextToken(tokens []int32) int32 {
	hash := uint32(len(tokens))
	for _, t := range tokens {
		hash = hash*16777619 ^ uint32(t)
	}
	return int32(hash >> 8 % 29)
}

func TestRandomOperations(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		for range rapid.IntRange(1, 80).Draw(t, "operations") {
			switch rapid.SampledFrom([]string{"add", "add", "step", "step", "step", "step", "draft", "draft", "cancel", "pause", "resume", "expire"}).Draw(t, "operation") {
			case "add":
				w.add()
			case "step":
				w.step()
			case "expire":
				w.expire(time.Duration(rapid.IntRange(0, 100).Draw(t, "now")))
			case "draft":
				if id, ok := w.pick(); ok {
					w.draft(id)
				}
			case "cancel":
				if id, ok := w.pick(); ok {
					w.cancel(id)
				}
			case "pause", "resume":
				if id, ok := w.pick(); ok {
					pause := !w.alive[id].paused
					w.s.Pause(id, pause)
					w.alive[id].paused = pause
				}
			}
		}
		w.drain()
	})
}

func newWorld(t *rapid.T) *world {
	pageTokens := rapid.SampledFrom([]int{16, 32}).Draw(t, "pageTokens")
	contextLen := rapid.IntRange(2, 4*pageTokens).Draw(t, "contextLen")
	least := (contextLen + pageTokens - 1) / pageTokens
	window, stepTokens := 0, rapid.IntRange(1, 40).Draw(t, "stepTokens")
	if rapid.Bool().Draw(t, "windowed") {
		contextLen = rapid.IntRange(2, 20*pageTokens).Draw(t, "longer")
		window = rapid.IntRange(1, 80).Draw(t, "window")
		least = min((contextLen+pageTokens-1)/pageTokens, kvcache.WindowPages(window, stepTokens, pageTokens))
	}
	pages, err := kvcache.New(least+rapid.IntRange(0, 8).Draw(t, "spare"), pageTokens)
	if err != nil {
		t.Fatal(err)
	}
	batch := rapid.IntRange(1, 6).Draw(t, "batch")
	cfg := scheduler.Config{
		MaxBatch: batch, StepTokens: stepTokens, Window: window,
		LogitRows: batch + rapid.IntRange(0, 5).Draw(t, "logits"), ContextLen: contextLen, EOG: []int32{eog},
	}
	s, err := scheduler.New(cfg, pages)
	if err != nil {
		t.Fatal(err)
	}
	return &world{
		t: t, cfg: cfg, pages: pages, s: s, alive: map[scheduler.SeqID]*wanted{},
		cache: make([]entry, pages.Total()*pageTokens),
	}
}

func (w *world) add() {
	w.last++
	q := &wanted{Sequence: scheduler.Sequence{
		ID: w.last, NoTokens: rapid.IntRange(0, 4).Draw(w.t, "noTokens") == 0, MaxTokens: rapid.IntRange(0, 50).Draw(w.t, "max"),
		PromptLogits: rapid.Bool().Draw(w.t, "score"), IgnoreEOG: rapid.Bool().Draw(w.t, "ignore"),
		Caller: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(w.t, "caller"), Class: scheduler.Class(rapid.IntRange(0, 1).Draw(w.t, "class")),
		Priority: rapid.IntRange(-1, 1).Draw(w.t, "priority"), Deadline: time.Duration(rapid.IntRange(-100, 100).Draw(w.t, "deadline")),
	}}
	if q.Deadline < 0 {
		q.Deadline = 0
	}
	// Prompts of one root and one beginning have much in common; they part ways somewhere.
	if root := rapid.IntRange(0, 2).Draw(w.t, "root"); root > 0 {
		q.Root, q.Domain = kvcache.Key{byte(root)}, string(rune('a'+root))
	}
	begin, part := rapid.IntRange(0, 1).Draw(w.t, "begin"), rapid.IntRange(0, 2*w.cfg.ContextLen).Draw(w.t, "part")
	q.Prompt = make([]int32, rapid.IntRange(1, w.cfg.ContextLen-1).Draw(w.t, "prompt"))
	for i := range q.Prompt {
		q.Prompt[i] = int32(begin*31+i) % 1000
		if i >= part {
			q.Prompt[i] += int32(w.last)
		}
	}
	if other, ok := w.pick(); ok && w.alive[other].Root != (kvcache.Key{}) && rapid.IntRange(0, 3).Draw(w.t, "behind") == 0 {
		q.Behind, q.Root, q.Domain, q.Prompt = other, w.alive[other].Root, w.alive[other].Domain, slices.Clone(w.alive[other].Prompt)
	}
	q.tokens = slices.Clone(q.Prompt)
	q.scored = make([]bool, len(q.Prompt))
	if err := w.s.Add(&q.Sequence); err != nil {
		w.t.Fatal(err)
	}
	w.alive[q.ID] = q
}

func (w *world) pick() (scheduler.SeqID, bool) {
	if len(w.alive) == 0 {
		return 0, false
	}
	ids := make([]scheduler.SeqID, 0, len(w.alive))
	for id := range w.alive {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return rapid.SampledFrom(ids).Draw(w.t, "id"), true
}

func (w *world) cancel(id scheduler.SeqID) {
	if !w.s.Cancel(id) {
		w.t.Fatalf("sequence %d is unknown", id)
	}
	delete(w.alive, id)
}

// draft offers guesses of which some, all or none are right.
func (w *world) draft(id scheduler.SeqID) {
	tokens := slices.Clone(w.alive[id].tokens)
	begin := len(tokens)
	wrong := rapid.IntRange(0, 12).Draw(w.t, "wrong")
	for i := range rapid.IntRange(0, 12).Draw(w.t, "guesses") {
		next := nextToken(tokens)
		if i == wrong {
			next++
		}
		tokens = append(tokens, next)
	}
	w.s.Draft(id, tokens[begin:])
}

// step runs one step, sometimes cancelling a sequence while it is in flight.
func (w *world) step() {
	step := w.s.Schedule()
	active := slices.ContainsFunc(mapValues(w.alive), func(q *wanted) bool { return !q.paused })
	if (step.Rows > 0) != active {
		w.t.Fatalf("%d rows, but a sequence that is not paused: %v", step.Rows, active)
	}
	if step.Rows == 0 {
		return
	}
	w.check(step)
	if rapid.IntRange(0, 9).Draw(w.t, "cancelInFlight") == 0 {
		if id, ok := w.pick(); ok {
			w.cancel(id)
		}
	}
	var sampled []scheduler.Sampled
	for _, p := range step.Parts {
		q := w.alive[p.ID]
		if q == nil || !p.Sample {
			continue
		}
		guesses := p.Tokens[len(p.Tokens)-p.Drafts:]
		for {
			next := nextToken(q.tokens)
			q.tokens = append(q.tokens, next)
			sampled = append(sampled, scheduler.Sampled{ID: p.ID, Token: next})
			if len(guesses) == 0 || guesses[0] != next {
				break
			}
			guesses = guesses[1:]
		}
	}
	for _, f := range w.s.Update(step, sampled) {
		w.finished(f)
	}
	if took := rapid.IntRange(0, 50).Draw(w.t, "took"); took > 0 {
		w.s.Took(step, time.Duration(took))
	}
}

// expire ends what has a deadline that is not after now, and nothing else.
func (w *world) expire(now time.Duration) {
	for _, f := range w.s.Expire(now) {
		if d := w.alive[f.ID].Deadline; f.Reason != scheduler.Expired || d == 0 || d > now {
			w.t.Fatalf("sequence %d ends at %v: %v, its deadline is %v", f.ID, now, f.Reason, d)
		}
		delete(w.alive, f.ID)
	}
	for id, q := range w.alive {
		if q.Deadline > 0 && (q.Deadline <= now || q.Deadline < w.s.Deadline()) {
			w.t.Fatalf("sequence %d has its deadline at %v, it is %v and the next is said to be at %v", id, q.Deadline, now, w.s.Deadline())
		}
	}
}

// check holds a step against the budgets, computes it into the cache, and holds what each part builds on against the tokens of
// its sequence.
func (w *world) check(step scheduler.Step) {
	rows, logits := 0, 0
	size := w.pages.PageTokens()
	for _, c := range step.Copies {
		copy(w.cache[int(c.To)*size:int(c.To+1)*size], w.cache[int(c.From)*size:])
	}
	holders, writers := map[int32]int{}, map[int32]int{}
	for _, p := range step.Parts {
		for i, page := range p.Pages {
			if page < 0 {
				continue // a window has left it
			}
			holders[page]++
			if (i+1)*size > p.Pos && i*size < p.Pos+len(p.Tokens) {
				writers[page]++
			}
		}
	}
	for page := range writers {
		if holders[page] != 1 {
			w.t.Fatalf("page %d is written to and in %d page tables", page, holders[page])
		}
	}
	for _, p := range step.Parts {
		q := w.alive[p.ID]
		if q == nil || q.paused {
			w.t.Fatalf("sequence %d is gone or paused", p.ID)
		}
		rows += len(p.Tokens)
		end := p.Pos + len(p.Tokens) - p.Drafts
		if p.Drafts > 0 {
			w.guess(p, q)
			logits += p.Drafts
		}
		if len(p.Tokens) == p.Drafts || !slices.Equal(p.Tokens[:end-p.Pos], q.tokens[p.Pos:end]) {
			w.t.Fatalf("sequence %d: rows [%d,%d) are not its tokens", p.ID, p.Pos, end)
		}
		from := kvcache.Sees(w.cfg.Window, p.Pos)
		for i, slot := range kvcache.Slots(nil, p.Pages, size, from, end-from) {
			pos := from + i
			now := q.at(pos)
			if pos >= p.Pos {
				w.cache[slot] = now
			} else if w.cache[slot] != now {
				w.t.Fatalf("sequence %d: position %d holds %+v", p.ID, pos, w.cache[slot])
			}
		}
		if p.Sample != (end == len(q.tokens) && !q.NoTokens) && (p.Sample || w.cfg.LogitRows > step.LogitRows) {
			w.t.Fatalf("sequence %d: rows [%d,%d) of %d, sample %v", p.ID, p.Pos, end, len(q.tokens), p.Sample)
		}
		if p.Sample {
			logits++
		}
		for r := p.Pos + p.ScoreFrom; r < p.Pos+p.ScoreTo; r++ {
			if !q.PromptLogits || r < p.Pos || r >= end || r >= len(q.Prompt)-1 || q.scored[r] {
				w.t.Fatalf("sequence %d: row %d of %d is scored wrongly", p.ID, r, len(q.Prompt))
			}
			q.scored[r] = true
			logits++
		}
	}
	if err := w.s.Check(); err != nil {
		w.t.Fatal(err)
	}
	if rows != step.Rows || rows > w.cfg.StepTokens || logits != step.LogitRows || logits > w.cfg.LogitRows || len(step.Parts) > w.cfg.MaxBatch {
		w.t.Fatalf("%d rows, %d logits, %d parts: %+v within %+v", rows, logits, len(step.Parts), step, w.cfg)
	}
}

// guess computes the drafts of a part into the cache: each is what it is behind the guesses before it.
func (w *world) guess(p scheduler.Part, q *wanted) {
	end := p.Pos + len(p.Tokens)
	with := wanted{Sequence: q.Sequence, tokens: slices.Concat(q.tokens, p.Tokens[len(p.Tokens)-p.Drafts:])}
	limit := w.cfg.ContextLen
	if q.MaxTokens > 0 {
		limit = min(limit, len(q.Prompt)+q.MaxTokens)
	}
	if !p.Sample || len(p.Tokens) != p.Drafts+1 || len(with.tokens) != end || end >= limit {
		w.t.Fatalf("sequence %d of %d tokens: guesses up to %d, limit %d", p.ID, len(q.tokens), end, limit)
	}
	begin := len(q.tokens)
	for i, slot := range kvcache.Slots(nil, p.Pages, w.pages.PageTokens(), begin, end-begin) {
		w.cache[slot] = with.at(begin + i)
	}
}

// finished holds the end of a sequence against its wishes.
func (w *world) finished(f scheduler.Finished) {
	q := w.alive[f.ID]
	delete(w.alive, f.ID)
	w.done++
	if q.PromptLogits && slices.Contains(q.scored[:len(q.Prompt)-1], false) {
		w.t.Fatalf("sequence %d: not all of the prompt was scored", f.ID)
	}
	want := slices.Clone(q.Prompt)
	reason := scheduler.Length
	for !q.NoTokens && len(want) < w.cfg.ContextLen && (q.MaxTokens == 0 || len(want)-len(q.Prompt) < q.MaxTokens) {
		want = append(want, nextToken(want))
		if want[len(want)-1] == eog && !q.IgnoreEOG {
			reason = scheduler.Stop
			break
		}
	}
	if reason == scheduler.Length && len(want) == w.cfg.ContextLen && !q.NoTokens && (q.MaxTokens == 0 || len(want)-len(q.Prompt) < q.MaxTokens) {
		reason = scheduler.Full
	}
	if !slices.Equal(want, q.tokens) || reason != f.Reason {
		w.t.Fatalf("sequence %d: %d tokens, %v; alone it has %d, %v", f.ID, len(q.tokens), f.Reason, len(want), reason)
	}
}

// drain lets all readers read and runs to the end, which must come.
func (w *world) drain() {
	for id, q := range w.alive {
		w.s.Pause(id, false)
		q.paused = false
	}
	bound := 10
	for range w.alive {
		bound += 3 * w.cfg.ContextLen * (1 + len(w.alive))
	}
	for range bound {
		if len(w.alive) == 0 {
			break
		}
		w.step()
	}
	if len(w.alive) > 0 {
		w.t.Fatalf("%d sequences do not finish", len(w.alive))
	}
	if c := w.s.Counts(); c != (scheduler.Counts{}) || w.pages.Used() != 0 {
		w.t.Fatalf("at the end %+v, %d pages in use", c, w.pages.Used())
	}
	if w.pages.Free() != w.pages.Total() {
		w.t.Fatalf("%d of %d pages can be had", w.pages.Free(), w.pages.Total())
	}
}

func mapValues(m map[scheduler.SeqID]*wanted) []*wanted {
	all := make([]*wanted, 0, len(m))
	for _, q := range m {
		all = append(all, q)
	}
	return all
}

// TestDecodeAllocatesNothing: after admission a step allocates nothing, at page borders neither.
func TestDecodeAllocatesNothing(t *testing.T) {
	pages, err := kvcache.New(200, 16)
	if err != nil {
		t.Fatal(err)
	}
	s, err := scheduler.New(scheduler.Config{MaxBatch: 4, StepTokens: 64, LogitRows: 4, ContextLen: 512}, pages)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		if err := s.Add(&scheduler.Sequence{ID: scheduler.SeqID(i), Prompt: make([]int32, 9), Root: kvcache.Key{1}}); err != nil {
			t.Fatal(err)
		}
	}
	sampled := make([]scheduler.Sampled, 0, 4)
	step := func() {
		st := s.Schedule()
		sampled = sampled[:0]
		for _, p := range st.Parts {
			if p.Sample {
				sampled = append(sampled, scheduler.Sampled{ID: p.ID, Token: 7})
			}
		}
		s.Update(st, sampled)
	}
	for range 3 {
		step()
	}
	if n := testing.AllocsPerRun(400, step); n != 0 {
		t.Errorf("%v allocations in a decode step", n)
	}
}

func TestMisuseIsABug(t *testing.T) {
	pages, err := kvcache.New(4, 16)
	if err != nil {
		t.Fatal(err)
	}
	fresh := func() *scheduler.Scheduler {
		s, err := scheduler.New(scheduler.Config{MaxBatch: 1, StepTokens: 4, LogitRows: 1, ContextLen: 16}, pages)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Add(&scheduler.Sequence{ID: 1, Prompt: []int32{1}}); err != nil {
			t.Fatal(err)
		}
		return s
	}
	for name, misuse := range map[string]func(){
		"scheduled twice": func() { s := fresh(); s.Schedule(); s.Schedule() },
		"added twice":     func() { _ = fresh().Add(&scheduler.Sequence{ID: 1, Prompt: []int32{1}}) },
		"no token":        func() { s := fresh(); s.Update(s.Schedule(), nil) },
		"a token too many": func() {
			s := fresh()
			s.Update(s.Schedule(), []scheduler.Sampled{{ID: 1, Token: 3}, {ID: 9, Token: 3}})
		},
	} {
		func() {
			defer func() {
				if text := fmt.Sprint(recover()); len(text) < 4 || text[:4] != "BUG:" {
					t.Errorf("%s: recovered %q", name, text)
				}
			}()
			misuse()
		}()
	}
}
