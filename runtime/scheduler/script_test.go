package scheduler_test

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/weft-run/weft/runtime/kvcache"
	"github.com/weft-run/weft/runtime/modeltest"
	"github.com/weft-run/weft/runtime/scheduler"
)

// eog is the token that ends a sequence in all tests here.
const eog = 2

// machine runs the commands of a script:
//
//	new pages=N page=TOKENS batch=N step=TOKENS logits=ROWS context=TOKENS window=TOKENS
//	add ID prompt=TOKENS max=TOKENS caller=N priority=N deadline=MS [batch] [score] [none] [ignore]
//	schedule            the next step: each part with its rows, pages, and what its logits are for
//	draft ID TOKEN...   guesses at what follows; the model here always samples 50
//	update [ID...]      its results; the named sequences sample the end token
//	step [ID...]        both; took=MS tells how long the step took, times=N does it so often, shows the last one, and says how many
//	                    sequences were preempted in all
//	expire MS           end those whose deadline is not after that time
//	beside on|off       others wait for the steps
//	cancel ID, pause ID, resume ID, counts
//
// IDs are letters.
type machine struct {
	t     *testing.T
	pages *kvcache.Manager
	s     *scheduler.Scheduler
	last  scheduler.Step
}

func TestScripts(t *testing.T) {
	modeltest.Scripts(t, "testdata/*.txt", func(t *testing.T) func([]string) string {
		return (&machine{t: t}).run
	})
}

func id(word string) scheduler.SeqID { return scheduler.SeqID(word[0]) }

func (m *machine) run(words []string) string {
	option := func(name string, def int) int {
		for _, w := range words {
			if text, ok := strings.CutPrefix(w, name+"="); ok {
				n, err := strconv.Atoi(text)
				if err != nil {
					m.t.Fatal(err)
				}
				return n
			}
		}
		return def
	}
	switch words[0] {
	case "new":
		var err error
		if m.pages, err = kvcache.New(option("pages", 8), option("page", 16)); err != nil {
			m.t.Fatal(err)
		}
		batch := option("batch", 4)
		m.s, err = scheduler.New(scheduler.Config{
			MaxBatch: batch, StepTokens: option("step", 32), Window: option("window", 0), LogitRows: option("logits", max(batch, 8)),
			ContextLen: option("context", 64), EOG: []int32{eog},
		}, m.pages)
		return message(err)
	case "add":
		prompt := make([]int32, option("prompt", 4))
		for i := range prompt {
			prompt[i] = int32(100 + i)
		}
		class := scheduler.Interactive
		if slices.Contains(words, "batch") {
			class = scheduler.Batch
		}
		return message(m.s.Add(&scheduler.Sequence{
			ID: id(words[1]), Prompt: prompt, MaxTokens: option("max", 0), NoTokens: slices.Contains(words, "none"),
			Caller: fmt.Sprint(option("caller", 0)), Class: class, Priority: option("priority", 0),
			Deadline:     time.Duration(option("deadline", 0)) * time.Millisecond,
			PromptLogits: slices.Contains(words, "score"), IgnoreEOG: slices.Contains(words, "ignore"),
		}))
	case "schedule":
		m.last = m.s.Schedule()
		return m.show()
	case "update":
		return m.update(words[1:])
	case "step":
		var text string
		times, preempted := option("times", 1), 0
		for range times {
			m.last = m.s.Schedule()
			preempted += m.last.Preempted
			text = m.show()
			if m.last.Rows > 0 {
				text += m.update(words[1:])
			}
			if took := option("took", 0); took > 0 {
				m.s.Took(m.last, time.Duration(took)*time.Millisecond)
			}
		}
		if times > 1 && preempted > 0 {
			text += fmt.Sprintf("preempted in all: %d\n", preempted)
		}
		return text
	case "beside":
		m.s.Beside(words[1] == "on")
		return ""
	case "expire":
		ms, err := strconv.Atoi(words[1])
		if err != nil {
			m.t.Fatal(err)
		}
		var text strings.Builder
		for _, f := range m.s.Expire(time.Duration(ms) * time.Millisecond) {
			fmt.Fprintf(&text, "done %c: %s\n", f.ID, f.Reason)
		}
		fmt.Fprintf(&text, "next deadline %v\n", m.s.Deadline())
		return text.String()
	case "draft":
		var guesses []int32
		for _, w := range words[2:] {
			n, err := strconv.Atoi(w)
			if err != nil {
				m.t.Fatal(err)
			}
			guesses = append(guesses, int32(n))
		}
		m.s.Draft(id(words[1]), guesses)
		return ""
	case "cancel":
		return fmt.Sprint(m.s.Cancel(id(words[1])))
	case "pause", "resume":
		m.s.Pause(id(words[1]), words[0] == "pause")
		return ""
	case "counts":
		return fmt.Sprintf("%+v, %d of %d pages free", m.s.Counts(), m.pages.Free(), m.pages.Total())
	}
	m.t.Fatalf("unknown command %q", words[0])
	return ""
}

func message(err error) string {
	if err != nil {
		return err.Error()
	}
	return ""
}

func (m *machine) show() string {
	var text strings.Builder
	fmt.Fprintf(&text, "rows %d logits %d decode %d", m.last.Rows, m.last.LogitRows, m.last.DecodeRows)
	if m.last.Preempted > 0 {
		fmt.Fprintf(&text, " preempted %d", m.last.Preempted)
	}
	text.WriteString("\n")
	for _, p := range m.last.Parts {
		fmt.Fprintf(&text, "  %c [%d,%d) pages %v", p.ID, p.Pos, p.Pos+len(p.Tokens), p.Pages)
		if p.ScoreTo > p.ScoreFrom {
			fmt.Fprintf(&text, " score [%d,%d)", p.Pos+p.ScoreFrom, p.Pos+p.ScoreTo)
		}
		if p.Sample {
			text.WriteString(" sample")
		}
		if p.Drafts > 0 {
			fmt.Fprintf(&text, " drafts %v", p.Tokens[len(p.Tokens)-p.Drafts:])
		}
		text.WriteString("\n")
	}
	return text.String()
}

func (m *machine) update(stop []string) string {
	var sampled []scheduler.Sampled
	for _, p := range m.last.Parts {
		if !p.Sample {
			continue
		}
		token := int32(50)
		if slices.Contains(stop, string(rune(p.ID))) {
			token = eog
		}
		guesses := p.Tokens[len(p.Tokens)-p.Drafts:]
		sampled = append(sampled, scheduler.Sampled{ID: p.ID, Token: token})
		for len(guesses) > 0 && guesses[0] == token {
			guesses = guesses[1:]
			sampled = append(sampled, scheduler.Sampled{ID: p.ID, Token: token})
		}
	}
	var text strings.Builder
	for _, f := range m.s.Update(m.last, sampled) {
		fmt.Fprintf(&text, "done %c: %s\n", f.ID, f.Reason)
	}
	return text.String()
}

func TestErrorsCanBeAskedFor(t *testing.T) {
	pages, err := kvcache.New(2, 16)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := scheduler.New(scheduler.Config{MaxBatch: 1, StepTokens: 1, LogitRows: 1, ContextLen: 33}, pages); !errors.Is(err, scheduler.ErrConfig) {
		t.Errorf("pool smaller than a context: %v", err)
	}
	s, err := scheduler.New(scheduler.Config{MaxBatch: 1, StepTokens: 1, LogitRows: 1, ContextLen: 32}, pages)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Add(&scheduler.Sequence{Prompt: make([]int32, 32)}); !errors.Is(err, scheduler.ErrLength) {
		t.Errorf("full prompt: %v", err)
	}
}
