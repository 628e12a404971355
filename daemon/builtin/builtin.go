// Package builtin owns the model that the daemon carries in its own file, so that a fresh install answers before any download. It
// neither reads nor loads the model; the repository does.
//
// stories260K is a Llama of 260 thousand parameters that tells simple stories (TinyStories; MIT licence). The bytes are shared
// and never written to.
package builtin

import _ "embed" // for the model's bytes

// Name is the name under which the built-in model is served.
const Name = "stories260K"

// Template is its chat template. The model was trained on plain stories and knows no turns: a chat is the text of its messages, which
// the answer continues.
const Template = "{% for message in messages %}{{ message.content }}\n{% endfor %}"

//go:embed stories260K-f32.gguf
var model []byte

// Bytes returns the built-in model, a GGUF file of version 3. The caller must not write to it.
func Bytes() []byte { return model }
