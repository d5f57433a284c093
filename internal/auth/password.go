package auth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"

	"slipway/internal/slipway"
)

// argonCosts are the cost parameters of argon2id, as in the PHC string format.
type argonCosts struct {
	memory  uint32 // KiB
	time    uint32
	threads uint8
}

// currentCosts are the costs of new hashes. RFC 9106 recommends 64 MiB; OWASP allows
// 19 MiB where memory is short, as on a machine shared with Airflow.
var currentCosts = argonCosts{memory: 19 * 1024, time: 2, threads: 1}

const (
	saltBytes = 16
	keyBytes  = 32
	// maxMemory limits the memory for checking a stored hash, in KiB.
	maxMemory = 1 << 20
)

// passwordsAtOnce limits concurrent hashes, and so the memory of sign-ins.
const passwordsAtOnce = 2

// Passwords makes and checks password hashes, few at a time.
type Passwords struct {
	slots chan struct{}
}

// NewPasswords returns Passwords with no hash in progress.
func NewPasswords() *Passwords {
	return &Passwords{slots: make(chan struct{}, passwordsAtOnce)}
}

// Hash waits for a free slot and returns HashPassword(password).
func (p *Passwords) Hash(ctx context.Context, password string) (string, error) {
	if err := p.enter(ctx); err != nil {
		return "", err
	}
	defer p.leave()
	return HashPassword(password)
}

// Check reports whether password matches hash. stale means other costs than the
// current ones: hash the password again. An empty hash (no such account)
// matches nothing and takes equally long, so an attacker cannot find out which
// accounts exist.
func (p *Passwords) Check(ctx context.Context, hash, password string) (ok, stale bool, err error) {
	if err := p.enter(ctx); err != nil {
		return false, false, err
	}
	defer p.leave()
	if hash == "" {
		argon2.IDKey([]byte(password), make([]byte, saltBytes), currentCosts.time, currentCosts.memory, currentCosts.threads, keyBytes)
		return false, false, nil
	}
	params, salt, key, err := parsePHC(hash)
	if err != nil {
		return false, false, err
	}
	got := argon2.IDKey([]byte(password), salt, params.time, params.memory, params.threads, uint32(len(key)))
	return subtle.ConstantTimeCompare(got, key) == 1, params != currentCosts, nil
}

func (p *Passwords) enter(ctx context.Context) error {
	select {
	case p.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait to check a password: %w", ctx.Err())
	}
}

func (p *Passwords) leave() { <-p.slots }

// HashPassword returns the argon2id hash of password in PHC string format, or
// an error for a password of invalid length.
func HashPassword(password string) (string, error) {
	if err := slipway.CheckPassword(password); err != nil {
		return "", err
	}
	salt := make([]byte, saltBytes)
	rand.Read(salt) // never fails: crypto/rand aborts the program instead
	key := argon2.IDKey([]byte(password), salt, currentCosts.time, currentCosts.memory, currentCosts.threads, keyBytes)
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, currentCosts.memory, currentCosts.time, currentCosts.threads,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(key)), nil
}

func parsePHC(hash string) (p argonCosts, salt, key []byte, err error) {
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return p, nil, nil, fmt.Errorf("parse password hash: it is not argon2id of version %d", argon2.Version)
	}
	if _, err = fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &p.memory, &p.time, &p.threads); err != nil {
		return p, nil, nil, fmt.Errorf("parse password hash: %w", err)
	}
	if p.memory > maxMemory || p.time < 1 || p.threads < 1 {
		return p, nil, nil, fmt.Errorf("parse password hash: costs %s", parts[3])
	}
	if salt, err = base64.RawStdEncoding.DecodeString(parts[4]); err != nil {
		return p, nil, nil, fmt.Errorf("parse salt of password hash: %w", err)
	}
	if key, err = base64.RawStdEncoding.DecodeString(parts[5]); err != nil || len(key) == 0 {
		return p, nil, nil, fmt.Errorf("parse key of password hash: %w", err)
	}
	return p, salt, key, nil
}
