package chat

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weft-run/weft/runtime/gguf"
	"github.com/weft-run/weft/runtime/modeltest"
)

func mustNew(t testing.TB, source string) *Template {
	t.Helper()
	tmpl, err := New(source, Options{Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return tmpl
}

// The template kept in testdata is the one the model carries.
func TestSmolLM2CarriesItsTemplate(t *testing.T) {
	f, err := gguf.Open(modeltest.File(t, "SmolLM2-135M-Instruct.Q4_1.gguf"), gguf.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got, err := f.Meta().Str("tokenizer.chat_template", "")
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/templates/smollm2.jinja")
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the model carries %q", got)
	}
}

// Every template there is by name renders a conversation in its format, and a vocabulary with its tokens leads to it.
func TestFallback(t *testing.T) {
	in := Input{AddGenerationPrompt: true}
	for i, content := range []string{"S", "hi", "yes", "no"} {
		role := []string{"system", "user", "assistant", "user"}[i]
		in.Messages = append(in.Messages, map[string]any{"role": role, "content": content})
	}
	for _, c := range []struct{ name, tokens, want string }{
		{"chatml", "<|im_start|> <|im_end|>", "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\nyes<|im_end|>\n<|im_start|>user\nno<|im_end|>\n<|im_start|>assistant\n"},
		{"gemma", "<start_of_turn> <end_of_turn>", "<s><start_of_turn>user\nS\n\nhi<end_of_turn>\n<start_of_turn>model\nyes<end_of_turn>\n<start_of_turn>user\nno<end_of_turn>\n<start_of_turn>model\n"},
		{"llama3", "<|start_header_id|> <|end_header_id|> <|eot_id|>", "<s><|start_header_id|>system<|end_header_id|>\n\nS<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nhi<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nyes<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nno<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"},
		{"phi3", "<|user|> <|assistant|> <|end|>", "<|system|>\nS<|end|>\n<|user|>\nhi<|end|>\n<|assistant|>\nyes<|end|>\n<|user|>\nno<|end|>\n<|assistant|>\n"},
		{"mistral", "[INST] [/INST]", "<s>[INST] S\n\nhi [/INST] yes</s>[INST] no [/INST]"},
		{"deepseek", "<｜User｜> <｜Assistant｜>", "<s>S<｜User｜>hi<｜Assistant｜>yes<｜end▁of▁sentence｜><｜User｜>no<｜Assistant｜>"},
		{"granite", "<|start_of_role|> <|end_of_role|>", "<|start_of_role|>system<|end_of_role|>S<|end_of_text|>\n<|start_of_role|>user<|end_of_role|>hi<|end_of_text|>\n<|start_of_role|>assistant<|end_of_role|>yes<|end_of_text|>\n<|start_of_role|>user<|end_of_role|>no<|end_of_text|>\n<|start_of_role|>assistant<|end_of_role|>"},
		{"command-r", "<|START_OF_TURN_TOKEN|> <|CHATBOT_TOKEN|>", "<s><|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>S<|END_OF_TURN_TOKEN|><|START_OF_TURN_TOKEN|><|USER_TOKEN|>hi<|END_OF_TURN_TOKEN|><|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>yes<|END_OF_TURN_TOKEN|><|START_OF_TURN_TOKEN|><|USER_TOKEN|>no<|END_OF_TURN_TOKEN|><|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tmpl, err := Fallback(c.name, Options{BOS: "<s>", EOS: "</s>"})
			if err != nil {
				t.Fatal(err)
			}
			if got, err := tmpl.Render(t.Context(), in); got != c.want || err != nil {
				t.Errorf("\n got %q, %v\nwant %q", got, err, c.want)
			}
			tokens := strings.Fields(c.tokens)
			if got := Guess(func(token string) bool { return slices.Contains(tokens, token) }); got != c.name {
				t.Errorf("a vocabulary with %s leads to %q", c.tokens, got)
			}
		})
	}
	if got := Guess(func(string) bool { return false }); got != ChatML {
		t.Errorf("a vocabulary without marks leads to %q", got)
	}
	if _, err := Fallback("nope", Options{}); !errors.Is(err, ErrUnknownTemplate) || !strings.Contains(err.Error(), "chatml") {
		t.Errorf("an unknown name gives %v", err)
	}
}

func TestErrorsNameTemplateLineAndReason(t *testing.T) {
	for _, c := range []struct{ name, source, want string }{
		{"parse", "a\nb {{ 1 + }}", `"test": line 2: expected an expression, got the end of the tag`},
		{"statement", "a\n\n{% bogus %}", `"test": line 3: unknown statement 'bogus'`},
		{"include", "{% include 'x' %}", `the statement 'include' is not available: a chat template stands alone`},
		{"filter", "\n{{ 1|nope }}", `"test": line 2: no filter named 'nope'`},
		{"unclosed", "\n\n{% if true %}x", `"test":`},
		{"run", "x\n{{ messages[0].content + none }}", `"test": line 2: unsupported operand`},
		{"multi-line", "{{ 1\n\n\n}}\n{{ 'a' + 1 }}", `"test": line 5: can only concatenate str (not "int") to str`},
		{"nested", "{% for m in messages %}\n{% if true %}\n{{ none.x.y }}\n{% endif %}{% endfor %}", `"test": line 3:`},
		{"method", "{{ messages.append(1) }}", "access to attribute 'append' of 'list' object is unsafe"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tmpl, err := New(c.source, Options{Name: "test"})
			if err == nil {
				_, err = tmpl.Render(t.Context(), Input{Messages: []any{map[string]any{"content": 1}}})
			}
			if !errors.Is(err, ErrTemplate) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

func TestRaiseException(t *testing.T) {
	_, err := mustNew(t, "a\n{% if true %}\n{{ raise_exception('no ' ~ 1) }}{% endif %}").Render(t.Context(), Input{})
	var raised *RaisedError
	if !errors.As(err, &raised) {
		t.Fatalf("got %v", err)
	}
	if *raised != (RaisedError{"test", 3, "no 1"}) {
		t.Errorf("got %+v", *raised)
	}
}

func TestLineEndings(t *testing.T) {
	got, err := mustNew(t, "a\r\n{% if true %}\r\nb\r{{ 'x' }}{% endif %}\r\n").Render(t.Context(), Input{})
	if got != "a\nb\nx" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestStrftime(t *testing.T) {
	at := time.Date(2026, 3, 7, 9, 5, 2, 42_000, time.UTC)
	// The expectations are Python's.
	for format, want := range map[string]string{
		"%d %b %Y": "07 Mar 2026", "%B %d, %Y": "March 07, 2026", "%Y-%m-%d %H:%M:%S.%f": "2026-03-07 09:05:02.000042",
		"%A %a %p %I %j": "Saturday Sat AM 09 066", "%-d/%-m %e": "7/3  7", "%U %W %V %G %u %w": "09 09 10 2026 6 6",
		"%c|%x|%X|%D|%F|%T|%R": "Sat Mar  7 09:05:02 2026|03/07/26|09:05:02|03/07/26|2026-03-07|09:05:02|09:05",
		"100%% %y%n%t%z%Z|":    "100% 26\n\t|", "%": "%",
		"%C|%g|%k|%l|%P|%r": "20|26| 9| 9|am|09:05:02 AM", "%-e|%-k|%-l|%-C|%-g": "7|9|9|20|26",
	} {
		if got := strftime(at, format); got != want {
			t.Errorf("%q gives %q, want %q", format, got, want)
		}
	}
}

// A format becomes up to twelve times as long: one that a template makes of all the text it may have is refused before that (H19).
func TestLongTimeFormatIsRefused(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := mustNew(t, "{{ strftime_now('%c' * 50000000) }}").Render(t.Context(), Input{})
	runtime.ReadMemStats(&after)
	if !errors.Is(err, ErrTemplate) || !strings.Contains(err.Error(), "line 1: strftime_now() takes a format of at most 1024 bytes") {
		t.Errorf("got %v", err)
	}
	if made := (after.TotalAlloc - before.TotalAlloc) >> 20; made > 256 {
		t.Errorf("%d MiB were made of it", made)
	}
}

// FuzzStrftime: whatever a template gives as a format, and whenever, what comes of it is bounded.
func FuzzStrftime(f *testing.F) {
	f.Add("%A %-d %B %Y, %I:%M:%S.%f %p %j %U %W %V %G %u %w %%", int64(1772874302))
	f.Add("%c%x%X%D%F%T%R%r%n%t%z%Z%C%g%k%-k%l%P%-", int64(-62135596800))
	f.Fuzz(func(t *testing.T, format string, at int64) {
		const years = 9999 * 366 * 24 * 60 * 60 // Python knows no later ones
		if out := strftime(time.Unix(at%years, 0).UTC(), format); len(out) > 13*len(format) {
			t.Fatalf("%q becomes %d bytes", format, len(out))
		}
	})
}

// The budget is that of a conversation of ten thousand messages.
func TestLongConversation(t *testing.T) {
	in := Input{AddGenerationPrompt: true, Timeout: time.Minute} // the limits of steps and text are meant, and a busy machine takes its time
	for range 5000 {
		in.Messages = append(in.Messages, map[string]any{"role": "user", "content": "What is it?"}, map[string]any{"role": "assistant", "content": "It is this."})
	}
	for _, name := range []string{"smollm2", "qwen25"} {
		if _, err := loadTemplate(t, name).Render(t.Context(), in); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A rendering ends when its time is over, or when nobody waits for it any more.
func TestTimeAndContextEndARendering(t *testing.T) {
	tmpl := mustNew(t, strings.Repeat("{% for i in range(100000) %}", 4)+strings.Repeat("{% endfor %}", 4))
	tmpl.limits.Steps = 1 << 60
	_, err := tmpl.Render(t.Context(), Input{Timeout: 10 * time.Millisecond})
	if !errors.Is(err, ErrBudget) || !strings.Contains(err.Error(), `"test": line 1: the rendering was stopped: it took longer than 10ms`) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	_, err = tmpl.Render(ctx, Input{})
	if !errors.Is(err, context.Canceled) || errors.Is(err, ErrBudget) {
		t.Errorf("got %v", err)
	}
}

// Only so many renderings of a template go on at once, and who waits for a turn may leave.
func TestRenderingsTakeTurns(t *testing.T) {
	tmpl := mustNew(t, "x")
	for range maxRenderings {
		tmpl.turns <- struct{}{} // others render
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := tmpl.Render(ctx, Input{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	done := make(chan error)
	go func() {
		_, err := tmpl.Render(t.Context(), Input{})
		done <- err
	}()
	<-tmpl.turns // one of them is done
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n := len(tmpl.turns); n != maxRenderings-1 {
		t.Errorf("%d turns are taken, want %d", n, maxRenderings-1)
	}
}

// One template renders in many goroutines at once, each its own conversation.
func TestConcurrentRenderings(t *testing.T) {
	tmpl := loadTemplate(t, "qwen25")
	in := loadConversations(t)["tool_turns"].input(t)
	want, err := tmpl.Render(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 10 {
				if got, err := tmpl.Render(t.Context(), in); got != want || err != nil {
					t.Errorf("got %q, %v", got, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestParseJSON(t *testing.T) {
	v, err := ParseJSON([]byte(`{"b": 1, "a": [1.0, 12345678901234567890, true, null, "é", {}], "b": 2}`))
	if err != nil {
		t.Fatal(err)
	}
	got, err := mustNew(t, "{{ v|tojson }}").Render(t.Context(), Input{Extra: map[string]any{"v": v}})
	if want := `{"b": 2, "a": [1.0, 1.2345678901234567e+19, true, null, "é", {}]}`; got != want || err != nil {
		t.Errorf("got %s, %v", got, err)
	}
	for _, bad := range []string{"", "{", "[1,]", "1 2", strings.Repeat("[", 1000) + strings.Repeat("]", 1000)} {
		if _, err := ParseJSON([]byte(bad)); err == nil {
			t.Errorf("%.20q is taken", bad)
		}
	}
}

func BenchmarkRender(b *testing.B) {
	for _, name := range []string{"smollm2", "qwen3", "llama31"} {
		for _, turns := range []int{1, 100} {
			b.Run(fmt.Sprintf("%s/%d", name, turns), func(b *testing.B) {
				tmpl := loadTemplate(b, name)
				in := Input{AddGenerationPrompt: true}
				for range turns {
					in.Messages = append(in.Messages, map[string]any{"role": "user", "content": "What is it?"}, map[string]any{"role": "assistant", "content": "It is this."})
				}
				for b.Loop() {
					if _, err := tmpl.Render(b.Context(), in); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
