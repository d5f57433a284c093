package web

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"slipway"
	"slipway/store"
)

// jwtKey is the name of the setting that holds the key of API tokens.
const jwtKey = "jwt-key"

// agentPrefix tells an agent's token from others, also to scanners for secrets
// in repositories.
const agentPrefix = "swa_"

// claims are what an API token says of itself. The astro CLI reads them; we
// only believe the record that AddAPIToken kept.
type claims struct {
	Permissions []string `json:"permissions"`
	APITokenID  string   `json:"apiTokenId"`
	IssuedAt    int64    `json:"iat"`
	ExpiresAt   int64    `json:"exp,omitempty"`
	Issuer      string   `json:"iss"`
}

// AddAPIToken records t, whose id and secret it sets, and returns the token
// itself: a JWT, to be shown once.
func AddAPIToken(tx *store.Tx, t store.Token) (string, store.Token, error) {
	t.ID, t.Kind = tx.NewTokenID(), store.APIToken
	key, err := signingKey(tx)
	if err != nil {
		return "", t, err
	}
	c := claims{
		Permissions: []string{"organizationId:" + slipway.OrganizationID, "workspaceId:" + string(t.Workspace)},
		APITokenID:  string(t.ID), IssuedAt: tx.Now.Unix(), Issuer: slipway.OrganizationID,
	}
	if t.Deployment != "" {
		c.Permissions = append(c.Permissions, "deploymentId:"+string(t.Deployment))
	}
	if !t.ExpiresAt.IsZero() {
		c.ExpiresAt = t.ExpiresAt.Unix()
	}
	token, err := signed(c, key)
	if err != nil {
		return "", t, err
	}
	t.Secret = fingerprint(token)
	t, err = tx.AddToken(t)
	return token, t, err
}

// AddAgentToken records t, whose id and secret it sets, and returns the token
// itself, to be shown once.
func AddAgentToken(tx *store.Tx, t store.Token) (string, store.Token, error) {
	token := agentPrefix + rand.Text() + rand.Text()
	t.ID, t.Kind, t.Secret = tx.NewTokenID(), store.AgentToken, fingerprint(token)
	t, err := tx.AddToken(t)
	return token, t, err
}

// signingKey returns the key of this installation, made when it is first
// needed.
func signingKey(tx *store.Tx) ([]byte, error) {
	key, err := tx.Setting(jwtKey)
	if err != nil || key != nil {
		return key, err
	}
	key = make([]byte, sha256.Size)
	rand.Read(key) //nolint:errcheck // it never fails: crypto/rand aborts the program instead
	return key, tx.SetSetting(jwtKey, key)
}

// signed returns c as a JWT with HS256.
func signed(c claims, key []byte) (string, error) {
	body, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("claims of a token: %w", err)
	}
	text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + base64.RawURLEncoding.EncodeToString(body)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil)), nil
}
