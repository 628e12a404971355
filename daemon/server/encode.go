package server

import (
	"context"
	"fmt"

	"golang.org/x/sync/semaphore"

	"github.com/weft-run/weft/runtime/engine"
	"github.com/weft-run/weft/runtime/tokenizer"
)

// A run of one letter takes some sixty times its bytes while it is encoded, and a second for a megabyte or two. So the texts that are encoded
// at one time are bounded together, the long ones apart, behind which no other waits.
const (
	shortText  = 16 << 10  // bytes of a text that is encoded without asking for room
	longText   = 256 << 10 // from here on it is a long one
	middleRoom = 4 << 20   // bytes of texts up to that
	longRoom   = 8 << 20   // bytes of long texts; a longer one has it alone
)

// encoders is the room for texts that are encoded now.
type encoders struct {
	middle, long *semaphore.Weighted
}

func newEncoders() encoders {
	return encoders{semaphore.NewWeighted(middleRoom), semaphore.NewWeighted(longRoom)}
}

// encode returns the token ids of a text. One that has more than most tokens for certain is not encoded: the error is a *engine.TooLongError. Where
// most is 0 it is encoded however long it is.
func (s *Server) encode(ctx context.Context, model *Model, text string, most int, o tokenizer.EncodeOptions) ([]int32, error) {
	if least := model.Tokenizer.AtLeast(len(text)); most > 0 && least > most {
		return nil, &engine.TooLongError{Prompt: least, Context: most, AtLeast: true}
	}
	room, n := s.encoders.middle, int64(len(text))
	if n > longText {
		room, n = s.encoders.long, min(n, longRoom)
	}
	if n > shortText {
		if err := room.Acquire(ctx, n); err != nil {
			return nil, fmt.Errorf("%w: %w", errClientGone, err)
		}
		defer room.Release(n)
	}
	return model.Tokenizer.Encode(text, o), nil
}
