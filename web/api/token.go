package api

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"slipway/internal/slipway"
	"slipway/store"
)

// jwtKey is the name of the setting that holds the key of API tokens.
const jwtKey = "jwt-key"

// claims are what an API token says of itself. The astro CLI reads them; we
// only believe the record that AddToken kept.
type claims struct {
	Permissions []string `json:"permissions"`
	APITokenID  string   `json:"apiTokenId"`
	JWTID       string   `json:"jti"` // makes each token of one record another
	IssuedAt    int64    `json:"iat"`
	ExpiresAt   int64    `json:"exp,omitempty"`
	Issuer      string   `json:"iss"`
}

// AddToken records t, whose id and secret it sets, and returns the token
// itself: a JWT, to be shown once.
func AddToken(tx *store.Tx, t store.Token) (string, store.Token, error) {
	t.ID, t.Kind = tx.NewTokenID(), store.APIToken
	token, err := mint(tx, t)
	if err != nil {
		return "", t, err
	}
	t.Secret, t.Short = kept(token)
	t, err = tx.AddToken(t)
	return token, t, err
}

// shortLength is how many signs of a token are kept, to know it by.
const shortLength = 6

// kept returns what is stored of a token.
func kept(token string) (secret, short string) {
	return Fingerprint(token), token[max(0, len(token)-shortLength):]
}

// mint returns a JWT for t, which has its id.
func mint(tx *store.Tx, t store.Token) (string, error) {
	key, err := keyOf(tx, jwtKey)
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
	return text + "." + encode(mac(key, text)), nil
}

// keyOf returns a key of this installation by the name of its setting. It is
// made when it is first needed.
func keyOf(tx *store.Tx, name string) ([]byte, error) {
	key, err := tx.Setting(name)
	if err != nil || key != nil {
		return key, err
	}
	key = make([]byte, sha256.Size)
	rand.Read(key) // it never fails: crypto/rand aborts the program instead
	return key, tx.SetSetting(name, key)
}
