package auth

import (
	"errors"
	"testing"

	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

// actorOf returns the actor of an API token.
func actorOf(t store.Token) slipway.Actor {
	return slipway.Actor{Token: t.ID, Secret: t.Secret, Kinds: t.Kinds, Name: t.Name, Via: slipway.API}
}

// A token that ends gives no other token rights beyond its own end, whichever way
// is taken.
func TestShortTokenRaisesNoLastingOne(t *testing.T) {
	st := storetest.Open(t)
	w := storetest.Seed(t, st)
	issue := func(tx *store.Tx, name string, role slipway.Role, kinds slipway.Kinds, days int) (made store.Token, err error) {
		_, made, err = IssueToken(tx, w.Ada, NewToken{Name: name, Workspace: w.Workspace.ID, Role: role, Kinds: kinds, Days: days})
		return made, err
	}
	for name, tt := range map[string]struct {
		mine int // days of the acting token
		days int // days of the other token; 0 for ever
		act  func(*store.Tx, slipway.Actor, slipway.TokenID) error
		want error
	}{
		"raise":            {mine: 1, act: edit(func(t *store.Token) { t.Role = slipway.Operator }), want: slipway.ErrForbidden},
		"more kinds":       {mine: 1, act: edit(func(t *store.Token) { t.Kinds = "" }), want: slipway.ErrForbidden},
		"lower":            {mine: 1, act: edit(func(t *store.Token) { t.Role = slipway.Member })},
		"rename":           {mine: 1, act: edit(func(t *store.Token) { t.Name = "other" })},
		"rotate":           {mine: 1, act: rotate, want: slipway.ErrForbidden},
		"raise longer":     {mine: 1, days: 2, act: edit(func(t *store.Token) { t.Role = slipway.Operator }), want: slipway.ErrForbidden},
		"raise as long":    {mine: 2, days: 2, act: edit(func(t *store.Token) { t.Role = slipway.Operator })},
		"by a lasting one": {act: edit(func(t *store.Token) { t.Role, t.Kinds = slipway.Operator, "" })},
		"issue": {mine: 1, act: func(tx *store.Tx, by slipway.Actor, _ slipway.TokenID) error {
			_, _, err := IssueToken(tx, by, NewToken{Name: "new", Workspace: w.Workspace.ID, Role: slipway.Author})
			return err
		}, want: slipway.ErrForbidden},
		"issue for agents": {mine: 1, act: func(tx *store.Tx, by slipway.Actor, _ slipway.TokenID) error {
			_, _, err := IssueAgentToken(tx, by, w.Sales.ID, "agents")
			return err
		}, want: slipway.ErrForbidden},
		"issue for agents by a lasting one": {act: func(tx *store.Tx, by slipway.Actor, _ slipway.TokenID) error {
			_, _, err := IssueAgentToken(tx, by, w.Sales.ID, "agents")
			return err
		}},
		"lower and raise again": {mine: 1, act: func(tx *store.Tx, by slipway.Actor, id slipway.TokenID) error {
			if err := edit(func(t *store.Token) { t.Role = slipway.Member })(tx, by, id); err != nil {
				return err
			}
			return edit(func(t *store.Token) { t.Role = slipway.Author })(tx, by, id)
		}, want: slipway.ErrForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			rollBack := errors.New("roll back")
			err := st.Update(t.Context(), func(tx *store.Tx) error {
				mine, err := issue(tx, "mine", slipway.Operator, "", tt.mine)
				if err != nil {
					return err
				}
				other, err := issue(tx, "other one", slipway.Author, "DAG_ONLY", tt.days)
				if err != nil {
					return err
				}
				if err := tt.act(tx, actorOf(mine), other.ID); !errors.Is(err, tt.want) {
					t.Errorf("%v, want %v", err, tt.want)
				}
				return rollBack
			})
			if !errors.Is(err, rollBack) {
				t.Fatal(err)
			}
		})
	}
}

func edit(change func(*store.Token)) func(*store.Tx, slipway.Actor, slipway.TokenID) error {
	return func(tx *store.Tx, by slipway.Actor, id slipway.TokenID) error {
		_, err := EditToken(tx, by, id, func(t *store.Token) error { change(t); return nil })
		return err
	}
}

func rotate(tx *store.Tx, by slipway.Actor, id slipway.TokenID) error {
	_, _, err := RotateToken(tx, by, id)
	return err
}

// Tokens go on after a rotation of the keys, any number of times; others' do not.
func TestTokensAfterRotations(t *testing.T) {
	st := storetest.Open(t)
	w := storetest.Seed(t, st)
	var tokens []string
	storetest.Update(t, st, func(tx *store.Tx) error {
		for _, name := range []string{"first", "second", "third"} {
			token, _, err := IssueToken(tx, w.Ada, NewToken{Name: name, Workspace: w.Workspace.ID, Role: slipway.Author})
			if err != nil {
				return err
			}
			tokens = append(tokens, token)
			if err := RotateKeys(tx); err != nil {
				return err
			}
		}
		for i, token := range tokens {
			if err := CheckSignature(tx, token); err != nil {
				t.Errorf("token %d: %v", i, err)
			}
			if err := CheckSignature(tx, token+"x"); !errors.Is(err, slipway.ErrUnauthorized) {
				t.Errorf("changed token: %v", err)
			}
		}
		key, err := tx.Setting(TokenKey)
		if err == nil && Genuine(tokens[2], key) {
			t.Error("the key is the old one")
		}
		return err
	})
}
