package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"syscall"
	"time"
)

// maxErrorBytes bounds what the client reads of an error's body: a stranger may answer on that address.
const maxErrorBytes = 1 << 20

// Client speaks to one daemon. It is safe for concurrent use. It sets no time limits of its own: contexts do.
type Client struct {
	host      Host
	base      string
	http      *http.Client
	UserAgent string
}

// NewClient returns a client for the daemon at h. It connects when it is used.
func NewClient(h Host) *Client {
	transport := &http.Transport{
		MaxIdleConnsPerHost: 64,
		IdleConnTimeout:     90 * time.Second,
		DisableCompression:  true,
		// Without it the body of an upload is sent at once, and a refusal is lost behind a broken pipe.
		ExpectContinueTimeout: 5 * time.Second,
	}
	base := h.URL
	if h.Socket != "" {
		base = "http://weft" // the name is never looked up
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", h.Socket)
		}
	}
	return &Client{host: h, base: base, http: &http.Client{Transport: transport}, UserAgent: "weft"}
}

// Host is where the client's daemon listens.
func (c *Client) Host() Host { return c.host }

// Close drops idle connections. Requests under way go on.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// UnreachableError says that no daemon answered, and what to do about it.
type UnreachableError struct {
	Host Host
	Err  error
}

func (e *UnreachableError) Error() string {
	hint := "is weftd running? `systemctl status weftd` tells, `--host` or WEFT_HOST says where else to look"
	switch {
	case errors.Is(e.Err, os.ErrNotExist):
		hint = "there is no such socket; " + hint
	case errors.Is(e.Err, os.ErrPermission):
		hint = "this user may not open the socket; join its group: `sudo usermod -aG weft $USER`, then log in again"
	case errors.Is(e.Err, syscall.ECONNREFUSED):
		hint = "nothing listens there; " + hint
	}
	return fmt.Sprintf("cannot reach the daemon at %s: %s", e.Host, hint)
}

func (e *UnreachableError) Unwrap() error { return e.Err }

// Models asks for OpenAI's list of models.
func (c *Client) Models(ctx context.Context) (*ModelList, error) {
	return call[ModelList](ctx, c, http.MethodGet, PathModels, nil)
}

// Chat asks for a chat completion in one piece.
func (c *Client) Chat(ctx context.Context, r ChatRequest) (*ChatCompletion, error) {
	r.Stream, r.StreamOptions = false, nil
	return call[ChatCompletion](ctx, c, http.MethodPost, PathChatCompletions, &r)
}

// ChatStream asks for a chat completion token by token. The caller closes the stream.
func (c *Client) ChatStream(ctx context.Context, r ChatRequest) (*Stream[ChatChunk], error) {
	r.Stream = true
	return open[ChatChunk](ctx, c, http.MethodPost, PathChatCompletions, &r)
}

// Complete asks for a text completion in one piece.
func (c *Client) Complete(ctx context.Context, r CompletionRequest) (*Completion, error) {
	r.Stream, r.StreamOptions = false, nil
	return call[Completion](ctx, c, http.MethodPost, PathCompletions, &r)
}

// CompleteStream asks for a text completion token by token. The caller closes the stream.
func (c *Client) CompleteStream(ctx context.Context, r CompletionRequest) (*Stream[Completion], error) {
	r.Stream = true
	return open[Completion](ctx, c, http.MethodPost, PathCompletions, &r)
}

// Status asks how the daemon is.
func (c *Client) Status(ctx context.Context) (*Status, error) {
	return call[Status](ctx, c, http.MethodGet, PathStatus, nil)
}

// ModelStatuses asks for every model the daemon knows, served or not.
func (c *Client) ModelStatuses(ctx context.Context) (*ModelStatuses, error) {
	return call[ModelStatuses](ctx, c, http.MethodGet, PathWeftModels, nil)
}

// ModelStatus asks for one model, by its name or an alias.
func (c *Client) ModelStatus(ctx context.Context, name string) (*ModelStatus, error) {
	return call[ModelStatus](ctx, c, http.MethodGet, modelPath(name), nil)
}

// ActOnModel does one of the actions to a model and returns how it is then. Loading waits until it is served or refused.
func (c *Client) ActOnModel(ctx context.Context, name, action string) (*ModelStatus, error) {
	return call[ModelStatus](ctx, c, http.MethodPost, modelPath(name)+"/"+action, nil)
}

func modelPath(name string) string { return PathWeftModels + "/" + url.PathEscape(name) }

// Tokenize turns text into token ids.
func (c *Client) Tokenize(ctx context.Context, r TokenizeRequest) (*TokenizeResponse, error) {
	return call[TokenizeResponse](ctx, c, http.MethodPost, PathTokenize, &r)
}

// Detokenize turns token ids into text.
func (c *Client) Detokenize(ctx context.Context, r DetokenizeRequest) (*DetokenizeResponse, error) {
	return call[DetokenizeResponse](ctx, c, http.MethodPost, PathDetokenize, &r)
}

// Render asks for a chat as the model's template renders it.
func (c *Client) Render(ctx context.Context, r RenderRequest) (*RenderResponse, error) {
	return call[RenderResponse](ctx, c, http.MethodPost, PathRender, &r)
}

// Perplexity asks how well the model predicts a text.
func (c *Client) Perplexity(ctx context.Context, r PerplexityRequest) (*PerplexityResponse, error) {
	return call[PerplexityResponse](ctx, c, http.MethodPost, PathPerplexity, &r)
}

// Verify asks the daemon to compute a receipt again.
func (c *Client) Verify(ctx context.Context, r VerifyRequest) (*Verification, error) {
	return call[Verification](ctx, c, http.MethodPost, PathVerify, &r)
}

// Version asks for the daemon's version.
func (c *Client) Version(ctx context.Context) (*Version, error) {
	return call[Version](ctx, c, http.MethodGet, PathVersion, nil)
}

// Ready returns nil once the daemon answers requests; an *Error of status 503 while it starts or drains.
func (c *Client) Ready(ctx context.Context) error {
	_, err := call[Health](ctx, c, http.MethodGet, PathReady, nil)
	return err
}

// Upload stores r as the model called name, replacing one of that name. size is the number of bytes, or -1 where it is not known.
func (c *Client) Upload(ctx context.Context, name string, r io.Reader, size int64) (*Stored, error) {
	req, err := c.request(ctx, http.MethodPut, modelPath(name), r)
	if err != nil {
		return nil, err
	}
	req.ContentLength = size
	req.Header.Set("Content-Type", "application/octet-stream")
	req.Header.Set("Expect", "100-continue") // so that a refusal comes before gigabytes are sent
	return do[Stored](c, req)
}

// Delete removes the file of the model called name.
func (c *Client) Delete(ctx context.Context, name string) error {
	req, err := c.request(ctx, http.MethodDelete, modelPath(name), nil)
	if err != nil {
		return err
	}
	resp, err := c.send(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

func (c *Client) request(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", c.UserAgent)
	return req, nil
}

// send sends req and turns every answer that is no success into an *Error.
func (c *Client) send(req *http.Request) (*http.Response, error) {
	resp, err := c.http.Do(req)
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) && op.Op == "dial" {
			return nil, &UnreachableError{Host: c.host, Err: op.Err}
		}
		return nil, err
	}
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBytes))
	var wire ErrorResponse
	if json.Unmarshal(body, &wire) != nil || wire.Error == nil {
		wire.Error = &Error{Message: fmt.Sprintf("%s answered %s", c.host, resp.Status), Type: TypeServer}
	}
	wire.Error.Status = resp.StatusCode
	wire.Error.RequestID = resp.Header.Get("X-Request-Id")
	if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && s >= 0 {
		wire.Error.RetryAfter = time.Duration(s) * time.Second
	}
	return nil, wire.Error
}

// jsonRequest makes a request whose body is in as JSON, or that has none where in is nil.
func jsonRequest(ctx context.Context, c *Client, method, path string, in any) (*http.Request, error) {
	if in == nil {
		return c.request(ctx, method, path, nil)
	}
	b, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	req, err := c.request(ctx, method, path, bytes.NewReader(b))
	if err == nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, err
}

func call[T any](ctx context.Context, c *Client, method, path string, in any) (*T, error) {
	req, err := jsonRequest(ctx, c, method, path, in)
	if err != nil {
		return nil, err
	}
	return do[T](c, req)
}

func do[T any](c *Client, req *http.Request) (*T, error) {
	resp, err := c.send(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	out := new(T)
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return nil, fmt.Errorf("api: answer of %s: %w", req.URL.Path, err)
	}
	return out, nil
}

func open[T any](ctx context.Context, c *Client, method, path string, in any) (*Stream[T], error) {
	req, err := jsonRequest(ctx, c, method, path, in)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "text/event-stream")
	resp, err := c.send(req)
	if err != nil {
		return nil, err
	}
	return newStream[T](resp), nil
}
