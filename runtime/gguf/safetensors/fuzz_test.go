package safetensors

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the seeds of the fuzz target again")

// seeds are the hostile files that are small, and a healthy one; the committed corpus holds them under these names.
func seeds() map[string][]byte {
	list := map[string][]byte{"reference": []byte(referenceFile)}
	for name, c := range hostileFiles() {
		if len(c.file) < 500 {
			list[strings.NewReplacer(" ", "-", ",", "", "^", "").Replace(name)] = c.file
		}
	}
	return list
}

// TestCorpusIsCommitted: the committed corpus is what seeds makes: `go test -run Corpus -update` writes it again.
func TestCorpusIsCommitted(t *testing.T) {
	dir := filepath.Join("testdata", "fuzz", "FuzzParseHeader")
	for name, b := range seeds() {
		path := filepath.Join(dir, name)
		want := fmt.Sprintf("go test fuzz v1\n[]byte(%q)\n", b)
		if *update {
			if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(path, []byte(want), 0o644)); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("%s is not the seed that the test makes (%v)", path, err)
		}
	}
}

// FuzzParseHeader: every file is refused by a class, or its tensors lie in it one behind the other and can be read.
func FuzzParseHeader(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := ParseHeader(bytes.NewReader(b), int64(len(b)), DefaultLimits())
		if err != nil {
			if !errors.Is(err, ErrFormat) && !errors.Is(err, ErrTruncated) && !errors.Is(err, ErrUnsupported) {
				t.Fatalf("refusal of no class: %v", err)
			}
			return
		}
		at := uint64(h.DataOffset)
		for _, tensor := range h.Tensors {
			if uint64(h.DataOffset)+tensor.Offset != at {
				t.Fatalf("%v lies at %d, want %d", tensor, tensor.Offset, at)
			}
			if _, ok := tensor.Type.Quant(); ok && uint64(len(decode(b[at:], tensor))) != tensor.Elements() {
				t.Fatalf("%v has other values than elements", tensor)
			}
			at += tensor.Bytes
		}
		if at != uint64(len(b)) {
			t.Fatalf("%d bytes are of no tensor", uint64(len(b))-at)
		}
	})
}
