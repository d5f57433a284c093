package web

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"slipway/internal/auth"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

// Nobody comes back by a link that they made while they were Owner.
func TestInvitationsEndWithTheirOwner(t *testing.T) {
	for name, tt := range map[string]struct {
		path string
		form []string
		want int
	}{
		"removed":     {path: "/remove", want: http.StatusNotFound},
		"demoted":     {form: []string{"role", "Operator"}, want: http.StatusNotFound},
		"Owner still": {form: []string{"role", "Owner"}, want: http.StatusOK},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t)
			link := a.invite(t, "Owner")
			storetest.Update(t, a.store, func(tx *store.Tx) error { return tx.SetRole(a.Workspace.ID, a.Oli.User, slipway.Owner) })
			want(t, a.as(t, a.Oli).post(a.memberPath(a.Ada)+tt.path, tt.form...), http.StatusSeeOther)
			want(t, a.as(t, a.Sam).get(link), tt.want)
		})
	}
}

// Whoever guesses cannot earn more tries by signing in to an account of theirs.
func TestOwnSignInGivesNoTries(t *testing.T) {
	a := newApp(t)
	a.now = time.Date(2026, 11, 22, 14, 0, 0, 0, time.UTC)
	b := a.browser(t)
	for i := range auth.AddressTries - 1 {
		want(t, b.signIn(fmt.Sprintf("victim%d@example.com", i), "wrong horse battery"), http.StatusUnauthorized)
	}
	want(t, b.signIn("eve@example.com", storetest.Password), http.StatusSeeOther)
	want(t, b.signIn("one-more@example.com", "wrong horse battery"), http.StatusUnauthorized)
	for _, status := range []int{http.StatusUnauthorized, http.StatusUnauthorized, http.StatusTooManyRequests} {
		want(t, b.signIn("next@example.com", "wrong horse battery"), status) // the network is slowed
	}
}

func TestNetwork(t *testing.T) {
	for ip, want := range map[string]string{
		"192.0.2.7":              "192.0.2.7",
		"::ffff:192.0.2.7":       "::ffff:192.0.2.7",
		"2001:db8:1:2:3:4:5:6":   "2001:db8:1:2::/64",
		"2001:db8:1:2:ffff::1":   "2001:db8:1:2::/64",
		"fe80::1:2:3:4%eth0":     "fe80::/64",
		"not an address at all!": "not an address at all!",
	} {
		if got := auth.Network(ip); got != want {
			t.Errorf("network(%q) is %q, want %q", ip, got, want)
		}
	}
}

// What a plain form makes us remember is bounded.
func TestPlainFormTakesLittleMemory(t *testing.T) {
	long := strings.Repeat("n", 8<<10)
	many := make([]sent, maxNames/len(long)+1)
	for i := range many {
		many[i] = sent{name: fmt.Sprint(long, i, ".py"), text: "x"}
	}
	for name, tt := range map[string]struct {
		files  []sent
		fields []string
		want   string
	}{
		"fields": {[]sent{{"b.py", dag}}, []string{"a", strings.Repeat("x", maxForm/2), "b", strings.Repeat("x", maxForm/2)}, "The fields of the form are larger than"},
		"names":  {many, nil, "These are too many files for a form."},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t)
			want(t, a.as(t, a.Eve).do(form(t, a.page("/deploys"), tt.files, tt.fields...)), http.StatusRequestEntityTooLarge, tt.want)
		})
	}
}

// A page compares so many bytes by itself; the rest waits to be asked for.
func TestChangesCompareOnlySoMuch(t *testing.T) {
	a := newApp(t)
	a.run(t)
	files := map[string]string{}
	for i := range 2*openBytes/maxShownBytes + 1 {
		files[fmt.Sprintf("f%02d.py", i)] = fmt.Sprintln(i) + strings.Repeat("x\n", 4<<9) + strings.Repeat("y", maxShownBytes/2)
	}
	a.staged(t, a.Eve, files)

	w := a.as(t, a.Eve).get(a.page("/deploys/1"))

	want(t, w, http.StatusOK)
	rows := strings.Split(w.Body.String(), `data-testid="file"`)[1:]
	if len(rows) != len(files) {
		t.Fatalf("%d of %d files are listed", len(rows), len(files))
	}
	for i, row := range rows {
		if counted := strings.Contains(row, ">lines<"); i == 0 && !counted || i == len(rows)-1 && counted {
			t.Errorf("file %d of %d is compared: %v", i, len(files), counted)
		}
	}
}

// A file that is shown cannot write fields of the event stream.
func TestEventDataOfAnyText(t *testing.T) {
	var b strings.Builder
	writeData(&b, "a\rdata: b\r\nc\n\rretry: 1\r\r")
	got := b.String()
	for line := range strings.Lines(got) {
		if !strings.HasPrefix(line, "data: ") || strings.Contains(line, "\r") {
			t.Errorf("a line of its own %q in:\n%q", line, got)
		}
	}
	if strings.Count(got, "\n") != 7 {
		t.Errorf("%d lines:\n%q", strings.Count(got, "\n"), got)
	}
}
