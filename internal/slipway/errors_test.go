package slipway

import (
	"errors"
	"fmt"
	"io"
	"testing"
)

func TestErrorIs(t *testing.T) {
	kinds := map[Kind]error{
		Invalid: ErrInvalid, Unauthorized: ErrUnauthorized, Forbidden: ErrForbidden, NotFound: ErrNotFound, Conflict: ErrConflict,
		TooLarge: ErrTooLarge, TooMany: ErrTooMany, NoSpace: ErrNoSpace, Unavailable: ErrUnavailable,
	}
	for name, tt := range map[string]struct {
		err       error
		kind      Kind // Internal for none
		explained bool
	}{
		"none":                   {},
		"a fault":                {err: io.EOF},
		"a sentence":             {Errorf(NotFound, "There is no deploy #%d.", 4), NotFound, true},
		"a named sentence":       {ErrBaseChanged, Conflict, true},
		"wrapped":                {fmt.Errorf("load deploy: %w", Errorf(Forbidden, "No.")), Forbidden, true},
		"with its cause":         {DiskFull(io.ErrShortWrite), NoSpace, true},
		"the cause stands first": {errors.Join(io.EOF, Errorf(TooMany, "Later.")), TooMany, true},
		"a bug with a text":      {err: Errorf(Internal, "Nobody reads this.")},
	} {
		for kind, target := range kinds {
			if got := errors.Is(tt.err, target); got != (kind == tt.kind) {
				t.Errorf("%s: is of kind %v: %v", name, kind, got)
			}
		}
		if got := Explained(tt.err); got != tt.explained {
			t.Errorf("%s: explained %v, want %v", name, got, tt.explained)
		}
	}
	if errors.Is(Errorf(Conflict, "%s", ErrBaseChanged.Text), ErrBaseChanged) {
		t.Error("another error with the same text is ErrBaseChanged")
	}
	if errors.Is(ErrNotFound, ErrBaseChanged) || errors.Is(ErrNotFound, ErrConflict) {
		t.Error("a kind is another error")
	}
}

// blankName is blank as a name, the others by what their methods say.
type (
	blankName   string
	blankTime   struct{}
	blankNumber int
)

func (blankTime) String() string   { return " " }
func (blankNumber) String() string { return "" }

func TestSentencef(t *testing.T) {
	for want, got := range map[string]string{
		"There is no Deployment (blank).":              Sentencef("There is no Deployment %s.", ""),
		"There is no Workspace (blank).":               Sentencef("There is no Workspace %s.", DeploymentID(" \t")),
		"There is no token (blank).":                   Sentencef("There is no token %s.", "\u200b\u202e"),
		"There is no deploy #3 of (blank).":            Sentencef("There is no deploy #%d of %v.", 3, blankName("")),
		"The wait (blank) is none.":                    Sentencef("The wait %s is none.", blankTime{}),
		"The cause: (blank).":                          Sentencef("The cause: %s.", errors.New("")),
		`(blank) is no "role" of (blank) here.`:        Sentencef("%s is no %q of %q here.", "", "role", ""),
		"(blank) and (blank) are the same.":            Sentencef("%s and %s are the same.", "", ""),
		"The tag (blank) or (blank) is none.":          Sentencef(`The tag "%s" or “%s” is none.`, "", " "),
		"The file (blank) is empty.":                   Sentencef("The file %s is empty.", `""`),
		"Nothing (blank): wait.":                       Sentencef("Nothing (%s): wait.", ""),
		"":                                             Sentencef("%s", ""),
		"Open /deploys":                                Sentencef("%s Open %s", "", "/deploys"),
		"It is cancelled. Begin anew.":                 Sentencef("It is cancelled. %s Begin anew.", ""),
		"It is cancelled.":                             Sentencef("It is cancelled. %s", ""),
		"It failed.":                                   Sentencef("It failed%s.", ""),
		"Kind 0 has no name.":                          Sentencef("Kind %d has no name%s.", blankNumber(0), ""),
		"The field a cannot be 1. Nothing is changed.": Sentencef("The field %s cannot be %s. %s Nothing is changed.", "a", "1", ""),
		"There is no Deployment x.":                    Sentencef("There is no Deployment %s.", "x"),
		"100 % of 2":                                   Sentencef("100 %% of %d", 2),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
