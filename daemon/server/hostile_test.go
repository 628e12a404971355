package server

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/weft-run/weft/daemon/api"
	"github.com/weft-run/weft/runtime/engine"
	"github.com/weft-run/weft/runtime/tokenizer"
)

// Tests of this file carry the number of the hostile input that they are; docs/hostile-inputs.md has the list.

// send plays one request to a handler, and returns the status and the error of its answer.
func send(t *testing.T, h http.Handler, path, body string) (int, api.Error) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body)).WithContext(onSocket(t.Context()))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	var answer struct{ Error api.Error }
	if w.Code != http.StatusOK {
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
			t.Fatalf("answer %d %s: %v", w.Code, w.Body, err)
		}
	}
	return w.Code, answer.Error
}

// numericFields lists the fields of a request that are numbers, by its type.
func numericFields(of reflect.Type) (names []string) {
	for i := range of.NumField() {
		f := of.Field(i)
		kind := f.Type
		if kind.Kind() == reflect.Pointer {
			kind = kind.Elem()
		}
		if f.Anonymous {
			names = append(names, numericFields(kind)...)
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if kind.Kind() >= reflect.Int && kind.Kind() <= reflect.Float64 && name != "-" {
			names = append(names, name)
		}
	}
	return names
}

// TestH31NumericExtremes gives every number of every request the values that broke other servers: 400, and the field is named.
func TestH31NumericExtremes(t *testing.T) {
	t.Parallel()
	handler := New(testOptions(newFakeModels(t, map[string]*fakeEngine{"m": {text: " a", finish: engine.FinishStop}})))
	never := []string{
		`"1"`, `"NaN"`, `"Infinity"`, `""`, `[]`, `[1]`, `{}`, `true`, `1e309`, `-1e309`, `1e308`, `-1e308`, `-2.5`, `-9223372036854775808`,
		`-9223372036854775809`, `9223372036854775808`, `18446744073709551615`, `18446744073709551616`, strings.Repeat("9", 400), "1" + strings.Repeat("0", 30) + ".5",
	}
	tested := 0
	for _, c := range []struct {
		path, base string
		of         any
		more       []string // numbers that are no plain field, as a path with %s
	}{
		{api.PathChatCompletions, `{"model":"m","messages":[{"role":"user","content":"x"}],"logprobs":true`, api.ChatRequest{}, []string{"repeat_penalty", "logit_bias", "n"}},
		{api.PathCompletions, `{"model":"m","prompt":"x"`, api.CompletionRequest{}, []string{"repeat_penalty", "logit_bias", "max_completion_tokens", "best_of"}},
		{api.PathCompletions, `{"model":"m"`, struct{}{}, []string{"prompt"}},
		{api.PathDetokenize, `{"model":"m"`, struct{}{}, []string{"tokens"}},
		{api.PathPerplexity, `{"model":"m","text":"some words"`, api.PerplexityRequest{}, nil},
	} {
		for _, field := range append(numericFields(reflect.TypeOf(c.of)), c.more...) {
			for _, v := range never {
				if field == "logit_bias" && v == "-2.5" {
					continue
				}
				value, param := v, field
				switch field {
				case "logit_bias":
					value, param = `{"1":`+v+`}`, `logit_bias["1"]`
				case "prompt", "tokens":
					value, param = `[1,`+v+`]`, field+"[1]"
				}
				tested++
				status, err := send(t, handler, c.path, fmt.Sprintf("%s,%q:%s}", c.base, field, value))
				if status != http.StatusBadRequest || err.Param == nil || *err.Param != param || !strings.Contains(err.Message, "want") || len(err.Message) > 250 {
					t.Errorf("%s with %s = %.40s: answered %d %+v, want 400 that names %s", c.path, field, v, status, err, param)
				}
			}
			if field == "logit_bias" || field == "prompt" || field == "tokens" {
				continue
			}
			for _, v := range []string{"-0", "-0.0", "-0e5", "0e999"} { // zero, where zero is a value of the field
				zero, _ := send(t, handler, c.path, fmt.Sprintf("%s,%q:0}", c.base, field))
				if status, err := send(t, handler, c.path, fmt.Sprintf("%s,%q:%s}", c.base, field, v)); status != zero || status != 200 && *err.Param != field {
					t.Errorf("%s with %s = %s: answered %d %+v, and %d with 0", c.path, field, v, status, err, zero)
				}
			}
			if status, err := send(t, handler, c.path, fmt.Sprintf("%s,%q:NaN}", c.base, field)); status != 400 || *err.Code != api.CodeInvalidBody {
				t.Errorf("%s with %s = NaN: answered %d %+v", c.path, field, status, err)
			}
		}
	}
	if tested < 700 {
		t.Errorf("only %d values were tried", tested)
	}
}

// TestH31LengthsInTheHeader: the numbers that HTTP itself carries.
func TestH31LengthsInTheHeader(t *testing.T) {
	t.Parallel()
	s := serveLive(t, testOptions(newFakeModels(t, map[string]*fakeEngine{"m": {text: " a", finish: engine.FinishStop}})))
	for length, want := range map[string]int{
		"-1": 400, "99999999999999999999": 400, "1e3": 400, "0x10": 400, "NaN": 400, "9223372036854775807": 413, "1, 2": 400,
	} {
		if got := statusOf(t, s.raw(t, "POST /v1/completions HTTP/1.1\r\nHost: weft\r\nContent-Length: "+length+"\r\n\r\n{}")); got != want {
			t.Errorf("Content-Length %s is answered %d, want %d", length, got, want)
		}
	}
}

// TestLimitsAreSettings: each limit of a request's shape is the one that the options name, and its error names the field.
func TestLimitsAreSettings(t *testing.T) {
	t.Parallel()
	o := testOptions(newFakeModels(t, map[string]*fakeEngine{"m": {text: " a", finish: engine.FinishStop}}))
	o.Limits = api.Limits{
		Depth: 5, Text: 10, Messages: 2, Parts: 2, Tools: 1, Prompts: 2, N: 3, Choices: 4, Stops: 2, StopBytes: 4, LogitBias: 2,
	}
	handler := New(o)
	chat := func(messages, more string) string { return `{"model":"m","messages":[` + messages + `]` + more + `}` }
	text := func(prompt, more string) string { return `{"model":"m","prompt":` + prompt + more + `}` }
	const message = `{"role":"user","content":"x"}`
	for _, c := range []struct{ name, path, within, beyond, param, says string }{
		{"depth", "chat/completions", chat(message, `,"x":[[[[]]]]`), chat(message, `,"x":[[[[[]]]]]`), "", "nested 6 deep, limit is 5"},
		{"messages", "chat/completions", chat(message+","+message, ""), chat(message+","+message+","+message, ""), "messages", "at most 2 messages"},
		{
			"parts", "chat/completions", chat(`{"role":"u","content":[{"type":"text","text":"x"},{"type":"text","text":"x"}]}`, ""),
			chat(`{"role":"u","content":[{"type":"text","text":"x"},{"type":"text","text":"x"},{"type":"text","text":"x"}]}`, ""), "messages[0].content[2]", "at most 2 parts",
		},
		{"content", "chat/completions", chat(`{"role":"u","content":"0123456789"}`, ""), chat(`{"role":"u","content":"0123456789x"}`, ""), "messages[0].content", "at most 10 bytes, got a string of 11 bytes"},
		{
			"part", "chat/completions", chat(`{"role":"u","content":[{"type":"text","text":"0123456789"}]}`, ""),
			chat(`{"role":"u","content":[{"type":"text","text":"0123456789x"}]}`, ""), "messages[0].content[0].text", "at most 10 bytes",
		},
		{"tools", "chat/completions", chat(message, `,"tools":[{}]`), chat(message, `,"tools":[{},{}]`), "tools[1]", "at most 1 tools"},
		{"n", "chat/completions", chat(message, `,"n":3`), chat(message, `,"n":4`), "n", "from 1 to 3"},
		{"stops", "chat/completions", chat(message, `,"stop":["a","b"]`), chat(message, `,"stop":["a","b","c"]`), "stop", "at most 2 stop strings"},
		{"stop", "chat/completions", chat(message, `,"stop":"abcd"`), chat(message, `,"stop":"abcde"`), "stop", "at most 4 bytes"},
		{"bias", "chat/completions", chat(message, `,"logit_bias":{"1":1,"2":1}`), chat(message, `,"logit_bias":{"1":1,"2":1,"3":1}`), `logit_bias["3"]`, "at most 2 entries"},
		{"prompts", "completions", text(`["a","b"]`, ""), text(`["a","b","c"]`, ""), "prompt", "at most 2 prompts"},
		{"prompt", "completions", text(`"0123456789"`, ""), text(`"0123456789x"`, ""), "prompt", "at most 10 bytes"},
		{"prompt of several", "completions", text(`["0123456789"]`, ""), text(`["a","0123456789x"]`, ""), "prompt[1]", "at most 10 bytes"},
		{"escapes count as what they are", "completions", text(`"`+strings.Repeat(`\u0061`, 10)+`"`, ""), text(`"`+strings.Repeat(`\u0061`, 11)+`"`, ""), "prompt", "at most 10 bytes"},
		{"choices", "completions", text(`["a","b"]`, `,"n":2`), text(`["a","b"]`, `,"n":3`), "n", "at most 4 choices"},
	} {
		if status, err := send(t, handler, "/v1/"+c.path, c.within); status != 200 {
			t.Errorf("%s: within the limit the answer is %d %+v", c.name, status, err)
		}
		status, err := send(t, handler, "/v1/"+c.path, c.beyond)
		param := ""
		if err.Param != nil {
			param = *err.Param
		}
		if status != 400 || param != c.param || !strings.Contains(err.Message, c.says) {
			t.Errorf("%s: beyond the limit the answer is %d %s: %s", c.name, status, param, err.Message)
		}
	}
	for _, p := range []string{api.PathTokenize, api.PathPerplexity} {
		if status, err := send(t, handler, p, `{"model":"m","text":"0123456789x"}`); status != 400 || err.Param == nil || *err.Param != "text" {
			t.Errorf("%s: answered %d %+v", path.Base(p), status, err)
		}
	}
}

// TestH33StopStrings: 100,000 stop strings are refused before they cost anything, and as many as are allowed, each as long and as
// hostile as it may be, hold up no answer.
func TestH33StopStrings(t *testing.T) {
	t.Parallel()
	o := testOptions(newFakeModels(t, map[string]*fakeEngine{"m": {text: strings.Repeat(" aaaa", 2000), finish: engine.FinishStop}}))
	handler := New(o)
	many := func(n int, one string) string { return strings.TrimSuffix(strings.Repeat(`"`+one+`",`, n), ",") }
	status, err := send(t, handler, api.PathCompletions, `{"model":"m","prompt":"x","stop":[`+many(100_000, "aab")+`]}`)
	if status != 400 || *err.Param != "stop" || !strings.Contains(err.Message, "at most 64 stop strings") {
		t.Errorf("answered %d %+v", status, err)
	}
	status, err = send(t, handler, api.PathCompletions, `{"model":"m","prompt":"x","stop":["`+strings.Repeat("a", 1<<20)+`"]}`)
	if status != 400 || *err.Param != "stop[0]" || len(err.Message) > 200 {
		t.Errorf("a stop string of 1 MiB is answered %d %+v", status, err)
	}
	// The worst for a matcher: each almost matches everywhere.
	worst := strings.Repeat("a", 1022) + "b"
	if status, err := send(t, handler, api.PathCompletions, `{"model":"m","prompt":"x","max_tokens":100000,"stop":[`+many(64, worst)+`]}`); status != 200 {
		t.Errorf("64 stop strings are answered %d %+v", status, err)
	}
}

// TestH34HalfClosed: a client that closes its sending side, before its request, within it or behind it, holds nothing.
func TestH34HalfClosed(t *testing.T) {
	t.Parallel()
	e := &fakeEngine{text: " a b c", endless: true}
	models := newFakeModels(t, map[string]*fakeEngine{"m": e})
	s := serveLive(t, testOptions(models))
	whole := post(api.PathCompletions, `{"model":"m","prompt":"x","stream":true}`)
	for name, request := range map[string]string{
		"nothing": "", "half a header": whole[:30], "half a body": whole[:len(whole)-5], "a whole request": whole,
	} {
		conn, err := net.Dial("unix", s.socket)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		io.WriteString(conn, request)
		if name == "a whole request" {
			eventually(t, "the request is at work", func() bool { return e.busy() > 0 })
		}
		if err := conn.(*net.UnixConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		conn.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := io.Copy(io.Discard, conn); errors.Is(err, context.DeadlineExceeded) || isTimeout(err) {
			t.Errorf("%s: the connection stays open", name)
		}
		eventually(t, "nothing is held", func() bool { return e.busy() == 0 && models.held() == 0 })
	}
}

func isTimeout(err error) bool {
	var late net.Error
	return errors.As(err, &late) && late.Timeout()
}

// TestH34SlowReaderGetsAllOfIt: a client that reads a byte now and then is slow and not dead: it is served to the end.
func TestH34SlowReaderGetsAllOfIt(t *testing.T) {
	t.Parallel()
	models := newFakeModels(t, map[string]*fakeEngine{"m": {text: strings.Repeat(" Lily", 3000), finish: engine.FinishStop}})
	s := serveLive(t, testOptions(models))
	conn := s.raw(t, post(api.PathCompletions, `{"model":"m","prompt":"x","max_tokens":100000,"logprobs":5,"stream":true}`))
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	var tail []byte
	for i := 0; ; i++ {
		b := make([]byte, 8<<10)
		if i < 20 {
			b = b[:1]
			<-tick.C
		}
		n, err := conn.Read(b)
		tail = append(tail, b[:n]...)
		tail = tail[max(0, len(tail)-100):]
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(tail), "data: [DONE]") {
			break
		}
	}
}

// TestH35SplitCharacters: tokens that are single bytes of characters. No chunk has half a character, nothing is lost, and what is cut
// off at the end is one U+FFFD.
func TestH35SplitCharacters(t *testing.T) {
	t.Parallel()
	const text = "é€😀 日本 и\u0301 👩‍👩‍👧"
	models := newFakeModels(t, map[string]*fakeEngine{"m": {text: text, finish: engine.FinishStop}})
	s := serveLive(t, testOptions(models))
	whole := len(models.tok.Encode(text, tokenizer.EncodeOptions{}))
	if whole <= utf8.RuneCountInString(text)+5 {
		t.Fatalf("%d tokens: the vocabulary has these characters, and nothing is split", whole)
	}
	stream := func(limit int, stop string) (string, string) {
		t.Helper()
		conn := s.raw(t, post(api.PathCompletions, fmt.Sprintf(`{"model":"m","prompt":"x","max_tokens":%d,"stream":true%s}`, limit, stop)))
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var out strings.Builder
		finish := ""
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			data, ok := strings.CutPrefix(lines.Text(), "data: ")
			if !ok || data == "[DONE]" {
				continue
			}
			if !utf8.ValidString(data) {
				t.Errorf("chunk %q is not UTF-8", data)
			}
			var chunk api.Completion
			if err := json.Unmarshal([]byte(data), &chunk); err != nil {
				t.Fatal(err)
			}
			for _, c := range chunk.Choices {
				out.WriteString(c.Text)
				if c.FinishReason != nil {
					finish = *c.FinishReason
				}
			}
		}
		return strings.TrimPrefix(out.String(), " "), finish
	}
	for limit := 1; limit <= whole+1; limit++ {
		got, finish := stream(limit, "")
		kept := strings.TrimSuffix(got, "\uFFFD")
		if !strings.HasPrefix(text, kept) || len(got)-len(kept) > len("\uFFFD") || strings.Contains(kept, "\uFFFD") {
			t.Errorf("of %d tokens the text is %q", limit, got)
		}
		if limit > whole && (got != text || finish != "stop") {
			t.Errorf("the whole text is %q, ended by %s", got, finish)
		}
	}
	if got, finish := stream(whole, `,"stop":"€"`); got != "é" || finish != "stop" {
		t.Errorf("a stop string of split bytes leaves %q, ended by %s", got, finish)
	}
}
