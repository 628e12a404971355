package engine

import (
	"errors"
	"slices"
	"testing"

	"github.com/weft-run/weft/runtime/scheduler"
)

// prophet guesses what the fake model will say to any prompt; spoil may change the guesses.
func prophet(maxTokens, contextLen, ahead int, spoil func(guesses []int32)) func(*Stream, []scheduler.Sampled) []int32 {
	have := map[*Stream]int{}
	return func(s *Stream, got []scheduler.Sampled) []int32 {
		have[s] += len(got)
		all, _ := expect(s.request.Prompt, maxTokens, contextLen, s.request.IgnoreEOS)
		guesses := slices.Clone(all[have[s]:min(have[s]+ahead, len(all))])
		spoil(guesses)
		return guesses
	}
}

// Right guesses save steps and change no token, whatever ends the sequence.
func TestRightGuessesSaveSteps(t *testing.T) {
	for name, req := range map[string]Request{
		"wanted length": {Prompt: prompt(5, 2), MaxTokens: 30, IgnoreEOS: true},
		"context":       {Prompt: prompt(20, 3), IgnoreEOS: true},
		"one token":     {Prompt: prompt(5, 2), MaxTokens: 1},
		"end token":     {Prompt: prompt(4, 1)},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, func(c *Config) {
				c.guesses = prophet(req.MaxTokens, 64, 7, func([]int32) {})
			})
			want, reason := expect(req.Prompt, req.MaxTokens, 64, req.IgnoreEOS)
			s := f.submit(t, req)
			if got := read(t, s); !slices.Equal(got, want) || s.Result().FinishReason != reason {
				t.Errorf("tokens %v, %s, want %v, %s", got, s.Result().FinishReason, want, reason)
			}
			eventually(t, "the step to be counted", func() bool { return f.Stats().Running == 0 })
			// Two steps at most compute the prompt; each of the others gives eight tokens while so many are left.
			if steps, most := f.Stats().Steps, uint64(3+len(want)/8); steps > most {
				t.Errorf("%d steps for %d tokens", steps, len(want))
			}
			if r, e := s.Result(), f.Stats(); r.AcceptedTokens > r.DraftedTokens || len(want) > 2 && r.AcceptedTokens == 0 ||
				e.Drafted != uint64(r.DraftedTokens) || e.Accepted != uint64(r.AcceptedTokens) {
				t.Errorf("%+v, %+v", r, e)
			}
		})
	}
}

// A guess that the model cannot compute harms nobody: without it the row would not have been there.
func TestAGuessWithoutFiniteLogits(t *testing.T) {
	const poison = 62
	for at := range 4 {
		f := newFake(t, func(c *Config) {
			c.Model.(*fakeModel).poison = poison
			c.guesses = prophet(20, 64, 6, func(guesses []int32) {
				if len(guesses) > at {
					guesses[at] = poison
				}
			})
		})
		want, _ := expect(prompt(5, 2), 20, 64, true)
		if slices.Contains(want, poison) {
			t.Fatal("choose another prompt")
		}
		if got := read(t, f.submit(t, Request{Prompt: prompt(5, 2), MaxTokens: 20, IgnoreEOS: true})); !slices.Equal(got, want) {
			t.Errorf("poison at guess %d: tokens %v, want %v", at, got, want)
		}
	}
}

// A token that is sampled and has no finite logits behind it ends its stream with the tokens up to it, guessed or not.
func TestARightGuessWithoutFiniteLogits(t *testing.T) {
	want, _ := expect(prompt(5, 2), 20, 64, true)
	first := slices.IndexFunc(want, func(id int32) bool { return !slices.Contains(prompt(5, 2), id) && id != want[0] })
	poison := want[first]
	for _, ahead := range []int{0, 3, 12} {
		f := newFake(t, func(c *Config) {
			c.Model.(*fakeModel).poison = poison
			c.guesses = prophet(20, 64, ahead, func([]int32) {})
		})
		s := f.submit(t, Request{Prompt: prompt(5, 2), MaxTokens: 20, IgnoreEOS: true})
		got, err := drain(testContext(t), s)
		if lost := (*NonFiniteError)(nil); !slices.Equal(got, want[:first+1]) || !errors.As(err, &lost) || lost.Position != 5+first {
			t.Errorf("%d guesses: tokens %v, %v; want %v and an error at position %d", ahead, got, err, want[:first+1], 5+first)
		}
	}
}

// A reader's buffer is never given more than it holds.
func TestGuessesForASmallBuffer(t *testing.T) {
	for buffer := 1; buffer < 6; buffer++ {
		f := newFake(t, func(c *Config) {
			c.StreamTokens = buffer
			c.guesses = prophet(0, 64, 15, func([]int32) {})
		})
		want, _ := expect(prompt(5, 2), 0, 64, true)
		if got := read(t, f.submit(t, Request{Prompt: prompt(5, 2), IgnoreEOS: true})); !slices.Equal(got, want) {
			t.Errorf("buffer of %d: tokens %v, want %v", buffer, got, want)
		}
	}
}
