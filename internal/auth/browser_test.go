package auth

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"slipway/internal/slipway"
)

func TestRemembered(t *testing.T) {
	key := []byte("key")
	text := Remember(key, "", "ada", noon)
	both := Remember(key, text, "eve", noon)
	for name, tt := range map[string]struct {
		key  string
		text string
		user slipway.UserID
		at   time.Time
		want bool
	}{
		"known":             {text: text, user: "ada", want: true},
		"another account":   {text: text, user: "eve"},
		"first of two":      {text: both, user: "ada", want: true},
		"second of two":     {text: both, user: "eve", want: true},
		"unknown account":   {text: text},
		"nothing":           {user: "ada"},
		"another key":       {key: "k", text: text, user: "ada"},
		"another user":      {text: strings.Replace(text, "ada", "eve", 1), user: "eve"},
		"without signature": {text: text[:strings.LastIndex(text, ".")+1], user: "ada"},
		"longer life":       {text: strings.Replace(text, ".1", ".9", 1), user: "ada"},
		"dots":              {text: "...", user: "ada"},
		"before the end":    {text: text, user: "ada", at: noon.Add(BrowserLife - time.Second), want: true},
		"at the end":        {text: text, user: "ada", at: noon.Add(BrowserLife)},
	} {
		t.Run(name, func(t *testing.T) {
			if tt.key == "" {
				tt.key = "key"
			}
			if tt.at.IsZero() {
				tt.at = noon
			}
			if got := Remembered([]byte(tt.key), tt.text, tt.user, tt.at); (got != "") != tt.want {
				t.Errorf("remembered as %q, want %v", got, tt.want)
			}
		})
	}
}

// A cookie stays small, and knows the accounts that signed in last, each once.
func TestBrowserRemembersFewAccounts(t *testing.T) {
	key, text := []byte("key"), ""
	for i := range 100 {
		text = Remember(key, text, slipway.UserID(fmt.Sprint("user-", i%7)), noon)
	}
	for i := range 7 {
		user := slipway.UserID(fmt.Sprint("user-", i))
		last := (99 % 7) - i
		if last < 0 {
			last += 7
		}
		if got := Remembered(key, text, user, noon) != ""; got != (last < browserAccounts) {
			t.Errorf("%s, %d sign-ins ago: remembered %v", user, last, got)
		}
	}
	if len(text) > 600 || len(strings.Split(text, browserSeparator)) != browserAccounts {
		t.Errorf("%d bytes: %s", len(text), text)
	}
}
