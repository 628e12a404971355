package api

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// PathWeftAdapters lists adapters; below it lie those of each adapter.
const PathWeftAdapters = "/weft/v1/adapters"

// MaxAdapters is how many adapters one request may stack. Those that it only lists, at scale 0, may be maxListed.
const (
	MaxAdapters = 16
	maxListed   = 256
)

// MaxAdapterScale bounds the scale of an adapter in a request, up and down.
const MaxAdapterScale = 100

// States of an adapter, in the order in which it goes through them; StateSeen, StateSettling, StateRefused and StateRetiring are those
// of models.
const (
	StateParsed    = "parsed"    // its headers are read, and it waits for a base in service that it fits
	StateChecked   = "checked"   // it fits a base and has not been tested: that happens in idle time, or at first use
	StatePublished = "published" // answers requests
)

// What POST /weft/v1/adapters/NAME/ACTION and POST /weft/v1/models/NAME/ACTION can do.
const (
	ActionLoad   = "load"   // bring it into memory now, an adapter for every base that it is for
	ActionUnload = "unload" // give its memory back as soon as no request holds it; it comes back when one wants it
	ActionPin    = "pin"    // keep it in memory whatever others want it for
	ActionUnpin  = "unpin"
	ActionTest   = "test"   // of an adapter: prove it now
	ActionReload = "reload" // of a model: load file and settings anew, as another generation
)

// AdapterChoice is one adapter that a request wants applied.
type AdapterChoice struct {
	Name  string   `json:"name"`
	Scale *float64 `json:"scale,omitempty"` // nil: 1
}

// LoRAChoice is an adapter as llama-server's requests name it: by the ID of its AdapterStatus.
type LoRAChoice struct {
	ID    int     `json:"id"`
	Scale float64 `json:"scale"`
}

// adapterChoices reads an array of adapters with their scales.
func adapterChoices(dst *[]AdapterChoice) setter {
	return elements(dst, MaxAdapters, func(path string, v value) (c AdapterChoice, err error) {
		err = table{
			"name":  text(&c.Name, MaxNameBytes),
			"scale": number(&c.Scale, -MaxAdapterScale, MaxAdapterScale),
		}.read(path+".", v, nil)
		if err == nil && c.Name == "" {
			err = &FieldError{Field: path + ".name", Want: "the name of an adapter"}
		}
		return c, err
	})
}

// loraChoices reads the same in llama-server's form. Its clients list all adapters there are, those that they do not want with scale 0.
func loraChoices(dst *[]LoRAChoice) setter {
	return elements(dst, maxListed, func(path string, v value) (c LoRAChoice, err error) {
		var id *int
		var scale *float64
		err = table{
			"id":    integer(&id, 0, MaxTokens),
			"scale": number(&scale, -MaxAdapterScale, MaxAdapterScale),
		}.read(path+".", v, nil)
		switch {
		case err != nil:
		case id == nil:
			err = &FieldError{Field: path + ".id", Want: "the id of an adapter"}
		case scale == nil:
			err = &FieldError{Field: path + ".scale", Want: "a number"}
		default:
			c = LoRAChoice{*id, *scale}
		}
		return c, err
	})
}

// elements reads an array of at most limit objects. An empty one is not nil.
func elements[T any](dst *[]T, limit int, read func(path string, v value) (T, error)) setter {
	return func(path string, v value) error {
		if !v.isArray() {
			return &FieldError{Field: path, Want: "an array of objects", Got: v.String()}
		}
		*dst = []T{}
		for i, e := range v.elements() {
			at := fmt.Sprintf("%s[%d]", path, i)
			switch {
			case i == limit:
				return &FieldError{Field: path, Want: fmt.Sprintf("at most %d entries", limit), Got: "more"}
			case !e.isObject():
				return &FieldError{Field: at, Want: "an object", Got: e.String()}
			}
			one, err := read(at, e)
			if err != nil {
				return err
			}
			*dst = append(*dst, one)
		}
		return nil
	}
}

// AdapterStatuses is the answer of GET /weft/v1/adapters.
type AdapterStatuses struct {
	Budget   int64           `json:"budget_bytes"` // 0: without bound
	Resident int64           `json:"resident_bytes"`
	Adapters []AdapterStatus `json:"adapters"`
}

// AdapterStatus is one generation of an adapter, or a name that has none, as the daemon knows it. It is the answer of GET
// /weft/v1/adapters/NAME too.
type AdapterStatus struct {
	ID         int           `json:"id"` // of the name, as long as the daemon runs
	Name       string        `json:"name"`
	Aliases    []string      `json:"aliases,omitempty"`
	State      string        `json:"state"`
	Reason     string        `json:"reason,omitempty"` // why it is not published; beside published, why newer content is not
	Next       string        `json:"next,omitempty"`   // beside published, the state of newer content under the name
	Format     string        `json:"format,omitempty"` // "peft" or "gguf"
	Files      []string      `json:"files,omitempty"`
	Bytes      int64         `json:"bytes"`
	Generation uint64        `json:"generation,omitempty"`
	Digest     string        `json:"digest,omitempty"` // "sha256:..." of the files' content
	Rank       int           `json:"rank,omitempty"`   // the largest of its targets
	Targets    int           `json:"targets,omitempty"`
	DoRA       bool          `json:"dora,omitempty"`
	Activated  bool          `json:"activated,omitempty"` // an aLoRA: works behind its invocation tokens only
	For        string        `json:"for,omitempty"`       // the base that its settings or its own files name
	Bases      []AdapterBase `json:"bases,omitempty"`     // those in service that it is for
	Pinned     bool          `json:"pinned,omitempty"`
	Resident   int64         `json:"resident_bytes,omitempty"`
	Leases     int           `json:"leases"`

	Seen        *time.Time `json:"seen,omitempty"`
	Published   *time.Time `json:"published,omitempty"`
	SeenToReady float64    `json:"seen_to_ready_ms,omitempty"` // from the files' arrival to its publishing
}

// AdapterBase is what is known of an adapter on one base.
type AdapterBase struct {
	Name       string `json:"name"`
	Generation uint64 `json:"generation"` // of the base
	// Difference is how much the adapter changes the logits of a probe prompt there, relative to them; 0: not tested yet.
	Difference float64 `json:"difference,omitempty"`
	Resident   int64   `json:"resident_bytes,omitempty"`
}

// Adapters asks for every adapter the daemon knows.
func (c *Client) Adapters(ctx context.Context) (*AdapterStatuses, error) {
	return call[AdapterStatuses](ctx, c, http.MethodGet, PathWeftAdapters, nil)
}

// Adapter asks for one.
func (c *Client) Adapter(ctx context.Context, name string) (*AdapterStatus, error) {
	return call[AdapterStatus](ctx, c, http.MethodGet, adapterPath(name), nil)
}

// ActOnAdapter does one of the actions to an adapter and returns how it is then.
func (c *Client) ActOnAdapter(ctx context.Context, name, action string) (*AdapterStatus, error) {
	return call[AdapterStatus](ctx, c, http.MethodPost, adapterPath(name)+"/"+action, nil)
}

// UploadAdapter stores r as the adapter called name: a GGUF file, or a tar archive of exactly adapter_config.json and
// adapter_model.safetensors. size is the number of bytes, or -1 where it is not known. expect is the generation that is to be replaced, or 0 for any or none:
// where another is published by then, nothing is stored and the error's status is 412.
func (c *Client) UploadAdapter(ctx context.Context, name string, r io.Reader, size int64, expect uint64) (*Stored, error) {
	req, err := c.request(ctx, http.MethodPut, adapterPath(name), r)
	if err != nil {
		return nil, err
	}
	req.ContentLength = size
	req.Header.Set("Content-Type", "application/octet-stream")
	req.Header.Set("Expect", "100-continue")
	if expect != 0 {
		req.Header.Set("If-Match", `"`+strconv.FormatUint(expect, 10)+`"`)
	}
	return do[Stored](c, req)
}

// DeleteAdapter removes the files of the adapter called name.
func (c *Client) DeleteAdapter(ctx context.Context, name string) error {
	req, err := c.request(ctx, http.MethodDelete, adapterPath(name), nil)
	if err != nil {
		return err
	}
	resp, err := c.send(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

func adapterPath(name string) string { return PathWeftAdapters + "/" + url.PathEscape(name) }
