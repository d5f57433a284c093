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

// argonParams are argon2id's costs, as the PHC string format writes them.
type argonParams struct {
	memory  uint32 // KiB
	time    uint32
	threads uint8
}

// wanted is what OWASP recommends where memory is short: 19 MiB instead of the
// 64 MiB of RFC 9106, as the portal shares its machine with what it deploys and
// is to stay small.
var wanted = argonParams{memory: 19 * 1024, time: 2, threads: 1}

const (
	saltBytes = 16
	keyBytes  = 32
	// maxMemory bounds what a stored hash can make us use, in KiB.
	maxMemory = 1 << 20
)

// passwordsAtOnce bounds the memory that sign-ins take together.
const passwordsAtOnce = 2

// Passwords makes and checks hashes, few at a time.
type Passwords struct {
	slots chan struct{}
}

func NewPasswords() *Passwords {
	return &Passwords{slots: make(chan struct{}, passwordsAtOnce)}
}

// Hash is HashPassword in its turn.
func (p *Passwords) Hash(ctx context.Context, password string) (string, error) {
	if err := p.enter(ctx); err != nil {
		return "", err
	}
	defer p.leave()
	return HashPassword(password)
}

// Check reports whether password is the one of hash, and whether that should
// be made anew as it was made with other costs. An empty hash, of an account
// that does not exist, takes as long and matches nothing.
func (p *Passwords) Check(ctx context.Context, hash, password string) (ok, stale bool, err error) {
	if err := p.enter(ctx); err != nil {
		return false, false, err
	}
	defer p.leave()
	if hash == "" {
		argon2.IDKey([]byte(password), make([]byte, saltBytes), wanted.time, wanted.memory, wanted.threads, keyBytes)
		return false, false, nil
	}
	params, salt, key, err := parsePHC(hash)
	if err != nil {
		return false, false, err
	}
	got := argon2.IDKey([]byte(password), salt, params.time, params.memory, params.threads, uint32(len(key)))
	return subtle.ConstantTimeCompare(got, key) == 1, params != wanted, nil
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

// HashPassword returns the argon2id hash of a password that is good enough, in
// PHC string format.
func HashPassword(password string) (string, error) {
	if err := slipway.CheckPassword(password); err != nil {
		return "", err
	}
	salt := make([]byte, saltBytes)
	rand.Read(salt) // it never fails: crypto/rand aborts the program instead
	key := argon2.IDKey([]byte(password), salt, wanted.time, wanted.memory, wanted.threads, keyBytes)
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, wanted.memory, wanted.time, wanted.threads,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(key)), nil
}

func parsePHC(hash string) (p argonParams, salt, key []byte, err error) {
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
