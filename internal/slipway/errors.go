package slipway

import (
	"errors"
	"fmt"
)

// Kind is a sort of error that a caller can act on.
type Kind int

// The kinds of error. Internal is the zero value: a bug or a fault, hidden from
// the user.
const (
	Internal      Kind = iota
	Invalid            // the request cannot be carried out as sent
	Unauthorized       // nobody is signed in, or the credential is not good
	Forbidden          // the caller's role is too small
	NotFound           // missing, or hidden from the caller
	Conflict           // somebody else was faster, or the state forbids the request
	TooLarge           // over a limit of size or number
	TooMany            // too often in too short a time
	NoSpace            // the disk is full, or would be
	Unavailable        // a needed service cannot be reached now
	Unprocessable      // the request contradicts an earlier one under the same key
	TooSlow            // the request did not arrive in time
)

// Error is a failure for the user to read: a full sentence with the fault, the
// place and the next step.
type Error struct {
	Kind Kind
	Text string
}

func (e *Error) Error() string { return e.Text }

// The kinds of error as targets of errors.Is.
var (
	ErrInvalid      = &Error{Kind: Invalid}
	ErrUnauthorized = &Error{Kind: Unauthorized}
	ErrForbidden    = &Error{Kind: Forbidden}
	ErrNotFound     = &Error{Kind: NotFound}
	ErrConflict     = &Error{Kind: Conflict}
	ErrTooLarge     = &Error{Kind: TooLarge}
	ErrTooMany      = &Error{Kind: TooMany}
	ErrNoSpace      = &Error{Kind: NoSpace}
	ErrUnavailable  = &Error{Kind: Unavailable}

	ErrUnprocessable = &Error{Kind: Unprocessable}
	ErrTooSlow       = &Error{Kind: TooSlow}
)

// Is reports whether target is the kind of e, as in errors.Is(err, ErrNotFound).
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Text == "" && t.Kind == e.Kind
}

// Errorf returns an *Error of kind k.
func Errorf(k Kind, format string, args ...any) error {
	return &Error{Kind: k, Text: fmt.Sprintf(format, args...)}
}

// Explained reports whether err has a text that the user may read. Without a
// text, err is nil or Internal.
func Explained(err error) bool {
	kind, _ := Explain(err)
	return kind != Internal
}

// Explain returns the kind of err and the text the user may read. A request that
// did not arrive in time is the reason for each other error about the request.
func Explain(err error) (Kind, string) {
	if e, ok := tooSlow(err); ok {
		return e.Kind, e.Text
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind, e.Text
	}
	return Internal, "Something went wrong on our side."
}

// tooSlow finds an error of the kind TooSlow anywhere in err.
func tooSlow(err error) (*Error, bool) {
	if !errors.Is(err, ErrTooSlow) {
		return nil, false
	}
	switch x := err.(type) { //nolint:errorlint // this walks the tree
	case *Error:
		return x, true
	case interface{ Unwrap() error }:
		return tooSlow(x.Unwrap())
	case interface{ Unwrap() []error }:
		for _, one := range x.Unwrap() {
			if e, ok := tooSlow(one); ok {
				return e, true
			}
		}
	}
	return nil, false
}
