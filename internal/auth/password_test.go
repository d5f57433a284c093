package auth

import (
	"strings"
	"testing"

	"slipway/internal/slipway"
	"slipway/store/storetest"
)

func TestHashes(t *testing.T) {
	p := NewPasswords()
	good, err := HashPassword(storetest.Password)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		hash, password string
		ok, bad        bool
	}{
		"right":         {hash: good, password: storetest.Password, ok: true},
		"wrong":         {hash: good, password: storetest.Password + " "},
		"no account":    {password: storetest.Password},
		"not argon2id":  {hash: "$2a$10$abc", password: storetest.Password, bad: true},
		"no key":        {hash: strings.Join(strings.Split(good, "$")[:5], "$") + "$", password: storetest.Password, bad: true},
		"much too much": {hash: strings.Replace(good, "m=19456", "m=4194304", 1), password: storetest.Password, bad: true},
		"no time":       {hash: strings.Replace(good, "t=2", "t=0", 1), password: storetest.Password, bad: true},
	} {
		t.Run(name, func(t *testing.T) {
			ok, _, err := p.Check(t.Context(), tt.hash, tt.password)
			if ok != tt.ok || (err != nil) != tt.bad {
				t.Errorf("check: %v, %v", ok, err)
			}
		})
	}
	if _, err := HashPassword("short"); err == nil {
		t.Error("a short password was hashed")
	}
	kind, _ := slipway.Explain(slipway.CheckPassword("short"))
	if kind != slipway.Invalid {
		t.Errorf("kind %v", kind)
	}
}
