-- +goose Up

-- Since when an account lets nobody in; 0 while it works.
ALTER TABLE users ADD COLUMN disabled_at INTEGER NOT NULL DEFAULT 0;

-- Who was shown the secret of a token: who made it, or last gave it a new
-- secret, themselves or by a token that they held then. It stands here and not
-- in a chain of tokens, which breaks when one in the middle is revoked.
CREATE TABLE token_holders (
	token   TEXT    NOT NULL REFERENCES tokens (id) ON DELETE CASCADE,
	user    TEXT    NOT NULL,            -- whose account may be gone
	name    TEXT    NOT NULL,            -- as it was then
	rotated INTEGER NOT NULL,            -- by the new secret; else by the making
	PRIMARY KEY (token, user, rotated)
) STRICT, WITHOUT ROWID;

CREATE INDEX token_holders_user ON token_holders (user);

-- Tokens did not always keep who made them; the audit log does, in the same
-- transaction and so at the same time.
CREATE TEMPORARY TABLE made (token TEXT, user TEXT, parent TEXT, rotated INTEGER);

INSERT INTO made SELECT id, by_user, by_token, 0 FROM tokens WHERE by_user <> '' OR by_token <> '';

INSERT INTO made
	SELECT t.id, COALESCE(a.by ->> '$.User', ''), COALESCE(a.by ->> '$.Token', ''), a.action = 'token.rotate'
	FROM tokens t JOIN audit a ON a.workspace = t.workspace AND a.target LIKE IIF(t.kind = 'api', 'API token %', 'agent token %')
		AND (a.action = 'token.create' AND a.at = t.created_at AND t.by_user = '' AND t.by_token = ''
			OR a.action = 'token.rotate' AND a.at = t.started_at AND t.started_at > t.created_at);

-- Where the token that issued one is gone, whoever made one of its name counts.
INSERT INTO made
	SELECT t.id, a.by ->> '$.User', '', 0
	FROM tokens t JOIN audit a ON a.workspace = t.workspace AND a.action IN ('token.create', 'token.rotate')
		AND a.at <= t.created_at AND a.target = 'API token ' || SUBSTR(t.created_by, 7)
	WHERE t.by_token <> '' AND NOT EXISTS (SELECT 1 FROM tokens p WHERE p.id = t.by_token) AND COALESCE(a.by ->> '$.User', '') <> '';

INSERT INTO token_holders (token, user, name, rotated)
	WITH RECURSIVE known (token, user, rotated) AS (
		SELECT token, user, rotated FROM made WHERE user <> ''
		UNION
		SELECT m.token, k.user, m.rotated FROM known k JOIN made m ON m.parent = k.token)
	SELECT k.token, k.user, COALESCE((SELECT IIF(u.name = '', u.email, u.name) FROM users u WHERE u.id = k.user), k.user), k.rotated
	FROM known k WHERE EXISTS (SELECT 1 FROM tokens t WHERE t.id = k.token);

DROP TABLE made;

-- +goose Down
SELECT 'there is no way back but a backup' WHERE 0;
