package config

import "math"

// A setting is one row of the table of settings. The key is its TOML spelling.
type setting struct {
	key     string
	to      any      // pointer to the field of Config
	choices []string // allowed values of a string setting; nil: any
	min     int64    // limits of a number, inclusive; nanoseconds for a duration
	max     int64
	help    string // one sentence for the reference and for --help
}

const second = int64(1e9)

// mostIdle bounds how long a model may be without requests.
const mostIdle = 365 * 24 * 3600 * second

// settings returns the table of all settings of c, in the order of the reference.
func (c *Config) settings() []setting {
	const most = math.MaxInt32
	return []setting{
		{key: "data_dir", to: &c.DataDir, help: "Folder that holds everything; the folders below lie in it unless moved by their own keys."},
		{key: "models_dir", to: &c.ModelsDir, help: "Folder of models: `*.gguf`, split sets, and subfolders that hold one model."},
		{key: "adapters_dir", to: &c.AdaptersDir, help: "Folder of LoRA adapters: `NAME.gguf`, and subfolders as `peft` saves them."},
		{key: "plugins_dir", to: &c.PluginsDir, help: "Folder of extensions."},
		{key: "documents_dir", to: &c.DocumentsDir, help: "Folder of texts to index for retrieval."},
		{key: "state_dir", to: &c.StateDir, help: "Folder of what the daemon writes for itself."},

		{key: "listen", to: &c.Listen, help: "Where to listen: `unix:///path` or `tcp://127.0.0.1:PORT`; several are allowed."},
		{key: "socket_group", to: &c.SocketGroup, help: "Group that may use the Unix socket, if the machine has it."},
		{key: "max_connections", to: &c.MaxConnections, min: 1, max: most, help: "Connections held open at once over each of Unix sockets and TCP; for one more the longest idle is closed."},
		{key: "max_per_caller", to: &c.MaxPerCaller, min: 1, max: most, help: "Connections of these that one user may hold over Unix sockets, and one address over TCP."},
		{key: "allowed_hosts", to: &c.AllowedHosts, help: "Host names, beside localhost and plain addresses, that requests over TCP may be addressed to; `*` is any."},
		{key: "allowed_origins", to: &c.AllowedOrigins, help: "Origins, such as `https://app.example`, whose pages may send requests over TCP from a browser; `*` is any."},
		{key: "admin_tcp", to: &c.AdminTCP, help: "Whether every caller over TCP may upload and delete models and adapters."},

		{key: "ctx", to: &c.Ctx, min: 0, max: most, help: "Most tokens of one sequence; 0 is the model's own limit, then what memory allows."},
		{key: "parallel", to: &c.Parallel, min: 1, max: 1024, help: "Sequences decoded at once in each model."},
		{key: "threads", to: &c.Threads, min: 0, max: 1024, help: "Worker threads for all models together; 0 is every processor the process may use."},
		{key: "cpu", to: &c.CPU, help: "Highest instruction level to use, such as `ref` or `avx2`; empty is the best there is."},
		{key: "memory_budget", to: &c.MemoryBudget, help: "Memory that models and their caches may take, as a size or as a share of the machine's."},
		{key: "adapter_memory", to: &c.AdapterMemory, help: "Memory that adapters in use may take beside the models, as a size or as a share of `memory_budget`; those that no request holds go first, and come back when they are wanted."},
		{key: "kv_type", to: &c.KVType, choices: kvTypes, help: "Type in which keys and values are cached: `f16`, `f32`, `q8_0` or `q4_0`; the last two want heads of a multiple of 32, and a model of others gets `f16`."},
		{key: "speculation", to: &c.Speculation, choices: speculations, help: "Whether tokens that an answer is likely to repeat are computed ahead where that was measured to be faster: `auto` or `off`; answers are the same."},
		{key: "prefix_sharing", to: &c.PrefixSharing, help: "Whether requests that begin alike, of one user and `cache_salt`, share what is cached of their beginning; without it nothing is kept of a request, sessions included."},
		{key: "idle_unload", to: &c.IdleUnload, min: 0, max: mostIdle, help: "How long a model stays loaded that no request wants; the next one has it loaded again. 0 is for ever: memory is then given back when another model or the machine wants it."},
		{key: "memory_pressure", to: &c.MemoryPressure, help: "Whether unused cache and idle models are given back when the machine, or the daemon's control group, runs short of memory."},
		{key: "builtin", to: &c.Builtin, help: "Whether the built-in model is served."},

		{key: "queue", to: &c.Queue, min: 1, max: most, help: "Requests that may wait in each model; one more is answered 429."},
		{key: "step_tokens", to: &c.StepTokens, min: 1, max: 8192, help: "Most tokens computed in one step: how long a prompt may hold up the others."},
		{key: "page_tokens", to: &c.PageTokens, min: 16, max: 64, help: "Tokens in one page of the cache: 16, 32 or 64."},

		{key: "kv_spill", to: &c.KVSpill, help: "Whether the cache of every request is kept on disk too, in `kv` of the state folder, and not only that of requests that name a session."},
		{key: "kv_quota", to: &c.KVQuota, help: "Most bytes of cache on disk; the least recently used goes first."},
		{key: "kv_max_age", to: &c.KVMaxAge, min: second, max: 10 * 365 * 24 * 3600 * second, help: "How long cache that nobody uses stays on disk."},

		{key: "max_body", to: &c.MaxBody, help: "Largest request body, uploads of models excepted."},
		{key: "body_room", to: &c.BodyRoom, help: "Memory for all request bodies over 64 KiB that are read at one time, four of the largest at least; for one more the answer is 503."},
		{key: "max_header", to: &c.MaxHeader, help: "Largest header of a request, the request line included, in all 4 KiB more."},
		{key: "max_text", to: &c.MaxText, help: "Largest single text in a request: a prompt, a message's content, one part of it."},
		{key: "max_depth", to: &c.MaxDepth, min: 4, max: 1000, help: "How deep arrays and objects may be nested in a request body."},
		{key: "max_messages", to: &c.MaxMessages, min: 1, max: 1 << 20, help: "Messages of one chat."},
		{key: "max_parts", to: &c.MaxParts, min: 1, max: 1 << 20, help: "Text parts of one message."},
		{key: "max_tools", to: &c.MaxTools, min: 0, max: 1 << 20, help: "Tools of one chat."},
		{key: "max_prompts", to: &c.MaxPrompts, min: 1, max: 1 << 16, help: "Prompts of one text completion."},
		{key: "max_n", to: &c.MaxN, min: 1, max: 1 << 16, help: "Choices (`n`) for each prompt."},
		{key: "max_choices", to: &c.MaxChoices, min: 1, max: 1 << 16, help: "Choices of one request, prompts times `n`."},
		{key: "max_stops", to: &c.MaxStops, min: 0, max: 1 << 12, help: "Stop strings of one request; each costs a little for every byte of the answer."},
		{key: "max_stop_bytes", to: &c.MaxStopBytes, help: "Length of one stop string."},
		{key: "max_logit_bias", to: &c.MaxLogitBias, min: 0, max: 1 << 20, help: "Entries of `logit_bias`."},
		{key: "header_timeout", to: &c.HeaderTimeout, min: second / 1000, max: 3600 * second, help: "How long a client may take to send the header of a request."},
		{key: "body_timeout", to: &c.BodyTimeout, min: second / 1000, max: 24 * 3600 * second, help: "How long a client may take to send a request body, uploads of models excepted."},
		{key: "idle_timeout", to: &c.IdleTimeout, min: second / 1000, max: 24 * 3600 * second, help: "How long a connection without a request stays open."},
		{key: "template_timeout", to: &c.TemplateTimeout, min: second / 1000, max: 60 * second, help: "How long a model's chat template may take to render one conversation."},
		{key: "stall_timeout", to: &c.StallTimeout, min: second / 1000, max: 3600 * second, help: "How long a client may read nothing of its answer before the request is cancelled."},
		{key: "drain_timeout", to: &c.DrainTimeout, min: 0, max: 3600 * second, help: "How long running requests may go on after the daemon was told to stop."},

		{key: "watch_events", to: &c.WatchEvents, help: "Whether file events make a look at the folders come sooner; the regular look happens anyway."},
		{key: "rescan_interval", to: &c.RescanInterval, min: second / 100, max: 3600 * second, help: "Time between two regular looks at the folders."},
		{key: "settle_time", to: &c.SettleTime, min: 0, max: 3600 * second, help: "How long a file's size and times must have been still before it counts."},

		{key: "log_level", to: &c.LogLevel, help: "Least severe line that is logged: `debug`, `info`, `warn` or `error`."},
		{key: "log_format", to: &c.LogFormat, choices: []string{"text", "json", "journal"}, help: "Form of the log on stderr: `text`, `json`, or `journal` (priority prefixes, no times)."},
	}
}

// speculations are what speculation may be.
var speculations = []string{"auto", "off"}

// kvTypes are the cache types.
var kvTypes = []string{"f16", "f32", "q8_0", "q4_0"}
