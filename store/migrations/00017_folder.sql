-- +goose Up

-- The folder below dags that a deploy's files go to, known also after the upload
-- is over, and the only folder that a token may change.
ALTER TABLE deploys ADD COLUMN folder TEXT NOT NULL DEFAULT ''; -- '' for dags itself
ALTER TABLE tokens ADD COLUMN folder TEXT NOT NULL DEFAULT '';  -- '' for all
UPDATE deploys SET folder = u.folder FROM uploads u WHERE u.deploy = deploys.id AND u.image = 0 AND u.folder <> '';
ALTER TABLE uploads DROP COLUMN folder;

-- +goose Down
SELECT 'there is no way back but a backup' WHERE 0;
