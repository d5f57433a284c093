package web

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

const setupLink = "/setup/open-sesame"

func setupForm(change ...string) []string {
	return append([]string{
		"email", "Ada@example.com", "name", "Ada", "password", storetest.Password,
		"workspace", "Data Platform", "deployment", "sales-prod", "where", "here",
	}, change...)
}

func notSetUp(t *testing.T) *app {
	return emptyApp(t, Config{SetupSecret: "open-sesame"})
}

func TestSetup(t *testing.T) {
	a := notSetUp(t)
	b := a.browser(t)
	goesTo(t, b.get("/"), "/signin?next=%2F")
	want(t, b.get("/signin"), http.StatusOK, "Slipway printed a link when it started")
	want(t, b.get(setupLink), http.StatusOK, "First Workspace and Deployment")

	w := b.post(setupLink, setupForm()...)

	var u slipway.User
	var d []slipway.Deployment
	var all []slipway.Workspace
	storetest.View(t, a.store, func(tx *store.Tx) (err error) {
		if u, err = tx.UserByEmail("ada@example.com"); err != nil {
			return err
		}
		if all, err = tx.Workspaces(u.ID); err != nil {
			return err
		}
		d, err = tx.Deployments(all[0].ID)
		return err
	})
	if !u.Admin || u.Name != "Ada" || len(all) != 1 || all[0].Name != "Data Platform" {
		t.Errorf("user %+v, Workspaces %+v", u, all)
	}
	if len(d) != 1 || d[0].Name != "sales-prod" || !d[0].Local || !d[0].DAGDeploys || d[0].Creator != "Ada" {
		t.Errorf("Deployments %+v", d)
	}
	if got := a.role(t, all[0].ID, u.ID); got != slipway.Owner {
		t.Errorf("role %v, want Owner", got)
	}
	if got := a.events(t, all[0].ID); len(got) != 1 || got[0] != "installation.setup Data Platform" {
		t.Errorf("events %q", got)
	}
	goesTo(t, w, "/deployments/"+string(d[0].ID))
	want(t, b.get("/account"), http.StatusOK, "ada@example.com")

	want(t, b.get(setupLink), http.StatusConflict, "Slipway has been set up already. Sign in.")
	want(t, a.browser(t).post(setupLink, setupForm("email", "mallory@example.com")...), http.StatusConflict)
	want(t, a.browser(t).get("/signin"), http.StatusOK, "<h1>Sign in</h1>")
}

func TestSetupIsRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		link   string
		change []string
		want   int
		says   string
	}{
		"wrong link":     {link: "/setup/wrong", want: http.StatusNotFound, says: "This set-up link does not work"},
		"no address":     {change: []string{"email", "ada"}, want: http.StatusUnprocessableEntity, says: "is not an email address"},
		"short password": {change: []string{"password", "short"}, want: http.StatusUnprocessableEntity, says: "at least 10 characters"},
		"no Workspace":   {change: []string{"workspace", ""}, want: http.StatusUnprocessableEntity, says: "A Workspace needs a name."},
		"no Deployment":  {change: []string{"deployment", " "}, want: http.StatusUnprocessableEntity, says: "A Deployment needs a name."},
		"no name":        {change: []string{"name", ""}, want: http.StatusUnprocessableEntity, says: "An account needs a name."},
	} {
		t.Run(name, func(t *testing.T) {
			a := notSetUp(t)
			if tt.link == "" {
				tt.link = setupLink
			}
			w := a.browser(t).post(tt.link, setupForm(tt.change...)...)
			want(t, w, tt.want, tt.says)
			if tt.want == http.StatusUnprocessableEntity && strings.Contains(w.Body.String(), storetest.Password) {
				t.Error("the page gives the password back")
			}
			storetest.View(t, a.store, func(tx *store.Tx) error {
				n, err := tx.CountUsers()
				if n != 0 {
					t.Errorf("%d accounts afterwards", n)
				}
				return err
			})
		})
	}
	want(t, emptyApp(t, Config{}).browser(t).get("/setup/"), http.StatusNotFound)
}

func TestSetupOfTwoAtOnce(t *testing.T) {
	a := notSetUp(t)
	codes := make([]int, 4)
	var all sync.WaitGroup
	for i := range codes {
		b := a.browser(t)
		all.Go(func() {
			codes[i] = b.post(setupLink, setupForm("email", string(rune('a'+i))+"@example.com")...).Code
		})
	}
	all.Wait()
	won := 0
	for _, c := range codes {
		switch c {
		case http.StatusSeeOther:
			won++
		case http.StatusConflict:
		default:
			t.Errorf("answer %d", c)
		}
	}
	storetest.View(t, a.store, func(tx *store.Tx) error {
		n, err := tx.CountUsers()
		if n != 1 || won != 1 {
			t.Errorf("%d won, %d accounts", won, n)
		}
		return err
	})
}
