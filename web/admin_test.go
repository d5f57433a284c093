package web

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"slipway/internal/auth"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

func TestInstallationPages(t *testing.T) {
	a := newApp(t)
	a.run(t)
	a.live(t, a.Eve, map[string]string{"a.py": dag})
	eventually(t, "the mount reports", func() bool { return len(a.engine.Components(a.Sales.ID)) == 1 })
	b := a.as(t, a.Root)
	want(t, b.get("/admin"), http.StatusOK, "1.2.3", "Data Platform", "Root Admin", "Not known", "1 connected", "0 going live", "6 accounts"[:1], "of another version")
	want(t, b.get("/admin/storage"), http.StatusOK, "sales-prod", "in the data folder", "stays free", a.page("/versions"))
	want(t, b.get("/admin/backups"), http.StatusOK, "slipway backup --data ", "Not known")
	want(t, b.get("/admin/agents"), http.StatusOK, "this-machine", a.page(""))
	want(t, b.get(a.page("")), http.StatusOK, `href="/admin"`)
	if strings.Contains(a.as(t, a.Ada).get(a.page("")).Body.String(), `href="/admin"`) {
		t.Error("an Owner is led to the installation")
	}
	at := time.Date(2026, 11, 28, 16, 0, 0, 0, time.UTC)
	storetest.Update(t, a.store, func(tx *store.Tx) error {
		return tx.NoteBackup(store.Backup{At: at, File: "/srv/slipway.backup", Bytes: 3_400_000_000, Took: 48 * time.Second})
	})
	want(t, b.get("/admin/backups"), http.StatusOK, "2026-11-28 16:00 UTC", "/srv/slipway.backup", "3.4 GB", "48 s")
}

func TestAdminFindsPeople(t *testing.T) {
	a := newApp(t)
	b := a.as(t, a.Root)
	for text, n := range map[string]int{"": 6, "EVE": 1, "author": 1, "@example.com": 6, "nobody": 0} {
		w := b.get(accountsPath + "?q=" + text)
		if got := strings.Count(w.Body.String(), `data-testid="account"`); got != n {
			t.Errorf("%q finds %d accounts, want %d", text, got, n)
		}
	}
	want(t, b.get(accountsPath+"?q=nobody"), http.StatusOK, "Nobody is like this", "Show all accounts")
}

func TestPasswordLink(t *testing.T) {
	a := newApp(t)
	eve := a.as(t, a.Eve)
	admin := a.as(t, a.Root)
	link := regexp.MustCompile(`/password/[A-Z0-9]+`)
	first := link.FindString(admin.post(accountPath(a.Eve.User) + "/password").Body.String())
	second := link.FindString(admin.post(accountPath(a.Eve.User) + "/password").Body.String())
	if first == "" || second == "" || first == second {
		t.Fatalf("links %q and %q", first, second)
	}
	nobody := a.browser(t)
	want(t, nobody.get(first), http.StatusNotFound, "Ask an administrator for a new one.")
	want(t, nobody.get(second), http.StatusOK, "eve@example.com")
	want(t, nobody.post(second, "password", "short"), http.StatusUnprocessableEntity, "at least 10 characters")
	want(t, eve.get("/account"), http.StatusOK)
	goesTo(t, nobody.post(second, "password", "a long new password"), "/signin")
	want(t, nobody.post(second, "password", "a long new password"), http.StatusNotFound)
	goesTo(t, eve.get("/account"), "/signin?next=%2Faccount")
	goesTo(t, a.browser(t).signIn("eve@example.com", "a long new password"), "/")
	want(t, admin.post(accountPath(a.Root.User)+"/password"), http.StatusConflict, "This is your own account")
	for _, action := range []string{"account.password-link eve@example.com", "account.password eve@example.com"} {
		if !slices.Contains(a.events(t, ""), action) {
			t.Errorf("%s is not in the audit log: %v", action, a.events(t, ""))
		}
	}
	old := link.FindString(admin.post(accountPath(a.Eve.User) + "/password").Body.String())
	a.now = time.Now().Add(slipway.PasswordLinkLife + time.Minute)
	want(t, nobody.get(old), http.StatusNotFound)
}

func TestAdminDisablesAnAccount(t *testing.T) {
	a := newApp(t)
	ada, admin, path := a.as(t, a.Ada), a.as(t, a.Root), accountPath(a.Ada.User)
	want(t, admin.get(path), http.StatusOK, "Yes, disable ada@example.com", "1 session", "Data Platform will have no Owner who can sign in")
	want(t, admin.post(path+"/disable"), http.StatusUnprocessableEntity, "Tick that the account ada@example.com")
	want(t, ada.get("/account"), http.StatusOK)
	goesTo(t, admin.post(path+"/disable", "sure", "yes"), path)
	goesTo(t, ada.get("/account"), "/signin?next=%2Faccount")
	want(t, admin.get(path), http.StatusOK, "Enable the account", "is disabled. Ended: 1 session")
	want(t, admin.post(path+"/password"), http.StatusConflict, "Enable it first.")
	goesTo(t, admin.post(path+"/enable"), path)
	goesTo(t, a.browser(t).signIn("ada@example.com", storetest.Password), "/")
	goesTo(t, admin.post(path+"/sessions/end"), path)
	if got := a.events(t, ""); !slices.Contains(got, "account.sessions ada@example.com") || !slices.Contains(got, "account.enable ada@example.com") {
		t.Errorf("events %v", got)
	}
	want(t, admin.post(accountPath(a.Root.User)+"/disable", "sure", "yes"), http.StatusConflict, "This is your own account")
	want(t, admin.get(accountPath(a.Root.User)), http.StatusOK, "This is your own account")
}

func TestDeleteWorkspace(t *testing.T) {
	a := newApp(t)
	admin, path := a.as(t, a.Root), workspacePath(a.Other.ID)
	want(t, admin.get("/workspaces"), http.StatusOK, path+"/delete")
	want(t, admin.get(workspacePath(a.Workspace.ID)+"/delete"), http.StatusOK, "still has a Deployment")
	want(t, admin.get(path+"/delete"), http.StatusOK, "1 membership", "0 API tokens", "Delete the Workspace Other")
	want(t, admin.post(path+"/delete", "typed", "Othr"), http.StatusUnprocessableEntity, "Type the name", `value="Othr"`)
	goesTo(t, admin.post(path+"/delete", "typed", "Other"), "/workspaces")
	want(t, admin.get(path), http.StatusNotFound)
	want(t, admin.get("/admin/audit"), http.StatusOK, "deleted the Workspace")
}

// The audit log of a Workspace outlives it, in the log of the installation.
func TestAuditOfDeletedWorkspace(t *testing.T) {
	a := newApp(t)
	admin := a.as(t, a.Root)
	err := a.store.Update(t.Context(), func(tx *store.Tx) error {
		return errors.Join(
			tx.Audit(a.Ada, slipway.Event{Workspace: a.Other.ID, Action: "registry.set", Target: "of-the-other.example"}),
			tx.Audit(a.Ada, slipway.Event{Workspace: a.Workspace.ID, Action: "registry.set", Target: "of-the-first.example"}))
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, gone := range []bool{false, true} {
		if gone {
			goesTo(t, admin.post(workspacePath(a.Other.ID)+"/delete", "typed", "Other"), "/workspaces")
		}
		text := admin.get("/admin/audit").Body.String()
		if strings.Contains(text, "of-the-other.example") != gone || strings.Contains(text, "of-the-first.example") {
			t.Errorf("deleted %v: the log of the installation shows:\n%s", gone, text)
		}
	}
}

// An export asks before each batch whether its reader is still an administrator.
func TestInstallationAuditAsksAgain(t *testing.T) {
	a := newApp(t)
	c := echo.New().NewContext(httptest.NewRequest(http.MethodGet, adminAuditPath, nil), httptest.NewRecorder())
	for _, admin := range []bool{true, false} {
		err := a.store.Update(t.Context(), func(tx *store.Tx) error {
			u, err := tx.User(a.Root.User)
			if err != nil {
				return err
			}
			c.Set(auth.UserKey, u)
			if !admin {
				if err := tx.DisableUser(u.ID); err != nil {
					return err
				}
			}
			_, err = installationAudit(c, tx)
			return err
		})
		if (err == nil) != admin {
			t.Errorf("administrator %v: %v", admin, err)
		}
	}
}
