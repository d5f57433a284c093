package store_test

import (
	"fmt"
	"slices"
	"testing"

	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

// names returns the names of Deployments.
func names(all []slipway.Deployment) (out []string) {
	for _, d := range all {
		out = append(out, d.Name)
	}
	return out
}

func TestFindDeployments(t *testing.T) {
	st := storetest.Open(t)
	w := storetest.Seed(t, st)
	var one slipway.Actor
	storetest.Update(t, st, func(tx *store.Tx) error {
		for _, name := range []string{"Álpha", "beta", "Gamma"} {
			if _, err := storetest.AddDeployment(tx, w.Workspace.ID, name); err != nil {
				return err
			}
		}
		if _, err := storetest.AddDeployment(tx, w.Other.ID, "away"); err != nil {
			return err
		}
		gone, err := storetest.AddDeployment(tx, w.Workspace.ID, "gone")
		if err == nil {
			err = tx.MarkDeleted(gone.ID)
		}
		if err != nil {
			return err
		}
		token, err := tx.AddToken(store.Token{ID: tx.NewTokenID(), Kind: store.APIToken, Workspace: w.Workspace.ID, Deployment: w.Sales.ID, Role: slipway.Author})
		one = slipway.Actor{Token: token.ID}
		return err
	})
	for name, tt := range map[string]struct {
		by    slipway.Actor
		f     store.DeploymentFilter
		l     store.Listing
		want  []string
		total int
	}{
		"by name":          {by: w.Mia, l: store.Listing{Limit: 9}, want: []string{"beta", "Gamma", "sales-prod", "Álpha"}, total: 4},
		"a part":           {by: w.Mia, l: store.Listing{Limit: 2, Offset: 1}, want: []string{"Gamma", "sales-prod"}, total: 4},
		"beyond the end":   {by: w.Mia, l: store.Listing{Limit: 2, Offset: 9}, total: 4},
		"of a stranger":    {by: w.Sam, l: store.Listing{Limit: 9}, want: []string{"away"}, total: 1},
		"of an admin":      {by: w.Root, l: store.Listing{Limit: 2}, want: []string{"away", "beta"}, total: 5},
		"of a token":       {by: one, l: store.Listing{Limit: 9}, want: []string{"sales-prod"}, total: 1},
		"of nobody":        {by: slipway.Actor{User: "nobody"}, l: store.Listing{Limit: 9}},
		"other letters":    {by: w.Mia, l: store.Listing{Limit: 9, Search: "ÁLPHA"}, want: []string{"Álpha"}, total: 1},
		"a sign of LIKE":   {by: w.Mia, l: store.Listing{Limit: 9, Search: "_"}},
		"sorted down":      {by: w.Mia, l: store.Listing{Limit: 2, Sorts: []store.Sort{{Field: "name", Down: true}}}, want: []string{"Álpha", "sales-prod"}, total: 4},
		"another's, by id": {by: w.Sam, f: store.DeploymentFilter{IDs: []string{string(w.Sales.ID)}}, l: store.Listing{Limit: 9}},
	} {
		t.Run(name, func(t *testing.T) {
			storetest.View(t, st, func(tx *store.Tx) error {
				got, total, err := tx.FindDeployments(tt.by, tt.f, tt.l)
				if !slices.Equal(names(got), tt.want) || total != tt.total {
					t.Errorf("found %q of %d, want %q of %d", names(got), total, tt.want, tt.total)
				}
				return err
			})
		})
	}
}

func TestFindTokens(t *testing.T) {
	st := storetest.Open(t)
	w := storetest.Seed(t, st)
	storetest.Update(t, st, func(tx *store.Tx) error {
		for i, of := range []slipway.DeploymentID{"", w.Sales.ID, "", w.Sales.ID} {
			token := store.Token{ID: tx.NewTokenID(), Secret: fmt.Sprint(i), Kind: store.APIToken, Name: fmt.Sprint("t", i), Workspace: w.Workspace.ID, Deployment: of, Role: slipway.Author}
			if _, err := tx.AddToken(token); err != nil {
				return err
			}
		}
		return nil
	})
	yes := true
	whole := store.TokenScope{Workspace: w.Workspace.ID}
	all := store.TokenScope{Workspace: w.Workspace.ID, Ones: true}
	for name, tt := range map[string]struct {
		f     store.TokenFilter
		total int
	}{
		"everywhere":              {f: store.TokenFilter{Everywhere: true}, total: 4},
		"none in reach":           {},
		"of a Workspace":          {f: store.TokenFilter{Scopes: []store.TokenScope{whole}}, total: 2},
		"with those for one":      {f: store.TokenFilter{Scopes: []store.TokenScope{all}}, total: 4},
		"only those for one":      {f: store.TokenFilter{Scopes: []store.TokenScope{all}, ForOne: &yes}, total: 2},
		"of a Deployment":         {f: store.TokenFilter{Scopes: []store.TokenScope{{Workspace: w.Workspace.ID, Deployment: w.Sales.ID}}}, total: 2},
		"of a Workspace and away": {f: store.TokenFilter{Scopes: []store.TokenScope{whole, {Workspace: w.Other.ID, Ones: true}}}, total: 2},
	} {
		t.Run(name, func(t *testing.T) {
			storetest.View(t, st, func(tx *store.Tx) error {
				got, total, err := tx.FindTokens(tt.f, store.Listing{Limit: 1})
				if total != tt.total || len(got) != min(tt.total, 1) {
					t.Errorf("found %d of %d, want %d in all", len(got), total, tt.total)
				}
				return err
			})
		})
	}
	storetest.Update(t, st, func(tx *store.Tx) error { return tx.MarkDeleted(w.Sales.ID) })
	storetest.View(t, st, func(tx *store.Tx) error {
		_, total, err := tx.FindTokens(store.TokenFilter{Everywhere: true}, store.Listing{Limit: 1})
		if total != 2 {
			t.Errorf("%d tokens beside a deleted Deployment, want 2", total)
		}
		return err
	})
}
