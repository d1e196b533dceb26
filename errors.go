package penumbra

import (
	"errors"
	"strings"
)

// ErrorKind says what follows from an error: correct the input, wait, try
// again, ask a person. It is mapped to an exit code and to an HTTP status in
// one place each.
type ErrorKind uint8

// The kinds of error.
const (
	// Internal is a fault of Penumbra itself.
	Internal ErrorKind = iota
	// Invalid is input that has to be corrected first.
	Invalid
	// NotFound is a name that stands for nothing.
	NotFound
	// Missing is a tool or a file of the environment that is not there.
	Missing
	// Unavailable is a source that could not be read now: try again later.
	Unavailable
	// Locked is work that somebody else is doing: wait.
	Locked
	// Stale is evidence that the world has moved away from: look again.
	Stale
	// Refused is an act that policy or the state of things does not allow.
	Refused
	// Full is a store that can take no more: make room.
	Full
	// Damaged is stored data that cannot be read back.
	Damaged
)

var errorKindNames = [...]string{"internal", "invalid", "not found", "missing", "unavailable", "locked", "stale", "refused", "full", "damaged"}

func (k ErrorKind) String() string {
	if int(k) < len(errorKindNames) {
		return errorKindNames[k]
	}
	return "unknown"
}

// Retry reports whether the same call may succeed later by itself.
func (k ErrorKind) Retry() bool { return k == Unavailable || k == Locked }

// Error is an error that a user sees: what failed, and what to do about it.
type Error struct {
	Kind   ErrorKind
	What   string // what failed, naming the place: "read state prod.tfstate: line 3: unexpected end"
	Remedy string // what to do: "run `tofu init` in infra/ first"; may be empty
	Err    error  // the cause; may be nil
}

// Error joins what failed, the cause and the remedy.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.What)
	if e.Err != nil {
		b.WriteString(": ")
		b.WriteString(e.Err.Error())
	}
	if e.Remedy != "" {
		b.WriteString("; ")
		b.WriteString(e.Remedy)
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf returns the kind of the outermost [Error] in err's chain, Internal if
// there is none.
func KindOf(err error) ErrorKind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}
