package chat

import "fmt"

// ChatML is the name of the template that Fallback has for models that carry none.
const ChatML = "chatml"

const chatMLSource = `{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}`

// Fallback returns a template by its name, for a model that carries none or whose operator chose another. The only one is
// ChatML. New never falls back by itself: a prompt in a format the model has not seen is worse than an error that is read.
func Fallback(name string, o Options) (*Template, error) {
	if name != ChatML {
		return nil, fmt.Errorf("%w %q; known is %q", ErrUnknownTemplate, name, ChatML)
	}
	o.Name = name
	return New(chatMLSource, o)
}
