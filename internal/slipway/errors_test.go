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
