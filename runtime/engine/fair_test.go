package engine

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

// A caller who asks without end does not fill the queue for the others, and is told what its share is.
func TestOneCallerDoesNotFillTheQueue(t *testing.T) {
	f := newFake(t, func(c *Config) { c.MaxBatch, c.MaxQueue, c.StreamTokens = 2, 12, 2 })
	ask := func(caller string) error {
		_, err := f.Submit(Request{Prompt: prompt(3, 1), Caller: caller, IgnoreEOS: true, Sampling: greedy()})
		return err
	}
	var full *QueueFullError
	greedyOnes := 0
	for ; greedyOnes < 100; greedyOnes++ {
		if err := ask("greedy"); errors.As(err, &full) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	// 14 places, of which three are kept.
	if greedyOnes != 11 || full.Mine != 11 || full.Share != 7 {
		t.Errorf("the greedy caller has %d requests: %v", greedyOnes, full)
	}
	for i := range 3 {
		if err := ask(fmt.Sprint("other ", i)); err != nil {
			t.Errorf("another caller: %v", err)
		}
	}
	if err := ask("late"); !errors.As(err, &full) || full.Share != 0 {
		t.Errorf("nothing is left: %v", err)
	}
}

// A deadline ends a request that is at work, one that waits, and one whose reader does not read; one that has passed already costs nothing.
func TestDeadlines(t *testing.T) {
	f := newFake(t, func(c *Config) { c.MaxBatch, c.StreamTokens, c.ReadTimeout = 1, 2, time.Hour })
	submit := func(deadline time.Time) *Stream {
		return f.submit(t, Request{Prompt: prompt(3, 1), IgnoreEOS: true, Deadline: deadline})
	}
	paused := submit(time.Now().Add(30 * time.Millisecond)) // its buffer holds two tokens, and nobody reads
	waiting := submit(time.Now().Add(20 * time.Millisecond))
	past := submit(time.Now().Add(-time.Second))
	for name, s := range map[string]*Stream{"paused": paused, "waiting": waiting, "past": past} {
		<-s.ended
		if ids, err := drain(testContext(t), s); !errors.Is(err, ErrDeadline) || s.Result().FinishReason != FinishError || name == "past" && len(ids) > 0 {
			t.Errorf("%s: %d tokens, %v, %+v", name, len(ids), err, s.Result())
		}
	}
	eventually(t, "an empty engine", func() bool { s := f.Stats(); return s.Queue+s.Running+s.PagesUsed == 0 })
	if got := read(t, submit(time.Now().Add(time.Hour))); len(got) != 61 {
		t.Errorf("%d tokens before a deadline that is far away", len(got))
	}
}

// A context that is full is another end than a completion as long as was asked for.
func TestFullContextIsTold(t *testing.T) {
	for maxTokens, detail := range map[int]string{0: DetailContextFull, 61: "", 62: DetailContextFull, 5: ""} {
		f := newFake(t, nil)
		s := f.submit(t, Request{Prompt: prompt(3, 1), IgnoreEOS: true, MaxTokens: maxTokens})
		read(t, s)
		if r := s.Result(); r.FinishReason != FinishLength || r.FinishDetail != detail {
			t.Errorf("up to %d tokens: %s, %q", maxTokens, r.FinishReason, r.FinishDetail)
		}
	}
}
