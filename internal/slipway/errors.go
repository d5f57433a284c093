package slipway

import (
	"errors"
	"fmt"
)

// Kind says what went wrong, in terms a caller can act on.
type Kind int

// The kinds of error. Internal is the zero value: a bug or an outage, of which
// the user sees no detail.
const (
	Internal     Kind = iota
	Invalid           // the request cannot be carried out as it stands
	Unauthorized      // nobody is signed in, or the credential is not good
	Forbidden         // the caller's role does not allow it
	NotFound          // it does not exist, or not for this caller
	Conflict          // somebody else was faster, or the state does not allow it
	TooLarge          // over a limit of size or number
	TooMany           // too often in too short a time
	NoSpace           // the disk is full, or would be
	Unavailable       // what we rely on cannot be reached now
)

// Error is a failure whose text the user may read: a sentence with a full stop
// that says what, where and how to go on.
type Error struct {
	Kind Kind
	Text string
}

func (e *Error) Error() string { return e.Text }

// Errorf returns an *Error of kind k.
func Errorf(k Kind, format string, args ...any) error {
	return &Error{Kind: k, Text: fmt.Sprintf(format, args...)}
}

// Explain returns the kind of err and the text the user may read.
func Explain(err error) (Kind, string) {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind, e.Text
	}
	return Internal, "Something went wrong on our side."
}
