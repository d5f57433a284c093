package auth

import (
	"crypto/hmac"
	"crypto/rand"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"time"

	"slipway/internal/slipway"
)

// BrowserKey is the name of the setting with the key of remembered browsers.
const BrowserKey = "browser-key"

// BrowserLife is how long a browser is remembered after a sign-in.
const BrowserLife = 365 * 24 * time.Hour

// browserAccounts is the number of accounts remembered by one browser.
const browserAccounts = 5

// browserSeparator separates the accounts in the text of a cookie.
const browserSeparator = ","

// Remember returns the text of a browser's cookie after a sign-in of user. old is
// the present text. The text grants nothing but tries of its own.
func Remember(key []byte, old string, user slipway.UserID, now time.Time) string {
	text := strings.Join([]string{string(user), strconv.FormatInt(now.Add(BrowserLife).Unix(), 10), rand.Text()}, ".")
	all := append([]string{text + "." + browserMAC(key, text)}, strings.Split(old, browserSeparator)...)
	all = slices.DeleteFunc(all, func(s string) bool { return s != all[0] && (s == "" || strings.HasPrefix(s, string(user)+".")) })
	return strings.Join(all[:min(len(all), browserAccounts)], browserSeparator)
}

// Remembered returns the name of a browser that signed user in before, from the
// text of the cookie; "" for other browsers.
func Remembered(key []byte, text string, user slipway.UserID, now time.Time) string {
	for one := range strings.SplitSeq(text, browserSeparator) {
		i := strings.LastIndexByte(one, '.')
		if user == "" || i < 0 || !hmac.Equal([]byte(one[i+1:]), []byte(browserMAC(key, one[:i]))) {
			continue
		}
		parts := strings.Split(one[:i], ".")
		if len(parts) != 3 || parts[0] != string(user) {
			continue
		}
		if end, err := strconv.ParseInt(parts[1], 10, 64); err == nil && now.Unix() < end {
			return parts[0] + " " + parts[2]
		}
	}
	return ""
}

func browserMAC(key []byte, text string) string { return hex.EncodeToString(MAC(key, "browser "+text)) }
