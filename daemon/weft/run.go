package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/weft-run/weft/daemon/api"
)

// maxPromptBytes bounds a prompt from stdin; the daemon has a limit of its own that is lower.
const maxPromptBytes = 256 << 20

// defaultRawTokens is what --max-tokens means for a completion: text that is continued may never end by itself.
const defaultRawTokens = 512

// asking is what `weft run` is told about a request.
type asking struct {
	raw, noEcho, stats bool
	system             string
	receipt            string // file to write it to
	session            string
	maxTokens          int
	sampling           samplingFlags
}

func (a *app) runCommand() *cobra.Command {
	var q asking
	cmd := &cobra.Command{
		Use:   "run MODEL [PROMPT]",
		Short: "ask a model and stream its answer",
		Long: "run sends PROMPT to a model as a chat message, or with --raw as text to be continued, and streams the answer to stdout.\n" +
			"Without PROMPT, or where it is -, the prompt is read from stdin. --json prints the daemon's whole answer when it is there.",
		Example: "  weft run stories260K --raw \"Once upon a time\"\n  weft run SmolLM2 --system \"Answer in one word.\" \"What is the capital of France?\"\n" +
			"  git diff | weft run SmolLM2 --temp 0 --max-tokens 200",
		Args:              arguments(1, 2, "the name of a model and one prompt (in quotes)"),
		ValidArgsFunction: a.completeModels,
		RunE: func(cmd *cobra.Command, args []string) error {
			prompt, err := a.prompt(args[1:])
			if err != nil {
				return err
			}
			if q.raw && q.system != "" {
				return usagef("--system belongs to a chat; with --raw the prompt is all that the model sees")
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			sampling := q.sampling.given(cmd.Flags())
			sampling.Receipt, sampling.Session = q.receipt != "", q.session
			if q.raw {
				return a.complete(cmd.Context(), c, q, completionRequest(cmd, q, args[0], prompt, sampling))
			}
			return a.chat(cmd.Context(), c, q, chatRequest(cmd, q, args[0], prompt, sampling))
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&q.raw, "raw", false, "continue the prompt as it is, without the model's chat template")
	flags.BoolVar(&q.noEcho, "no-echo", false, "with --raw: do not print the prompt before its continuation")
	flags.StringVar(&q.system, "system", "", "a system message before the prompt")
	flags.IntVar(&q.maxTokens, "max-tokens", 0, fmt.Sprintf("the most tokens to generate (default: to the end of the answer or the context; %d with --raw)", defaultRawTokens))
	flags.StringVar(&q.receipt, "receipt", "", "write a receipt of the answer to this `FILE`; weft verify computes it again")
	flags.StringVar(&q.session, "session", "", "keep the cache of this conversation on disk under `NAME`; weft sessions lists what is kept")
	flags.BoolVar(&q.stats, "stats", false, "print token counts and times to stderr")
	q.sampling.add(flags)
	return cmd
}

// prompt returns the prompt of the arguments or of stdin. One line break at the end of stdin is not part of it: echo adds one.
func (a *app) prompt(args []string) (string, error) {
	if len(args) == 1 && args[0] != "-" {
		return args[0], nil
	}
	if len(args) == 0 && isTerminal(a.in) {
		return "", usagef("run: no prompt; give one in quotes, or on stdin")
	}
	text, err := io.ReadAll(io.LimitReader(a.in, maxPromptBytes+1))
	switch {
	case err != nil:
		return "", fmt.Errorf("reading the prompt: %w", err)
	case len(text) > maxPromptBytes:
		return "", fmt.Errorf("the prompt on stdin is larger than %s", bytesText(maxPromptBytes))
	case !utf8.Valid(text):
		return "", errors.New("the prompt on stdin is not UTF-8 text")
	}
	prompt := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	if prompt == "" {
		return "", usagef("run: the prompt on stdin is empty")
	}
	return prompt, nil
}

func chatRequest(cmd *cobra.Command, q asking, model, prompt string, s api.Sampling) api.ChatRequest {
	r := api.ChatRequest{Model: model, Sampling: s}
	if q.system != "" {
		r.Messages = append(r.Messages, api.NewMessage("system", q.system))
	}
	r.Messages = append(r.Messages, api.NewMessage("user", prompt))
	if cmd.Flags().Changed("max-tokens") {
		r.MaxCompletionTokens = &q.maxTokens
	}
	return r
}

func completionRequest(cmd *cobra.Command, q asking, model, prompt string, s api.Sampling) api.CompletionRequest {
	if !cmd.Flags().Changed("max-tokens") {
		q.maxTokens = defaultRawTokens
	}
	return api.CompletionRequest{Model: model, Prompt: api.Text(prompt), Sampling: s, MaxTokens: &q.maxTokens}
}

func (a *app) chat(ctx context.Context, c *api.Client, q asking, r api.ChatRequest) error {
	if a.json {
		answer, err := c.Chat(ctx, r)
		if err == nil {
			err = writeReceipt(q.receipt, answer.Weft)
		}
		if err != nil {
			return err
		}
		return a.printJSON(answer)
	}
	r.StreamOptions = &api.StreamOptions{IncludeUsage: true}
	stream, err := c.ChatStream(ctx, r)
	if err != nil {
		return err
	}
	defer func() { _ = stream.Close() }()
	p := a.newPrinter(q)
	for chunk, err := range stream.All() {
		if err != nil {
			return p.broken(err)
		}
		for _, choice := range chunk.Choices {
			if choice.Delta.Content != nil {
				p.text(*choice.Delta.Content)
			}
		}
		p.account(chunk.Usage, chunk.Weft)
		if p.err != nil {
			return p.err
		}
	}
	return p.end()
}

func (a *app) complete(ctx context.Context, c *api.Client, q asking, r api.CompletionRequest) error {
	if a.json {
		r.Echo = !q.noEcho
		answer, err := c.Complete(ctx, r)
		if err == nil {
			err = writeReceipt(q.receipt, answer.Weft)
		}
		if err != nil {
			return err
		}
		return a.printJSON(answer)
	}
	r.StreamOptions = &api.StreamOptions{IncludeUsage: true}
	stream, err := c.CompleteStream(ctx, r)
	if err != nil {
		return err
	}
	defer func() { _ = stream.Close() }()
	p := a.newPrinter(q)
	if !q.noEcho {
		p.text(r.Prompt.Texts[0])
	}
	for chunk, err := range stream.All() {
		if err != nil {
			return p.broken(err)
		}
		for _, choice := range chunk.Choices {
			p.text(choice.Text)
		}
		p.account(chunk.Usage, chunk.Weft)
		if p.err != nil {
			return p.err
		}
	}
	return p.end()
}

// printer writes an answer as it comes.
type printer struct {
	a        *app
	terminal bool
	stats    bool
	receipt  string // file to write it to
	last     byte   // last byte written
	usage    *api.Usage
	info     *api.Info
	err      error
}

func (a *app) newPrinter(q asking) *printer {
	return &printer{a: a, terminal: isTerminal(a.out), stats: q.stats, receipt: q.receipt, last: '\n'}
}

// text writes a piece of the answer. On a terminal control characters are replaced: a model may write any.
func (p *printer) text(s string) {
	if s == "" || p.err != nil {
		return
	}
	if p.terminal {
		s = strings.Map(func(r rune) rune {
			if r != '\n' && r != '\t' && (r < ' ' || r >= 0x7f && r < 0xa0) {
				return utf8.RuneError
			}
			return r
		}, s)
	}
	_, p.err = io.WriteString(p.a.out, s)
	p.last = s[len(s)-1]
}

func (p *printer) account(u *api.Usage, i *api.Info) {
	if u != nil {
		p.usage = u
	}
	if i != nil {
		p.info = i
	}
}

// broken ends the line before an error is reported.
func (p *printer) broken(err error) error {
	if p.last != '\n' {
		p.text("\n")
	}
	return err
}

func (p *printer) end() error {
	if p.last != '\n' {
		p.text("\n")
	}
	if p.err == nil && p.stats && p.usage != nil && p.info != nil {
		t, n := p.info.Timings, p.usage.CompletionTokens
		rate := 0.0
		if decode := t.Total - t.FirstToken; decode > 0 && n > 1 {
			rate = float64(n-1) / decode * 1000
		}
		fmt.Fprintf(p.a.err, "%d prompt tokens, %d generated; first token %s, total %s, %.1f tokens/s; seed %d\n",
			p.usage.PromptTokens, n, millisText(t.FirstToken), millisText(t.Total), rate, p.info.Seed)
	}
	if p.err == nil {
		p.err = writeReceipt(p.receipt, p.info)
	}
	return p.err
}

// writeReceipt writes the receipt of an answer to a file, where one is wanted.
func writeReceipt(path string, info *api.Info) error {
	switch {
	case path == "":
		return nil
	case info == nil || info.Receipt == nil:
		return errors.New("the daemon gave no receipt: it is older than this program")
	}
	text, err := json.MarshalIndent(info.Receipt, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o600) // it holds the conversation
}
