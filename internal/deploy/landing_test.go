package deploy_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/slipway"
)

// TestLandingOfALooseFile: a changed file takes the place of the live one of its name;
// the place can be changed, and the API is told of it.
func TestLandingOfALooseFile(t *testing.T) {
	a := running(t)
	a.Deployed(t, slipway.ReplaceAll, map[string]string{"sales/orders.py": dag("o"), "x/twice.py": dag("x"), "y/twice.py": dag("y")})
	person := a.Eve
	person.Via = slipway.Portal
	changes := func(w slipway.Deploy, want ...string) {
		t.Helper()
		r, err := a.Engine.Review(t.Context(), a.Sales.ID, w.Number, person)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, changesOf(r.Plan)); diff != "" {
			t.Errorf("changes (-want +got):\n%s", diff)
		}
	}
	w := sent(t, a, person, slipway.AddFiles, "", map[string]string{"orders.py": dag("o2"), "twice.py": dag("z")})
	_, err := a.Engine.Confirm(t.Context(), a.Sales.ID, w.Number, person, w.Base, slipway.Ticks{})
	wantKind(t, err, slipway.Invalid, "twice.py stands at 2 places")
	changes(w, "~sales/orders.py", "+twice.py")
	for _, choice := range [][]string{{"twice.py", "y"}, {"orders.py", ""}, {"orders.py", "sales"}} {
		if w, err = a.Engine.ChooseLanding(t.Context(), a.Sales.ID, w.Number, person, choice[0], choice[1]); err != nil {
			t.Fatal(err)
		}
	}
	changes(w, "~sales/orders.py", "~y/twice.py")
	a.Confirm(t, w.Number, person)
	a.Await(t, w.Number, slipway.Deployed)
	a.WantMounted(t, map[string]string{"sales/orders.py": dag("o2"), "x/twice.py": dag("x"), "y/twice.py": dag("z")})

	client := a.Eve
	client.Via = slipway.API
	w = sent(t, a, client, slipway.AddFiles, "", map[string]string{"orders.py": dag("o3")})
	changes(w, "+orders.py")
	if want := "dags/orders.py is new, and dags/sales/orders.py stands there already: to change that one, send the field folder."; w.Note != want {
		t.Errorf("note %q, want %q", w.Note, want)
	}
}

// TestConfirmationIsForWhatWasRead: after another choice of the place, in another window
// or between the plan and its transaction, the changes are read again.
func TestConfirmationIsForWhatWasRead(t *testing.T) {
	a := running(t)
	a.Deployed(t, slipway.ReplaceAll, map[string]string{"sales/orders.py": dag("o"), "x/keep.py": dag("k")})
	person := a.Eve
	person.Via = slipway.Portal
	w := sent(t, a, person, slipway.AddFiles, "", map[string]string{"orders.py": "no = 1\n", "other.py": dag("p")})
	choose := func(folder string) {
		t.Helper()
		if _, err := a.Engine.ChooseLanding(t.Context(), a.Sales.ID, w.Number, person, "orders.py", folder); err != nil {
			t.Fatal(err)
		}
	}
	choose("")
	r, err := a.Engine.Review(t.Context(), a.Sales.ID, w.Number, person)
	if err != nil {
		t.Fatal(err)
	}
	read := slipway.Ticks{Review: r.Deploy.ReviewTag()}
	_, err = a.Engine.ConfirmWhile(t.Context(), a.Sales.ID, w.Number, person, r.Base, read, func() { choose("sales") })
	if !errors.Is(err, slipway.ErrReviewChanged) {
		t.Errorf("confirmed while another place was chosen: %v", err)
	}
	for _, ticks := range []slipway.Ticks{read, {}} {
		_, err = a.Engine.Confirm(t.Context(), a.Sales.ID, w.Number, a.Ada, r.Base, ticks)
		if !errors.Is(err, slipway.ErrReviewChanged) {
			t.Errorf("confirmed with a page that shows another place: %v", err)
		}
	}
	choose("")
	if r, err = a.Engine.Review(t.Context(), a.Sales.ID, w.Number, a.Ada); err != nil {
		t.Fatal(err)
	}
	if _, err = a.Engine.Confirm(t.Context(), a.Sales.ID, w.Number, a.Ada, r.Base, slipway.Ticks{Review: r.Deploy.ReviewTag()}); err != nil {
		t.Fatal(err)
	}
	a.Await(t, w.Number, slipway.Deployed)
	a.WantMounted(t, map[string]string{"orders.py": "no = 1\n", "other.py": dag("p"), "sales/orders.py": dag("o"), "x/keep.py": dag("k")})
}

// TestPlacesAreFoundAnew: a name that came, or went elsewhere, while the deploy waited
// is seen.
func TestPlacesAreFoundAnew(t *testing.T) {
	a := running(t)
	a.Deployed(t, slipway.ReplaceAll, map[string]string{"finance/tax.py": dag("t"), "x/keep.py": dag("k")})
	person := a.Eve
	person.Via = slipway.Portal
	w := sent(t, a, person, slipway.AddFiles, "", map[string]string{"new.py": dag("n"), "tax.py": dag("t2")})
	a.Deployed(t, slipway.ReplaceAll, map[string]string{"ops/tax.py": dag("t"), "sales/new.py": dag("m")})
	r, err := a.Engine.Review(t.Context(), a.Sales.ID, w.Number, person)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"~ops/tax.py", "~sales/new.py"}, changesOf(r.Plan)); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	if _, err := a.Engine.ChooseLanding(t.Context(), a.Sales.ID, w.Number, person, "new.py", ""); err != nil {
		t.Fatal(err)
	}
	a.Confirm(t, w.Number, person)
	a.Await(t, w.Number, slipway.Deployed)
	a.WantMounted(t, map[string]string{"new.py": dag("n"), "ops/tax.py": dag("t2"), "sales/new.py": dag("m")})
}
