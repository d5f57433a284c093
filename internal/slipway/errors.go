package slipway

import (
	"errors"
	"fmt"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"
	"unicode"
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
)

// Is reports whether target is the kind of e, as in errors.Is(err, ErrNotFound).
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Text == "" && t.Kind == e.Kind
}

// Errorf returns an *Error of kind k, with the text of Sentencef.
func Errorf(k Kind, format string, args ...any) error {
	return &Error{Kind: k, Text: Sentencef(format, args...)}
}

// blank is the word for a value without a visible character.
const blank = "(blank)"

// Sentencef is fmt.Sprintf without holes: an argument between words that cannot be seen
// becomes a word, as in: There is no Deployment (blank). Quotes around are left out.
// Hidden characters beside others, as of names, are visible in the text.
func Sentencef(format string, args ...any) string {
	if !slices.ContainsFunc(args, isBlank) {
		return Visible(fmt.Sprintf(format, args...))
	}
	marked := slices.Clone(args)
	for i, arg := range marked {
		if isBlank(arg) {
			marked[i] = gap{arg}
		}
	}
	return Visible(closeGaps(fmt.Sprintf(format, marked...)))
}

// isBlank reports whether arg is a text without a visible character, quotes not counted.
func isBlank(arg any) bool {
	var text string
	switch v := arg.(type) {
	case string:
		text = v
	case error, fmt.Stringer:
		text = fmt.Sprint(v)
	default:
		value := reflect.ValueOf(arg)
		if value.Kind() != reflect.String {
			return false
		}
		text = value.String()
	}
	return !strings.ContainsFunc(text, func(r rune) bool {
		return unicode.IsGraphic(r) && !unicode.IsSpace(r) && !strings.ContainsRune(`"“”`, r)
	})
}

// gapMark stands for a blank argument until the words around are known.
const gapMark = "\x00"

// gap is a blank argument of fmt.Sprintf.
type gap struct{ arg any }

// Format writes the mark where the text of the argument would stand.
func (g gap) Format(f fmt.State, verb rune) {
	if strings.ContainsRune("svq", verb) {
		fmt.Fprint(f, gapMark)
	} else {
		fmt.Fprintf(f, fmt.FormatString(f, verb), g.arg)
	}
}

// quotes stand around values in sentences.
var quotes = strings.NewReplacer(`"`+gapMark+`"`, gapMark, "“"+gapMark+"”", gapMark, "("+gapMark+")", gapMark)

// closeGaps puts a word in place of each mark between words. A mark in place of a whole
// sentence, or at the end of a word, is left out.
func closeGaps(text string) string {
	parts := strings.Split(quotes.Replace(text), gapMark)
	all := parts[0]
	for _, rest := range parts[1:] {
		next := strings.TrimLeft(rest, " ")
		begins := all == "" || strings.HasSuffix(all, ". ")
		switch {
		case begins && next == "":
			all = strings.TrimSuffix(all, " ")
		case begins && unicode.IsUpper(rune(next[0])):
			all += next
		case !begins && !strings.HasSuffix(all, " "):
			all += rest
		default:
			all += blank + rest
		}
	}
	return all
}

// PanicError is a panic as an error: a bug, met by one input.
type PanicError struct {
	Value any
	Stack []byte
}

func (p *PanicError) Error() string { return fmt.Sprintf("panic: %v\n%s", p.Value, p.Stack) }

// Recovered turns a panic, deferred, into the error of the deferring function: what one
// upload breaks must not end the process.
func Recovered(err *error) {
	if v := recover(); v != nil {
		*err = &PanicError{Value: v, Stack: debug.Stack()}
	}
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
	switch x := err.(type) { //nolint:errorlint // this walks the tree
	case *Error:
		return x, x.Kind == TooSlow
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
