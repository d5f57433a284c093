-- +goose Up

-- Since when an account lets nobody in; 0 while it works.
ALTER TABLE users ADD COLUMN disabled_at INTEGER NOT NULL DEFAULT 0;

-- Who was shown the secret of a token: who made it, or rotated it last,
-- themselves or by a token that they held then. It stands here and not in a
-- chain of tokens, which breaks when one in the middle is revoked.
CREATE TABLE token_holders (
	token   TEXT    NOT NULL REFERENCES tokens (id) ON DELETE CASCADE,
	user    TEXT    NOT NULL,            -- whose account may be gone
	name    TEXT    NOT NULL,            -- as it was then
	PRIMARY KEY (token, user)
) STRICT, WITHOUT ROWID;

CREATE INDEX token_holders_user ON token_holders (user);

-- Tokens did not always keep who made them; the audit log does, in the same
-- transaction and so at the same time. A token that issued another and is gone is
-- known there by its name: whoever was shown one of that name before counts.
CREATE TEMPORARY TABLE shown (workspace TEXT, target TEXT, at INTEGER, user TEXT, via TEXT, rotated INTEGER);

INSERT INTO shown
	SELECT workspace, target, at, COALESCE(by ->> '$.User', ''), IIF(COALESCE(by ->> '$.Token', '') = '', '', COALESCE(by ->> '$.Name', '')), action = 'token.rotate'
	FROM audit WHERE action IN ('token.create', 'token.rotate');
INSERT INTO shown
	SELECT workspace, 'API token ' || name, created_at, by_user, IIF(by_token = '', '', SUBSTR(created_by, 7)), 0
	FROM tokens WHERE by_user <> '' OR by_token <> '';
CREATE INDEX shown_of ON shown (workspace, target, at);
CREATE INDEX shown_at ON shown (workspace, at);

CREATE TEMPORARY TABLE known AS
	WITH RECURSIVE known (token, workspace, user, via, at, rotated) AS (
		SELECT id, workspace, by_user, IIF(by_token = '', '', SUBSTR(created_by, 7)), created_at, 0 FROM tokens WHERE by_user <> '' OR by_token <> ''
		UNION
		SELECT t.id, t.workspace, s.user, s.via, s.at, s.rotated
		FROM tokens t JOIN shown s ON s.workspace = t.workspace AND s.target LIKE IIF(t.kind = 'api', 'API token %', 'agent token %')
			AND (s.at = t.created_at AND NOT s.rotated AND t.by_user = '' AND t.by_token = ''
				OR s.at = t.started_at AND s.rotated AND t.started_at > t.created_at)
		UNION
		SELECT k.token, k.workspace, s.user, s.via, s.at, k.rotated
		FROM known k JOIN shown s ON k.via <> '' AND s.workspace = k.workspace AND s.target = 'API token ' || k.via AND s.at <= k.at)
	SELECT DISTINCT token, user, rotated FROM known WHERE user <> '';

INSERT OR IGNORE INTO token_holders (token, user, name)
	SELECT k.token, k.user, COALESCE((SELECT IIF(u.name = '', u.email, u.name) FROM users u WHERE u.id = k.user), k.user)
	FROM known k
	WHERE k.rotated OR NOT EXISTS (SELECT 1 FROM known r WHERE r.token = k.token AND r.rotated);

DROP TABLE known;
DROP TABLE shown;

-- +goose Down
SELECT 'there is no way back but a backup' WHERE 0;
