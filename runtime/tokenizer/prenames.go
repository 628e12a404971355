package tokenizer

// preTokenizers holds the values of tokenizer.ggml.pre that are implemented exactly. Each scanner has its regular
// expression beside it; Go's regexp has no look-ahead and is slower. Many models share an expression under a name of their
// own. docs/tokenizers.md says which were checked on a real vocabulary.
var preTokenizers = map[string]preTokenizer{
	"gpt-2":           {scan: scanGPT2},
	"phi-2":           {scan: scanGPT2},
	"mpt":             {scan: scanGPT2, nfc: true},
	"olmo":            {scan: scanGPT2, nfc: true},
	"jina-es":         {scan: scanGPT2},
	"jina-de":         {scan: scanGPT2},
	"jina-v2-es":      {scan: scanGPT2},
	"jina-v2-de":      {scan: scanGPT2},
	"gigachat":        {scan: scanGPT2},
	"a.x-4.0":         {scan: scanGPT2},
	"mellum":          {scan: scanGPT2},
	"modern-bert":     {scan: scanGPT2},
	"exaone4":         {scan: scanGPT2},
	"jais":            {scan: scanGPT2},
	"trillion":        {scan: scanGPT2},
	"granite-docling": {scan: scanGPT2},

	"smollm":     {scan: scanSmolLM},
	"starcoder":  {scan: scanSmolLM},
	"refact":     {scan: scanSmolLM},
	"command-r":  {scan: scanSmolLM, nfc: true},
	"codeshell":  {scan: scanSmolLM},
	"exaone":     {scan: scanSmolLM},
	"minerva-7b": {scan: scanSmolLM},
	"mellum2":    {scan: scanSmolLM},

	"tekken":     {scan: scanTekken, ignoreMerges: true, addBOS: true},
	"gpt-4o":     {scan: scanGPT4o},
	"llama4":     {scan: scanGPT4o},
	"kanana2":    {scan: scanGPT4o},
	"talkie":     {scan: scanGPT4o},
	"minimax-m2": {scan: scanGPT4o},

	"falcon":         {stages: []finder{runOf(isFalconPunct, false), finder(scanGPT2), digitTriples}},
	"deepseek-coder": {stages: []finder{upTo(1, isNewline), runOf(isLetter, true), runOf(isPunct, true), runOf(isDeepSeekCJK, false), upTo(1, isNumber)}},
	"deepseek-llm": {stages: []finder{
		upTo(1, isNewline), runOf(isDeepSeekLetter, true), runOf(isDeepSeekPunct, true), lastSpaces, runOf(isDeepSeekCJK, false), runOf(isNumber, false),
	}},
	"deepseek-v3":   deepSeek3,
	"hunyuan-dense": deepSeek3,
	"joyai-llm":     deepSeek3,
	"hy_v4":         deepSeek3,

	"bloom":        {stages: []finder{bloomWord}},
	"gpt3-finnish": {stages: []finder{bloomWord}},
	"poro-chat":    {stages: []finder{bloomWord}},
	"viking":       {stages: []finder{bloomWord, upTo(1, isNumber)}},

	"llama-bpe":    {scan: scanLlama3, ignoreMerges: true, addBOS: true},
	"falcon3":      {scan: scanLlama3, ignoreMerges: true, addBOS: true},
	"falcon-h1":    {scan: scanLlama3, ignoreMerges: true, addBOS: true},
	"pixtral":      {scan: scanLlama3, ignoreMerges: true, addBOS: true},
	"midm-2.0":     {scan: scanLlama3, ignoreMerges: true, addBOS: true},
	"lfm2":         {scan: scanLlama3, ignoreMerges: true, addBOS: true},
	"jina-v5-nano": {scan: scanLlama3, ignoreMerges: true, addBOS: true},
	"llama3":       {scan: scanLlama3, ignoreMerges: true, addBOS: true},
	"llama-v3":     {scan: scanLlama3, ignoreMerges: true, addBOS: true},

	"dbrx":        {scan: scanLlama3},
	"smaug-bpe":   {scan: scanLlama3},
	"chatglm-bpe": {scan: scanLlama3},
	"glm4":        {scan: scanLlama3, ignoreMerges: true},
	"glm5":        {scan: scanLlama3, ignoreMerges: true},

	"qwen2":            {scan: scanQwen2, nfc: true},
	"deepseek-r1-qwen": {scan: scanQwen2, nfc: true},
	"kormo":            {scan: scanQwen2},
	"f2llmv2":          {scan: scanQwen2},
	"megrez":           {scan: scanQwen2},
	"stablelm2":        {scan: scanQwen2},
	"hunyuan":          {scan: scanQwen2},
	"solar-open":       {scan: scanQwen2},
	"grok-2":           {scan: scanQwen2},
	"qwen35":           {scan: scanQwen35, marks: true}, // its expected ids take decomposed text as it is
}

var deepSeek3 = preTokenizer{stages: []finder{upTo(3, isNumber), runOf(isHanKana, false), finder(scanDeepSeek3)}}
