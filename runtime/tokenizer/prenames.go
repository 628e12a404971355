package tokenizer

// preTokenizers holds the values of tokenizer.ggml.pre that are implemented exactly. Each scanner has its regular
// expression beside it; Go's regexp has no look-ahead and is slower. Many models share an expression under a name of their
// own. docs/tokenizers.md says which were checked on a real vocabulary.
var preTokenizers = map[string]preTokenizer{
	"gpt-2": {scan: scanGPT2},
	"phi-2": {scan: scanGPT2},
	"mpt":   {scan: scanGPT2, nfc: true},
	"olmo":  {scan: scanGPT2, nfc: true},

	"smollm":    {scan: scanSmolLM},
	"starcoder": {scan: scanSmolLM},
	"refact":    {scan: scanSmolLM},
	"command-r": {scan: scanSmolLM, nfc: true},

	"llama-bpe": {scan: scanLlama3, ignoreMerges: true, addBOS: true},
	"llama3":    {scan: scanLlama3, ignoreMerges: true, addBOS: true},
	"llama-v3":  {scan: scanLlama3, ignoreMerges: true, addBOS: true},

	"qwen2":            {scan: scanQwen2, nfc: true},
	"deepseek-r1-qwen": {scan: scanQwen2, nfc: true},
	"qwen35":           {scan: scanQwen35, marks: true}, // its expected ids take decomposed text as it is
}
