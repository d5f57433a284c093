-- +goose Up

-- The time of the last change, and who made the change: a person or a token by
-- title.
ALTER TABLE deployments ADD COLUMN updated_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE deployments ADD COLUMN updater TEXT NOT NULL DEFAULT '';
UPDATE deployments SET updater = creator, updated_at = MAX(created_at,
	COALESCE((SELECT MAX(w.live_at) FROM deploys w WHERE w.deployment = deployments.id), 0));

ALTER TABLE workspaces ADD COLUMN updated_at INTEGER NOT NULL DEFAULT 0;
UPDATE workspaces SET updated_at = created_at;

ALTER TABLE users ADD COLUMN updated_at INTEGER NOT NULL DEFAULT 0;
UPDATE users SET updated_at = created_at;

-- +goose Down
SELECT 'there is no way back but a backup' WHERE 0;
