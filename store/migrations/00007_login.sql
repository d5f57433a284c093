-- +goose Up

-- What somebody let the astro CLI have to act as them.
CREATE TABLE login_tokens (
	secret     TEXT    PRIMARY KEY,      -- SHA-256, hex
	kind       TEXT    NOT NULL CHECK (kind IN ('code', 'access', 'refresh')),
	user       TEXT    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
	login      TEXT    NOT NULL,         -- the same for all that come from one code
	challenge  TEXT    NOT NULL,         -- of a code: SHA-256 of its verifier, base64url
	created_at INTEGER NOT NULL,
	expires_at INTEGER NOT NULL,
	used_at    INTEGER NOT NULL DEFAULT 0 -- 0: a code or refresh token that still works
) STRICT;

CREATE INDEX login_tokens_login ON login_tokens (login);
CREATE INDEX login_tokens_user ON login_tokens (user);

-- +goose Down
SELECT 'there is no way back but a backup' WHERE 0;
