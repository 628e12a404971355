package builtin

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"
)

func TestBytesAreThePublishedFile(t *testing.T) {
	sum := sha256.Sum256(Bytes())
	const want = "b57c43a6d371f8a9fc839c033d452629cf105e933a440f6bc6ce0c6fe6413c06"
	if got := hex.EncodeToString(sum[:]); got != want {
		t.Errorf("sha256 is %s, want %s", got, want)
	}
}
