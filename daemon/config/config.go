// Package config owns the daemon's settings: their defaults, the TOML files, environment and flags they are read from, their
// validation, and the paths that follow from them. It opens no socket, makes no folder and knows no other package of ours.
//
// Every setting is one row of the table in settings.go; its TOML key, its flag (`--data-dir`) and its environment variable
// (`WEFT_DATA_DIR`) are one name in three spellings. A flag wins over the environment, which wins over the files. A Config is
// read once and then passed by value; nothing here is safe for, or needs, concurrent use.
package config

import (
	"log/slog"
	"time"
)

// Config is every setting of the daemon, flat. Sizes are in bytes, counts in what their names say.
type Config struct {
	DataDir      string
	ModelsDir    string
	AdaptersDir  string
	PluginsDir   string
	DocumentsDir string
	StateDir     string

	Listen         []Address
	SocketGroup    string
	MaxConnections int
	MaxPerCaller   int // of MaxConnections
	AllowedHosts   []string
	AllowedOrigins []string
	AdminTCP       bool

	Ctx            int // tokens; 0: the model's own, then what memory allows
	Parallel       int // sequences decoded at once in each model
	Threads        int // 0: the processors this process may use
	CPU            string
	MemoryBudget   Size
	AdapterMemory  Size // beside MemoryBudget; a share is of that
	KVType         string
	Speculation    string
	PrefixSharing  bool
	Builtin        bool
	IdleUnload     time.Duration // 0: never
	MemoryPressure bool

	Queue      int // requests
	StepTokens int
	PageTokens int

	KVSpill  bool // pages of every request go to disk, not only those of sessions
	KVQuota  Size
	KVMaxAge time.Duration

	MaxBody         Size
	BodyRoom        Size
	MaxHeader       Size
	MaxText         Size
	MaxDepth        int
	MaxMessages     int
	MaxParts        int
	MaxTools        int
	MaxPrompts      int
	MaxN            int // choices for each prompt
	MaxChoices      int // prompts times n
	MaxStops        int
	MaxStopBytes    Size
	MaxLogitBias    int
	HeaderTimeout   time.Duration
	BodyTimeout     time.Duration
	IdleTimeout     time.Duration
	TemplateTimeout time.Duration // of rendering one chat
	StallTimeout    time.Duration // a reader that takes nothing for this long is cancelled
	DrainTimeout    time.Duration

	WatchEvents    bool
	RescanInterval time.Duration
	SettleTime     time.Duration

	LogLevel  slog.Level
	LogFormat string
}

// Default returns the settings as they are when nothing is said. The folders and the listeners are empty: they depend on who
// runs the daemon and where, and are filled by Load.
func Default() Config {
	return Config{
		SocketGroup:    "weft",
		MaxConnections: 4096,
		MaxPerCaller:   1024,

		Parallel:       8,
		MemoryBudget:   Size{Percent: 75},
		AdapterMemory:  Size{Percent: 10},
		KVType:         "f16",
		Speculation:    "auto",
		PrefixSharing:  true,
		Builtin:        true,
		MemoryPressure: true,

		Queue:      256,
		StepTokens: 256,
		PageTokens: 32,

		KVQuota:  Size{Bytes: 4 << 30},
		KVMaxAge: 30 * 24 * time.Hour,

		MaxBody:         Size{Bytes: 32 << 20},
		BodyRoom:        Size{Bytes: 256 << 20},
		MaxHeader:       Size{Bytes: 64 << 10},
		MaxText:         Size{Bytes: 16 << 20},
		MaxDepth:        64,
		MaxMessages:     8192,
		MaxParts:        1024,
		MaxTools:        1024,
		MaxPrompts:      256,
		MaxN:            16,
		MaxChoices:      256,
		MaxStops:        64,
		MaxStopBytes:    Size{Bytes: 1 << 10},
		MaxLogitBias:    4096,
		HeaderTimeout:   10 * time.Second,
		BodyTimeout:     60 * time.Second,
		IdleTimeout:     2 * time.Minute,
		TemplateTimeout: 2 * time.Second,
		StallTimeout:    60 * time.Second,
		DrainTimeout:    30 * time.Second,

		WatchEvents:    true,
		RescanInterval: 3 * time.Second,
		SettleTime:     500 * time.Millisecond,

		LogLevel:  slog.LevelInfo,
		LogFormat: "text",
	}
}
