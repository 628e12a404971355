package daemon

import (
	"context"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weft-run/weft/runtime/modeltest/synthetic"
)

// TestMeasureHealth measures how long /healthz takes while a prompt of 4096 tokens is computed, asked every 5 ms by another process: this
// one. It runs where WEFT_MEASURE names a model file, or is "1" for one that it writes (640 MB); see docs/performance.md.
func TestMeasureHealth(t *testing.T) {
	model := os.Getenv("WEFT_MEASURE")
	if model == "" {
		t.Skip("WEFT_MEASURE is not set: it measures a quiet machine for a minute")
	}
	dir := dataDir(t)
	must(t, os.Mkdir(filepath.Join(dir, "models"), 0o755))
	if model == "1" {
		m, err := synthetic.Parse("1.1b:q4_0")
		must(t, err)
		must(t, m.WriteFile(t.Context(), filepath.Join(dir, "models", "m.gguf")))
	} else {
		must(t, os.Symlink(model, filepath.Join(dir, "models", "m.gguf")))
	}
	program := filepath.Join(dir, "weftd")
	build, err := exec.Command("go", "build", "-o", program, "./weftd").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, build)
	}
	socket := filepath.Join(dir, "s")
	daemon := exec.Command(program, "--config", "", "--data-dir", dir, "--listen", "unix://"+socket, "--threads", "2", "--ctx", "8192", "--log-level", "warn")
	daemon.Stderr = os.Stderr
	daemon.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "WEFT_") })
	must(t, daemon.Start())
	defer func() {
		_ = daemon.Process.Signal(os.Interrupt)
		_ = daemon.Wait()
	}()
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	get := func(path string) (int, string) {
		r, err := client.Get("http://weft" + path)
		if err != nil {
			return 0, err.Error()
		}
		defer r.Body.Close()
		body, _ := io.ReadAll(r.Body)
		return r.StatusCode, string(body)
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); ; <-tick.C {
		if _, body := get("/v1/models"); strings.Contains(body, `"m"`) {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("the model is not served: %s", body)
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	ids := make([]int32, 4096)
	for i := range ids {
		ids[i] = 400 + random.Int32N(30000)
	}
	body, err := json.Marshal(map[string]any{"model": "m", "prompt": ids, "max_tokens": 1})
	must(t, err)
	ended := make(chan error, 1)
	started := time.Now()
	go func() {
		r, err := client.Post("http://weft/v1/completions", "application/json", strings.NewReader(string(body)))
		if err == nil {
			answer, _ := io.ReadAll(r.Body)
			r.Body.Close()
			if r.StatusCode != http.StatusOK {
				t.Errorf("status %d: %s", r.StatusCode, answer)
			}
		}
		ended <- err
	}()
	var took []time.Duration
	for running := true; running; {
		select {
		case err := <-ended:
			must(t, err)
			running = false
		case <-tick.C:
			asked := time.Now()
			if status, text := get("/healthz"); status != http.StatusOK {
				t.Fatalf("/healthz gives %d: %s", status, text)
			}
			took = append(took, time.Since(asked))
		}
	}
	spent := time.Since(started)
	slices.Sort(took)
	at := func(part float64) time.Duration {
		return took[int(part*float64(len(took)-1))].Round(10 * time.Microsecond)
	}
	t.Logf("prefill of %d tokens took %v (%.0f tokens/s); %d answers of /healthz: p50 %v, p99 %v, most %v",
		len(ids), spent.Round(time.Millisecond), float64(len(ids))/spent.Seconds(), len(took), at(0.5), at(0.99), at(1))
	if at(0.99) > 10*time.Millisecond {
		t.Errorf("p99 is %v, above 10 ms", at(0.99))
	}
}
