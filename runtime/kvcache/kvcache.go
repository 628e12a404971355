// Package kvcache owns the pages of a model's key/value cache: who holds which page (Manager and Table, plain counting
// without a byte) and the memory behind them (Pages, over a kernels.Cache). It does not decide who may run when pages are
// short (runtime/scheduler does) and reads or writes no key or value (kernels does).
//
// Units: a page holds PageTokens consecutive tokens of one sequence in every layer; counts are in pages or tokens, as the
// names say. Ownership: a page is either free or in exactly one Table. Concurrency: none inside; the goroutine of one engine
// owns its Manager, its Tables and its Pages.
package kvcache
