package main

import (
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/weft-run/weft/daemon/api"
)

// workload is what `weft bench` puts on the daemon.
type workload struct {
	Model       string `json:"model"`
	Requests    int    `json:"requests"`
	Concurrency int    `json:"concurrency"`
	Prompt      int    `json:"prompt_tokens"`
	Generate    int    `json:"generate_tokens"`
	Seed        uint64 `json:"seed"`

	salt string // cache_salt of every request
}

func (a *app) benchCommand() *cobra.Command {
	w := workload{}
	cmd := &cobra.Command{
		Use:   "bench MODEL",
		Short: "put load on the running daemon and measure its answers",
		Long: "bench sends requests with prompts of random words to a model of the running daemon, several at a time, and reports the time to the first\n" +
			"token, the time between tokens and the rate of tokens, with percentiles. The engine alone is measured by `weftd bench FILE`.",
		Args:              arguments(1, 1, "the name of a model"),
		ValidArgsFunction: a.completeModels,
		RunE: func(cmd *cobra.Command, args []string) error {
			w.Model = args[0]
			if w.Requests < 1 || w.Concurrency < 1 || w.Prompt < 1 || w.Generate < 1 {
				return usagef("bench: --requests, --concurrency, --prompt-tokens and --max-tokens must be 1 or more")
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			return a.bench(cmd.Context(), c, w)
		},
	}
	f := cmd.Flags()
	f.IntVarP(&w.Requests, "requests", "n", 32, "requests to send")
	f.IntVarP(&w.Concurrency, "concurrency", "c", 4, "requests under way at a time")
	f.IntVarP(&w.Prompt, "prompt-tokens", "p", 128, "tokens of each prompt")
	f.IntVar(&w.Generate, "max-tokens", 64, "tokens to generate for each; the model's end is passed over")
	f.Uint64Var(&w.Seed, "seed", 1, "seed of the prompts' words")
	return cmd
}

func (a *app) bench(ctx context.Context, c *api.Client, w workload) error {
	w.salt = crand.Text() // or a run would find the prompts of the run before it in the cache
	tokens, err := benchPrompts(ctx, c, w)
	if err != nil {
		return err
	}
	bar := progressbar.DefaultSilent(int64(w.Requests))
	if isTerminal(a.err) {
		bar = progressbar.NewOptions(w.Requests, progressbar.OptionSetWriter(a.err), progressbar.OptionSetDescription("requests"),
			progressbar.OptionShowCount(), progressbar.OptionClearOnFinish(), progressbar.OptionSetWidth(30))
	}
	samples := make([]sample, w.Requests)
	next := make(chan int)
	var workers sync.WaitGroup
	started := time.Now()
	for range min(w.Concurrency, w.Requests) {
		workers.Go(func() {
			for i := range next {
				samples[i] = measure(ctx, c, w, tokens[i])
				_ = bar.Add(1)
			}
		})
	}
feed:
	for i := range w.Requests {
		select {
		case next <- i:
		case <-ctx.Done():
			break feed
		}
	}
	close(next)
	workers.Wait()
	wall := time.Since(started)
	_ = bar.Clear()
	if err := ctx.Err(); err != nil {
		return err
	}
	r := summarize(w, samples, wall)
	if a.json {
		err = a.printJSON(r)
	} else {
		err = a.printBench(r)
	}
	if err == nil && r.Failed == w.Requests {
		return fmt.Errorf("all %d requests failed: %s", w.Requests, r.Errors[0].Message)
	}
	return err
}

// benchWords are what prompts are made of: common words, so that every vocabulary knows them.
var benchWords = strings.Fields("the of and to in is that it was for on are with they be at one have this from by hot word but what some we can out " +
	"other were all there when up use your how said an each she which do their time if will way about many then them write would like so these her long")

// benchPrompts makes the prompts as token ids of the wanted length, each with words of its own.
func benchPrompts(ctx context.Context, c *api.Client, w workload) ([][]int32, error) {
	rng := rand.New(rand.NewPCG(w.Seed, 0))
	out := make([][]int32, w.Requests)
	for i := range out {
		// A word is a token or more, so this is enough; only what is needed is kept.
		words := make([]string, w.Prompt+1)
		for k := range words {
			words[k] = benchWords[rng.IntN(len(benchWords))]
		}
		answer, err := c.Tokenize(ctx, api.TokenizeRequest{Model: w.Model, Text: strings.Join(words, " ")})
		if err != nil {
			return nil, err
		}
		if len(answer.Tokens) < w.Prompt {
			return nil, fmt.Errorf("bench: %d words are only %d tokens of %s, wanted %d", len(words), len(answer.Tokens), w.Model, w.Prompt)
		}
		out[i] = answer.Tokens[:w.Prompt]
	}
	return out, nil
}

// sample is what one request took.
type sample struct {
	first  time.Duration   // to the first token
	gaps   []time.Duration // between tokens after it
	total  time.Duration
	tokens int
	err    error
}

// measure sends one request. Tokens that arrive in one chunk share its gap evenly.
func measure(ctx context.Context, c *api.Client, w workload, prompt []int32) (s sample) {
	zero := 0.0
	r := api.CompletionRequest{Model: w.Model, Prompt: api.Tokens(prompt), MaxTokens: &w.Generate}
	r.Temperature, r.IgnoreEOS, r.ReturnTokenIDs = &zero, true, true
	r.CacheSalt = w.salt
	started := time.Now()
	stream, err := c.CompleteStream(ctx, r)
	if err != nil {
		s.err = err
		return s
	}
	defer func() { _ = stream.Close() }()
	last := started
	for chunk, err := range stream.All() {
		if err != nil {
			s.err = err
			return s
		}
		n := 0
		for _, choice := range chunk.Choices {
			n += len(choice.TokenIDs)
		}
		if n == 0 {
			continue
		}
		now := time.Now()
		if s.tokens == 0 {
			s.first = now.Sub(started)
			n, s.tokens = n-1, 1
		}
		for range n {
			s.gaps = append(s.gaps, now.Sub(last)/time.Duration(n))
		}
		s.tokens += n
		last = now
	}
	s.total = time.Since(started)
	if s.tokens == 0 {
		s.err = errors.New("the answer had no tokens")
	}
	return s
}
