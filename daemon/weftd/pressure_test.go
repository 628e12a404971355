package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/weft-run/weft/daemon/api"
	"github.com/weft-run/weft/runtime/modeltest"
)

const (
	// inGroup has the test binary join the control group whose folder it names, before it becomes anything else.
	inGroup = "RUN_IN_GROUP"
	// asEater makes it a program that takes 2 MiB for each byte that it reads, and answers it.
	asEater = "RUN_AS_EATER"
)

func join(group string) {
	if err := os.WriteFile(filepath.Join(group, "cgroup.procs"), []byte(strconv.Itoa(os.Getpid())), 0); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func eat() {
	var held [][]byte
	for one := make([]byte, 1); ; {
		if _, err := os.Stdin.Read(one); err != nil {
			os.Exit(0) // nobody asks for more
		}
		held = append(held, slices.Repeat([]byte{byte(len(held) + 1)}, 2<<20))
		if _, err := os.Stdout.Write(one); err != nil {
			os.Exit(1)
		}
	}
}

// limitedGroup makes a control group of whichever version counts memory here, with a limit in bytes. It returns its folder and what says how much
// of the limit is used.
func limitedGroup(t *testing.T, bytes int64) (dir string, used func() float64) {
	t.Helper()
	own := ""
	groups, err := os.ReadFile("/proc/self/cgroup")
	must(t, err)
	for line := range strings.Lines(string(groups)) {
		if parts := strings.SplitN(strings.TrimSpace(line), ":", 3); len(parts) == 3 && parts[1] == "memory" {
			own = parts[2]
		}
	}
	for _, c := range []struct{ above, limit, usage string }{
		{filepath.Join("/sys/fs/cgroup/memory", own), "memory.limit_in_bytes", "memory.usage_in_bytes"}, // in a container its own group is the root
		{"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"},
		{"/sys/fs/cgroup", "memory.max", "memory.current"},
	} {
		dir = filepath.Join(c.above, fmt.Sprintf("weft-test-%d", os.Getpid()))
		if err = os.Mkdir(dir, 0o755); err != nil {
			continue
		}
		t.Cleanup(func() { // processes that were killed are in it for a moment
			for range 100 {
				if os.Remove(dir) == nil {
					return
				}
				<-time.After(10 * time.Millisecond)
			}
			t.Errorf("the control group %s cannot be removed", dir)
		})
		if err = os.WriteFile(filepath.Join(dir, c.limit), []byte(strconv.FormatInt(bytes, 10)), 0); err == nil {
			return dir, func() float64 {
				text, err := os.ReadFile(filepath.Join(dir, c.usage))
				must(t, err)
				n, err := strconv.ParseFloat(strings.TrimSpace(string(text)), 64)
				must(t, err)
				return n / float64(bytes)
			}
		}
	}
	t.Skip("LOUD: skipped: no control group with a memory limit can be made here (it takes root, and the memory controller):", err)
	return "", nil
}

// TestNeighbourEats: while another program of its control group takes all memory, the daemon gives back what it can, in order and before
// the kernel kills; a stream that runs then ends with the tokens that it has elsewhere, pinned models stay, and what went comes back.
func TestNeighbourEats(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes 768 MiB, and seconds")
	}
	group, used := limitedGroup(t, 768<<20)
	dir := folder(t)
	must(t, os.Mkdir(filepath.Join(dir, "models"), 0o755))
	for i, name := range []string{"old", "new", "busy", "kept"} {
		data := modeltest.Tiny(modeltest.Spec{Seed: uint64(i + 1), Context: 8192})
		must(t, os.WriteFile(filepath.Join(dir, "models", name+".gguf"), data, 0o600))
	}
	must(t, os.WriteFile(filepath.Join(dir, "models", "kept.toml"), []byte("pinned = true\n"), 0o600))
	p := command(t, "--config", "", "--data-dir", dir, "--listen", "unix://"+filepath.Join(dir, "s"), "--settle-time", "50ms", "--builtin=false", "--memory-budget", "64MiB")
	p.cmd.Env = append(p.cmd.Env, inGroup+"="+group)
	log := p.logFile()
	p.run(filepath.Join(dir, "s"))
	text := map[string]string{}
	for _, name := range []string{"kept", "busy", "old", "new"} {
		var err error
		_, text[name], err = ask(p.client, name)
		must(t, err)
	}
	stream := func() (rest func() []int32) {
		n, cold := 6000, 0.0
		s, err := p.client.CompleteStream(context.Background(), api.CompletionRequest{
			Model: "busy", Prompt: api.Text("a"), MaxTokens: &n, Sampling: api.Sampling{Temperature: &cold, IgnoreEOS: true, ReturnTokenIDs: true},
		})
		must(t, err)
		return func() (ids []int32) {
			defer s.Close()
			for {
				c, err := s.Next()
				if errors.Is(err, io.EOF) {
					return ids
				}
				must(t, err)
				for _, choice := range c.Choices {
					ids = append(ids, choice.TokenIDs...)
				}
			}
		}
	}
	want := stream()()

	self, err := os.Executable()
	must(t, err)
	eater := exec.Command(self)
	eater.Env = []string{asEater + "=1", inGroup + "=" + group}
	eater.Stderr = os.Stderr
	more, err := eater.StdinPipe()
	must(t, err)
	took, err := eater.StdoutPipe()
	must(t, err)
	must(t, eater.Start())
	t.Cleanup(func() { _ = eater.Process.Kill(); _ = eater.Wait() })
	var rest func() []int32 // of a stream that runs when memory is short
	for bites := 0; !strings.Contains(log(), "nothing is left to give back"); bites++ {
		if _, err = more.Write([]byte{1}); err == nil {
			_, err = took.Read(make([]byte, 1))
		}
		if err != nil {
			t.Fatalf("the kernel killed the program that had %d MiB, before the daemon had given all back: %v\n%s", 2*bites, err, log())
		}
		<-time.After(time.Millisecond)
		said, waited := log(), time.Now()
		for used() > 0.955 && log() == said && time.Since(waited) < 5*time.Second { // a slow machine has time to see that
			if rest == nil {
				rest = stream()
			}
			<-time.After(10 * time.Millisecond)
		}
	}
	if rest == nil {
		rest = stream() // the machine itself was short of memory
	}
	if got := rest(); !slices.Equal(got, want) {
		t.Errorf("the stream has %d tokens and is not the one of before, which had %d", len(got), len(want))
	}
	must(t, more.Close())
	p.says(log, "memory pressure is over")
	at := 0
	for _, line := range []string{"what=pages", "model=old", "model=new", "nothing is left to give back"} {
		i := strings.Index(log()[at:], line)
		if i < 0 {
			t.Fatalf("the log does not say %q at its place:\n%s", line, log())
		}
		at += i
	}
	if strings.Contains(log(), "what=model bytes=0") || strings.Contains(log(), "model=kept cause=pressure") {
		t.Errorf("the log says\n%s", log())
	}
	for name, before := range text {
		if _, now, err := ask(p.client, name); err != nil || now != before {
			t.Errorf("afterwards %s answers %s, before %s; %v", name, now, before, err)
		}
	}
	p.stop()
}
