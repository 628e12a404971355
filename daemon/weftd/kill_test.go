package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weft-run/weft/daemon/api"
	"github.com/weft-run/weft/runtime/modeltest"
)

// kills says how often a long test kills the daemon: WEFT_KILLS, and a few times without.
func kills(t *testing.T) int {
	t.Helper()
	text := os.Getenv("WEFT_KILLS")
	if text == "" {
		if testing.Short() {
			t.Skip("kills a daemon three times")
		}
		return 3
	}
	n, err := strconv.Atoi(text)
	must(t, err)
	return n
}

// TestLongKills kills the daemon by SIGKILL at random moments under load, swaps and uploads, and starts it again on what is left.
// Each time it must be ready, answer from the built-in model, from one in the folder and from the real one if that was fetched,
// with the right text; and its state must be whole. The clock of a shared machine decides no test: what took
// longer than a second is counted and told.
func TestLongKills(t *testing.T) {
	n := kills(t)
	dir := folder(t)
	models := filepath.Join(dir, "models")
	must(t, os.Mkdir(models, 0o755))
	contents := [][]byte{modeltest.Tiny(modeltest.Spec{Seed: 1, Name: "one"}), modeltest.Tiny(modeltest.Spec{Seed: 2, Name: "two"})}
	must(t, os.WriteFile(filepath.Join(models, "m.gguf"), contents[0], 0o600))
	k := &killed{t: t, dir: dir, known: map[string]string{}, names: []string{"stories260K", "m"}}
	if real := realModel(t); real != "" {
		must(t, os.Symlink(real, filepath.Join(models, "real.gguf")))
		k.names = append(k.names, "real")
	}
	k.learn(contents)

	rng := rand.New(rand.NewPCG(uint64(n), 7))
	var slow, killedEarly int
	var took []time.Duration
	for i := range n {
		p := command(t, k.args()...)
		p.socket, p.client = filepath.Join(dir, "s"), api.NewClient(api.Host{Socket: filepath.Join(dir, "s")})
		must(t, p.cmd.Start())
		go func() { p.done <- p.cmd.Wait() }()
		if rng.IntN(8) == 0 { // on the way up
			<-time.After(time.Duration(rng.IntN(60)) * time.Millisecond)
			killedEarly++
		} else {
			spent := k.serves(p)
			if took = append(took, spent); spent > time.Second {
				slow++
			}
			k.load(p, contents, rng)
		}
		_ = p.cmd.Process.Kill() // load has done so
		p.wait()
		p.client.Close()
		if strings.Contains(p.stderr.String(), "remembered digests") {
			t.Error("a kill damaged the file of digests")
		}
		if t.Failed() {
			t.Fatalf("kill %d; the log of the daemon:\n%s", i, p.stderr.String())
		}
	}
	p := start(t, dir)
	k.serves(p)
	k.wholeState()
	p.stop()
	slices.Sort(took)
	t.Logf("%d kills, %d of them while the daemon started; from start to the last model's answer p50 %v, p99 %v, most %v; %d took more than a second",
		n, killedEarly, took[len(took)/2].Round(time.Millisecond), took[len(took)*99/100].Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond), slow)
}

// realModel is the real model that `make testdata` fetched, or "" where it is absent, which one loud line tells.
func realModel(t *testing.T) (path string) {
	t.Run("real model", func(t *testing.T) { path = modeltest.File(t, "SmolLM2-135M-Instruct.Q4_1.gguf") })
	return path
}

// killed is a daemon's folder that outlives many daemons.
type killed struct {
	t     *testing.T
	dir   string
	names []string
	known map[string]string // header digest of a model's file to its greedy answer
}

func (k *killed) args() []string {
	return []string{"--config", "", "--data-dir", k.dir, "--listen", "unix://" + filepath.Join(k.dir, "s"), "--settle-time", "50ms", "--memory-budget", "1GiB"}
}

// ask returns the digest and the greedy answer of a model to a fixed question.
func ask(client *api.Client, model string) (digest, text string, err error) {
	n, cold := 6, 0.0
	c, err := client.Complete(context.Background(), api.CompletionRequest{
		Model: model, Prompt: api.Text("a"), MaxTokens: &n, Sampling: api.Sampling{Temperature: &cold, IgnoreEOS: true, ReturnTokenIDs: true},
	})
	if err != nil {
		return "", "", err
	}
	return c.Weft.Base.HeaderDigest, fmt.Sprint(c.Choices[0].TokenIDs), nil
}

// learn asks a daemon that nobody disturbs for the answers.
func (k *killed) learn(contents [][]byte) {
	k.t.Helper()
	p := start(k.t, k.dir)
	for i := range contents {
		must(k.t, os.WriteFile(filepath.Join(k.dir, "models", fmt.Sprintf("x%d.gguf", i)), contents[i], 0o600))
		name := fmt.Sprintf("x%d", i)
		digest, text, err := ask(p.client, name)
		must(k.t, err)
		k.known[digest] = text
		must(k.t, os.Remove(filepath.Join(k.dir, "models", name+".gguf")))
	}
	for _, name := range k.names {
		digest, text, err := ask(p.client, name)
		must(k.t, err)
		k.known[digest] = text
	}
	p.stop()
}

// serves waits until each model has answered rightly, and says how long after the process began that was.
func (k *killed) serves(p *program) time.Duration {
	k.t.Helper()
	began := time.Now()
	p.until("it to be ready", func() bool { return p.client.Ready(context.Background()) == nil })
	for _, name := range k.names {
		digest, text, err := ask(p.client, name)
		if err != nil {
			k.t.Errorf("after a restart %s gives %v", name, err)
		} else if k.known[digest] != text {
			k.t.Errorf("after a restart %s, of digest %s, answers %s", name, digest, text)
		}
	}
	return time.Since(began)
}

// load asks, swaps and uploads for a random while, and returns in the midst of it; what still runs ends with the process.
func (k *killed) load(p *program, contents [][]byte, rng *rand.Rand) {
	var all sync.WaitGroup
	var over atomic.Bool
	defer func() { over.Store(true); _ = p.cmd.Process.Kill(); all.Wait() }()
	for i := range 4 {
		all.Go(func() {
			client := api.NewClient(api.Host{Socket: p.socket})
			defer client.Close()
			for !over.Load() {
				digest, text, err := ask(client, k.names[i%2])
				if err == nil && k.known[digest] != text {
					k.t.Errorf("under load %s, of digest %s, answers %s", k.names[i%2], digest, text)
				}
				if err != nil {
					<-time.After(time.Millisecond) // the process may be gone already
				}
			}
		})
	}
	all.Go(func() {
		for j := 0; !over.Load(); j++ {
			_, _ = p.client.Upload(context.Background(), "m", strings.NewReader(string(contents[j%2])), int64(len(contents[j%2])))
		}
	})
	<-time.After(time.Duration(rng.IntN(200)) * time.Millisecond)
}

// wholeState holds that nothing half-written is left and that the file of digests is whole.
func (k *killed) wholeState() {
	k.t.Helper()
	for _, dir := range []string{"models", "state"} {
		entries, err := os.ReadDir(filepath.Join(k.dir, dir))
		must(k.t, err)
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), ".") {
				k.t.Errorf("%s/%s is left", dir, e.Name())
			}
		}
	}
	if text, err := os.ReadFile(filepath.Join(k.dir, "state", "digests")); err != nil || !strings.Contains(string(text), "\nend ") {
		k.t.Errorf("the file of digests is %q, %v", text, err)
	}
}
