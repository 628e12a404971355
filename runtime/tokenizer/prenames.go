package tokenizer

import "slices"

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
	"jina-v1-en":      {scan: scanGPT2},
	"jina-v2-code":    {scan: scanGPT2},
	"roberta-bpe":     {scan: scanGPT2},

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
	"youtu":      {stages: cuts(startingWith("", scanYoutu), anywhere(scanYoutuWord)), ignoreMerges: true},
	"tiny_aya":   {stages: slices.Concat([]stage{thousands}, cuts(anywhere(scanGPT4o)))},
	"cohere2moe": {stages: slices.Concat([]stage{thousands}, cuts(anywhere(scanGPT4o)))},
	"kimi-k2":    {scan: scanKimi},

	"granite-embed-multi-97m": {scan: scanGPT4o, ignoreMerges: true},

	"llama4":     {scan: scanGPT4o},
	"kanana2":    {scan: scanGPT4o},
	"talkie":     {scan: scanGPT4o},
	"minimax-m2": {scan: scanGPT4o},

	"falcon":         {stages: cuts(runOf(isFalconPunct, false), anywhere(scanGPT2), startingWith("0123456789", digitTriples))},
	"default":        {stages: cuts(runOf(isDefaultPunct, false), anywhere(scanGPT2), runOf(isNumber, false), startingWith("0123456789", digitTriples))},
	"chameleon":      {stages: cuts(startingWith("<", sentinel), startingWith("I", imageToken), startingWith("\t\n ", tabOrSpaces), upTo(1, isNumber), upTo(1, isChameleonPunct), anywhere(scanGPT2)), addBOS: true},
	"deepseek-coder": {stages: cuts(upTo(1, isNewline), runOf(isLetter, true), runOf(isPunct, true), runOf(isDeepSeekCJK, false), upTo(1, isNumber))},
	"deepseek-llm": {stages: cuts(
		upTo(1, isNewline), runOf(isDeepSeekLetter, true), runOf(isDeepSeekPunct, true), lastSpaces, runOf(isDeepSeekCJK, false), runOf(isNumber, false),
	)},
	"deepseek-v3":   deepSeek3,
	"hunyuan-dense": deepSeek3,
	"joyai-llm":     deepSeek3,
	"hy_v4":         deepSeek3,

	"spark2_5": {stages: cuts(upTo(3, isNumber), runOf(isHanKana, false), anywhere(scanSpark), upTo(1, isNumber))},
	"afmoe":    {stages: slices.Concat([]stage{numberTriples}, cuts(runOf(isAsian, false), anywhere(scanDeepSeek3)))},

	"bloom":        {stages: cuts(anywhere(bloomWord))},
	"gpt3-finnish": {stages: cuts(anywhere(bloomWord))},
	"poro-chat":    {stages: cuts(anywhere(bloomWord))},
	"viking":       {stages: cuts(anywhere(bloomWord), upTo(1, isNumber))},
	"superbpe":     {stages: slices.Concat(cuts(runOf(isNumber, false)), []stage{tripleCuts}), longWords: true},

	"llama-bpe":    {scan: scanLlama3, ignoreMerges: true, addBOS: true},
	"falcon3":      {scan: scanLlama3, ignoreMerges: true, addBOS: true},
	"falcon-h1":    {scan: scanLlama3, ignoreMerges: true, addBOS: true},
	"pixtral":      {scan: scanLlama3, ignoreMerges: true, addBOS: true},
	"midm-2.0":     {scan: scanLlama3, ignoreMerges: true, addBOS: true},
	"lfm2":         {scan: scanLlama3, ignoreMerges: true, addBOS: true},
	"jina-v5-nano": {scan: scanLlama3, ignoreMerges: true, addBOS: true},
	"llama3":       {scan: scanLlama3, ignoreMerges: true, addBOS: true},
	"llama-v3":     {scan: scanLlama3, ignoreMerges: true, addBOS: true},

	"minicpm5":    {stages: cuts(upTo(3, isNumber), anywhere(scanLlama3)), ignoreMerges: true},
	"jais-2":      {scan: scanJais2},
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
	"bailingmoe":       {scan: scanQwen2}, // its expression is spelled otherwise and cuts the same
	"bailingmoe2":      {scan: scanQwen2},
	"llada-moe":        {scan: scanQwen2},
	"seed-coder":       {scan: scanSeedCoder},
	"ufakzeka":         {scan: scanUfakzeka},
	"exaone-moe":       {scan: scanExaoneMoE, longWords: true},
	"laguna":           {stages: cuts(anywhere(lineOrNewlines), anywhere(scanQwen2))},
	"qwen35":           {scan: scanQwen35, marks: true}, // its expected ids take decomposed text as it is

	"gemma4":                   {stages: cuts(anywhere(lineOrNewlines)), plain: true, spaceSign: true, addBOS: true, alwaysBOS: true, newlineTokens: true},
	"granite-embed-multi-311m": {stages: cuts(anywhere(lineOrNewlines)), plain: true, spaceSign: true, addBOS: true, alwaysBOS: true, newlineTokens: true},
	"sarvam-moe":               {stages: cuts(anywhere(lineOrNewlines)), plain: true, spaceSign: true},
	"whitespace":               {stages: []stage{spaceless}, plain: true, spaceless: true, mayLower: true},
}

var deepSeek3 = preTokenizer{stages: cuts(upTo(3, isNumber), runOf(isHanKana, false), anywhere(scanDeepSeek3))}
