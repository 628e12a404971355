package engine

import "context"

// GiveBack gives the memory of the cache's unused pages back to the system, and returns how much that is, in bytes: of those that are free, of those
// that are kept in case that somebody asks for what they hold, and where sessions is set of those that sessions keep too. The pool stays as
// large as it is. The errors are those of Cache.
func (e *Engine) GiveBack(ctx context.Context, sessions bool) (bytes int64, err error) {
	done := make(chan int64, 1)
	err = e.call(ctx, func() {
		l := &e.loop
		pages := l.manager.GiveBack(sessions)
		l.pages.Cache.Discard(pages)
		done <- int64(len(pages)) * int64(e.cfg.layout().PageBytes())
	})
	if err != nil {
		return 0, err
	}
	return <-done, nil
}
