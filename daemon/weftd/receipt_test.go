package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/weft-run/weft/daemon/api"
	"github.com/weft-run/weft/runtime/modeltest"
)

var keepReceipts = flag.String("keep-receipts", "", "write the receipts that are made to this file")

// farReceipts were made with AVX-512 (testdata/README.md).
const farReceipts = "testdata/receipts.avx512.jsonl"

// TestReceiptsTravel makes receipts at the machine's best level, of the built-in model, of a tiny one and of that with an adapter, and has
// them, and such as were made with AVX-512 elsewhere, computed again by daemons that run at other levels, one of them on an emulated arm64, with the
// same files under other names.
func TestReceiptsTravel(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a program and emulates a processor")
	}
	spec := modeltest.Spec{Seed: 11}
	model, adapter := modeltest.Tiny(spec), modeltest.TinyAdapter(modeltest.AdapterSpec{Base: spec, Seed: 12})
	data := func(name string) string {
		dir := folder(t)
		for path, content := range map[string][]byte{"models/" + name + ".gguf": model, "adapters/" + name + "-lora.gguf": adapter} {
			path = filepath.Join(dir, path)
			must(t, os.MkdirAll(filepath.Dir(path), 0o755))
			must(t, os.WriteFile(path, content, 0o644))
		}
		return dir
	}
	first := start(t, data("tiny"))
	var receipts []api.Receipt
	limit, warm := 32, 1.0
	for _, name := range []string{"stories260K", "tiny", "tiny+tiny-lora", "tiny+tiny-lora@-0.7"} {
		prompt := api.Text("Once upon a time")
		answer, err := first.client.Complete(context.Background(), api.CompletionRequest{
			Model: name, Prompt: prompt, MaxTokens: &limit, Sampling: api.Sampling{Temperature: &warm, Receipt: true, IgnoreEOS: true},
		})
		must(t, err)
		receipts = append(receipts, *answer.Weft.Receipt)
	}
	first.stop()
	if *keepReceipts != "" {
		var lines bytes.Buffer
		for _, r := range receipts {
			must(t, json.NewEncoder(&lines).Encode(r))
		}
		must(t, os.WriteFile(*keepReceipts, lines.Bytes(), 0o644))
	}
	if a, b := receipts[1].Output, receipts[2].Output; len(receipts[2].Adapters) != 1 || len(a) != limit || len(b) != limit {
		t.Fatalf("%+v", receipts)
	}

	far, err := os.ReadFile(farReceipts)
	must(t, err)
	for line := range bytes.Lines(far) {
		var r api.Receipt
		must(t, json.Unmarshal(line, &r))
		receipts = append(receipts, r)
	}

	verify := func(t *testing.T, p *program) {
		for _, r := range receipts {
			v, err := p.client.Verify(context.Background(), api.VerifyRequest{Receipt: r})
			must(t, err)
			if !v.Equal || v.Tokens != limit {
				t.Errorf("%s with %d adapters: %+v, %+v, %q", r.Base.Name, len(r.Adapters), v, v.Difference, v.Notes)
			}
		}
		p.stop()
	}
	listen := func(dir string) []string {
		return []string{"--config", "", "--data-dir", dir, "--listen", "unix://" + filepath.Join(dir, "s")}
	}
	levels := []string{"ref"}
	if runtime.GOARCH == "amd64" {
		levels = append(levels, "avx2") // the most that a machine with less can do
	}
	for _, level := range levels {
		t.Run(level, func(t *testing.T) {
			dir := data("elsewhere")
			p := command(t, listen(dir)...)
			p.cmd.Env = append(p.cmd.Env, "WEFT_CPU="+level)
			p.run(filepath.Join(dir, "s"))
			verify(t, p)
		})
	}
	t.Run("arm64", func(t *testing.T) {
		emulator, err := exec.LookPath("qemu-aarch64-static")
		if err != nil {
			t.Skip("LOUD: skipped: qemu-aarch64-static is absent (Debian: qemu-user-static)")
		}
		dir := data("far")
		weftd := filepath.Join(dir, "weftd")
		build := exec.Command("go", "build", "-o", weftd, ".")
		build.Env = append(os.Environ(), "GOARCH=arm64", "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		p := command(t, listen(dir)...)
		p.cmd.Path, p.cmd.Args = emulator, append([]string{emulator, weftd}, listen(dir)...)
		p.run(filepath.Join(dir, "s"))
		verify(t, p)
	})
}
