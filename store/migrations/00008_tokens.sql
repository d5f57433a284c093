-- +goose Up

-- What is shown of an API token, who made it, and what it may deploy.
ALTER TABLE tokens ADD COLUMN description TEXT NOT NULL DEFAULT '';
ALTER TABLE tokens ADD COLUMN kinds TEXT NOT NULL DEFAULT '';     -- of deploy, joined by commas; '': all
ALTER TABLE tokens ADD COLUMN short TEXT NOT NULL DEFAULT '';     -- its last signs, to know it by
ALTER TABLE tokens ADD COLUMN by_user TEXT NOT NULL DEFAULT '';   -- who made it: a person,
ALTER TABLE tokens ADD COLUMN by_token TEXT NOT NULL DEFAULT '';  -- or another token
ALTER TABLE tokens ADD COLUMN updated_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tokens ADD COLUMN started_at INTEGER NOT NULL DEFAULT 0; -- its secret was made
UPDATE tokens SET updated_at = created_at, started_at = created_at;

CREATE INDEX tokens_of_workspace ON tokens (workspace, created_at);

-- The deploy that a client made under a key of its choice: when it asks again
-- because no answer came, it gets the same deploy. Kept for a day.
CREATE TABLE idempotency (
	owner      TEXT    NOT NULL, -- token id, or user id for a login
	deployment TEXT    NOT NULL REFERENCES deployments (id) ON DELETE CASCADE,
	key        TEXT    NOT NULL,
	deploy     TEXT    NOT NULL REFERENCES deploys (id) ON DELETE CASCADE,
	at         INTEGER NOT NULL,
	PRIMARY KEY (owner, deployment, key)
) STRICT;

CREATE INDEX idempotency_by_time ON idempotency (at);
CREATE INDEX idempotency_by_deploy ON idempotency (deploy);

-- +goose Down
SELECT 'there is no way back but a backup' WHERE 0;
