// Package auth authenticates people and programs: passwords, sessions, API and
// agent tokens, throttling of guesses, and revocation of access.
package auth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"slipway/internal/slipway"
	"slipway/store"
)

// TokenKey is the name of the setting with the signing key of API tokens.
const TokenKey = "jwt-key"

// claims are the JWT claims of an API token, for the astro CLI. The portal
// authorizes by the record of AddToken only.
type claims struct {
	Permissions []string `json:"permissions"`
	APITokenID  string   `json:"apiTokenId"`
	JWTID       string   `json:"jti"` // random: a rotated token differs from the old one
	IssuedAt    int64    `json:"iat"`
	ExpiresAt   int64    `json:"exp,omitempty"`
	Issuer      string   `json:"iss"`
}

// AddToken records t under a new id and secret, and returns the token, a JWT.
// The token is shown once, as only a fingerprint is stored.
func AddToken(tx *store.Tx, t store.Token) (string, store.Token, error) {
	t.ID, t.Kind = tx.NewTokenID(), store.APIToken
	token, err := mint(tx, t)
	if err != nil {
		return "", t, err
	}
	t.Secret, t.Short = storedParts(token)
	t, err = tx.AddToken(t)
	return token, t, err
}

// shortLength is the number of a token's last characters stored in clear, for
// recognizing the token in a list.
const shortLength = 6

// storedParts returns the stored parts of a token: fingerprint and last characters.
func storedParts(token string) (secret, short string) {
	return Fingerprint(token), token[max(0, len(token)-shortLength):]
}

// mint returns a signed JWT for t. The id of t must be set.
func mint(tx *store.Tx, t store.Token) (string, error) {
	key, err := KeyOf(tx, TokenKey)
	if err != nil {
		return "", err
	}
	c := claims{
		Permissions: []string{"organizationId:" + slipway.OrganizationID, "workspaceId:" + string(t.Workspace)},
		APITokenID:  string(t.ID), JWTID: rand.Text(), IssuedAt: tx.Now.Unix(), Issuer: slipway.OrganizationID,
	}
	if t.Deployment != "" {
		c.Permissions = append(c.Permissions, "deploymentId:"+string(t.Deployment))
	}
	if !t.ExpiresAt.IsZero() {
		c.ExpiresAt = t.ExpiresAt.Unix()
	}
	return signed(c, key)
}

// signed returns c as a JWT with HS256.
func signed(c claims, key []byte) (string, error) {
	body, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("claims of a token: %w", err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	text := encode([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + encode(body)
	return text + "." + encode(MAC(key, text)), nil
}

// KeyOf returns a key of the installation by the name of its setting. The first
// call for a name creates the key.
func KeyOf(tx *store.Tx, name string) ([]byte, error) {
	key, err := tx.Setting(name)
	if err != nil || key != nil {
		return key, err
	}
	key = make([]byte, sha256.Size)
	rand.Read(key) // never fails: crypto/rand aborts the program instead
	return key, tx.SetSetting(name, key)
}

// UploadKey is the name of the setting with the key of upload addresses.
const UploadKey = "upload-key"

// oldTokenKeys is the name of the setting with the earlier signing keys of API
// tokens, one after the other, each of the size of a key.
const oldTokenKeys = "jwt-keys-old"

// RotateKeys replaces the keys of token signatures, remembered browsers and
// upload addresses. Tokens signed before stay genuine: a record decides on their
// rights. Sessions are random, without a key.
func RotateKeys(tx *store.Tx) error {
	key, err := tx.Setting(TokenKey)
	if err != nil {
		return err
	}
	old, err := tx.Setting(oldTokenKeys)
	if err != nil {
		return err
	}
	if err := tx.SetSetting(oldTokenKeys, append(key, old...)); err != nil {
		return err
	}
	for _, name := range []string{TokenKey, BrowserKey, UploadKey} {
		next := make([]byte, sha256.Size)
		rand.Read(next) // never fails
		if err := tx.SetSetting(name, next); err != nil {
			return err
		}
	}
	return nil
}

// CheckSignature returns an error unless token is a JWT of this portal.
func CheckSignature(tx *store.Tx, token string) error {
	for _, name := range []string{TokenKey, oldTokenKeys} {
		keys, err := tx.Setting(name)
		if err != nil {
			return err
		}
		for key := range slices.Chunk(keys, sha256.Size) {
			if Genuine(token, key) {
				return nil
			}
		}
	}
	return slipway.Errorf(slipway.Unauthorized, "This is no API token of this portal.")
}

// Fingerprint returns the SHA-256 of a secret, in hex. Secrets are stored as
// fingerprints: a stolen database grants no access.
func Fingerprint(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// MAC returns the HMAC-SHA256 of text.
func MAC(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// Genuine reports whether token is a JWT signed with key. The claims are
// ignored: rights come from the token's record.
func Genuine(token string, key []byte) bool {
	i := strings.LastIndexByte(token, '.')
	if i < 0 || len(key) == 0 {
		return false
	}
	sum, err := base64.RawURLEncoding.Strict().DecodeString(token[i+1:])
	return err == nil && hmac.Equal(sum, MAC(key, token[:i]))
}
