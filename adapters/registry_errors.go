package adapters

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
)

var (
	// ErrClosed says that the registry is closed.
	ErrClosed = errors.New("adapters: closed")
	// ErrUntestable says that a test failed by the adapter's fault: with it the logits are no numbers, for instance.
	ErrUntestable = errors.New("adapters: it failed its test")
)

// NotFoundError says that nothing has the name. Near are names that look like it, the nearest first.
type NotFoundError struct {
	Name string
	Near []string
}

func (e *NotFoundError) Error() string {
	if len(e.Near) == 0 {
		return fmt.Sprintf("adapters: no adapter %q", e.Name)
	}
	return fmt.Sprintf("adapters: no adapter %q; there is %s", e.Name, strings.Join(e.Near, ", "))
}

// RefusedError says that files have the name, and why no generation is published. Waiting is set where one is about to be.
type RefusedError struct {
	Name    string
	Reason  string
	Waiting bool
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("adapters: adapter %q is not published: %s", e.Name, e.Reason)
}

// UnfitError says why an adapter cannot be used on a base; Base is "" where none could use it.
type UnfitError struct {
	Adapter, Base, Reason string
}

func (e *UnfitError) Error() string {
	if e.Base == "" {
		return fmt.Sprintf("adapters: adapter %q: %s", e.Adapter, e.Reason)
	}
	return fmt.Sprintf("adapters: adapter %q on base %q: %s", e.Adapter, e.Base, e.Reason)
}

// BusyError says that the budget is taken by adapters that requests hold.
type BusyError struct {
	Adapter                string
	Need, Resident, Budget int64
}

func (e *BusyError) Error() string {
	return fmt.Sprintf("adapters: adapter %q takes %d bytes, and running requests hold %d of the budget of %d", e.Adapter, e.Need, e.Resident, e.Budget)
}

// StaleError says that a name does not point at the generation that was to be replaced.
type StaleError struct {
	Name       string
	Want, Have uint64 // Have is 0 where nothing is published
	Coming     bool   // newer content lies there
}

func (e *StaleError) Error() string {
	if e.Coming {
		return fmt.Sprintf("adapters: generation %d of adapter %q is being replaced already", e.Have, e.Name)
	}
	if e.Have == 0 {
		return fmt.Sprintf("adapters: no generation of adapter %q is published, and %d was to be replaced", e.Name, e.Want)
	}
	return fmt.Sprintf("adapters: adapter %q is at generation %d, and %d was to be replaced", e.Name, e.Have, e.Want)
}

// changedError says that a generation's files are other ones by now, and how that showed, if by a failure.
type changedError struct {
	name  string
	cause error
}

func (e *changedError) Error() string {
	if e.cause == nil {
		return fmt.Sprintf("the files of %q have changed since they were looked at", e.name)
	}
	return fmt.Sprintf("the files of %q are not what they were: %s", e.name, reasonOf(e.cause))
}

// isTrouble says whether the system failed, for want of descriptors or by a disk that fails now and then, which says nothing of the content.
func isTrouble(err error) bool { return errors.As(err, new(syscall.Errno)) }

// baseError says that a base could not be used, which is not the adapter's fault.
type baseError struct {
	Base string
	Err  error
}

func (e *baseError) Error() string { return fmt.Sprintf("adapters: base %q: %v", e.Base, e.Err) }
func (e *baseError) Unwrap() error { return e.Err }

// reasonOf is an error's text as an adapter's own reason, which need not name the adapter.
func reasonOf(err error) string {
	var unfit *UnfitError
	switch {
	case !errors.As(err, &unfit):
		return strings.TrimPrefix(err.Error(), "adapters: ")
	case unfit.Base == "":
		return unfit.Reason
	}
	return fmt.Sprintf("on base %q %s", unfit.Base, unfit.Reason)
}
